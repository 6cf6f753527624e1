"""Statistics of shares against closed forms."""

from math import comb

import numpy as np
import pytest

from keras_rawaudio.listening.proportion import answers_needed, exact_interval, exact_p


def tail(least, answers, share):
    """The probability of `least` or more."""
    return sum(
        comb(answers, k) * share**k * (1 - share) ** (answers - k)
        for k in range(least, answers + 1)
    )


@pytest.mark.parametrize("answers", [1, 5, 12])
def test_interval_where_all_agree(answers):
    low, high = exact_interval(answers, answers)
    assert (low, high) == (pytest.approx(0.025 ** (1 / answers)), 1)
    assert exact_interval(0, answers) == pytest.approx((1 - high, 1 - low))


def test_the_ends_of_an_interval_leave_two_and_a_half_percent():
    low, high = exact_interval(14, 20)
    assert tail(14, 20, low) == pytest.approx(0.025)
    assert 1 - tail(15, 20, high) == pytest.approx(0.025)


def test_p_of_guessing():
    assert exact_p(14, 20) == pytest.approx(2 * tail(14, 20, 0.5))
    assert exact_p(10, 20) == 1


@pytest.mark.parametrize("difference", [0.15, 0.25, 0.4])
def test_answers_needed_by_counting(difference):
    def power(answers):
        rejected = [k for k in range(answers + 1) if exact_p(k, answers) <= 0.05]
        share = 0.5 + difference
        return sum(comb(answers, k) * share**k * (1 - share) ** (answers - k) for k in rejected)

    needed = answers_needed(difference)
    assert power(needed - 1) < 0.8
    assert all(power(needed + more) >= 0.8 for more in range(15))


@pytest.mark.parametrize("difference", [0.02, 0.05, 0.1])
def test_answers_needed_is_near_the_normal_approximation(difference):
    spread = np.sqrt((0.5 + difference) * (0.5 - difference))
    normal = ((1.959964 * 0.5 + 0.841621 * spread) / difference) ** 2
    assert normal < answers_needed(difference) < 1.1 * normal
