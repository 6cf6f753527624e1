"""Shares of yes and no answers: exact intervals, exact tests, and how many answers they need."""

from __future__ import annotations

import numpy as np

INSIDE = 0.95
SIGNIFICANCE = 1 - INSIDE
POWER = 0.8
CHANCE = 0.5


def exact_interval(successes: int, answers: int) -> tuple[float, float]:
    """The exact 95 % interval of a share.

    Args:
        successes: how many answers were yes.
        answers: how many there were.

    Example:
        >>> low, high = exact_interval(10, 10)  # the lower end is 0.025 ** (1 / 10)
        >>> round(low, 4), high
        (0.6915, 1.0)

    Reference:
        Clopper and Pearson, "The use of confidence or fiducial limits illustrated in the case of
        the binomial", Biometrika 26, 1934.
    """
    from scipy.stats import binomtest

    found = binomtest(successes, answers).proportion_ci(INSIDE, "exact")
    return float(found.low), float(found.high)


def exact_p(successes: int, answers: int) -> float:
    """How likely guesses give a share this far from one half, or further; two-sided.

    Example:
        >>> exact_p(6, 6)  # 2 / 2 ** 6
        0.03125
    """
    from scipy.stats import binomtest

    return float(binomtest(successes, answers, CHANCE).pvalue)


def answers_needed(difference: float) -> int:
    """How many answers show that a share differs from one half.

    The exact two-sided test at 5 % finds the difference with a probability of 80 % from this many
    answers on. The probability goes up and down a little with each answer; smaller numbers at which
    it happens to be high enough do not count.

    Args:
        difference: between the true share and one half, above 0 and up to 0.5.

    Example:
        >>> answers_needed(0.5)  # six right answers of six are the fewest that p = 0.05 allows
        6
        >>> answers_needed(0.1)
        210

    Reference:
        Chernick and Liu, "The saw-toothed behavior of power versus sample size and software
        solutions", The American Statistician 56, 2002.
    """
    from scipy.stats import binom

    # The normal approximation needs about 2 / difference**2, and the exact test a little more.
    most = int(3 / difference**2) + 50
    answers = np.arange(1, most + 1)
    # Rejected: more than `border` yes, or more than `border` no.
    border = binom.isf(SIGNIFICANCE / 2, answers, CHANCE)
    share = CHANCE + difference
    power = binom.sf(border, answers, share) + binom.cdf(answers - border - 1, answers, share)
    return int(answers[power < POWER].max(initial=0)) + 1
