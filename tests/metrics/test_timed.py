"""Rows along time, cut and joined; the interval of a mean."""

import numpy as np
import pytest

from keras_rawaudio.metrics.bootstrap import mean_interval
from keras_rawaudio.metrics.timed import Timed, join


@pytest.mark.parametrize(
    ("span", "inside", "outside"),
    [(3.0, [4, 5], [0, 1, 8, 9]), (0.0, [4, 5, 6, 7], [0, 1, 2, 3, 8, 9])],
)
def test_a_cut_leaves_no_row_that_shares_audio_with_the_rest(span, inside, outside):
    rows = Timed(12.0, np.arange(10.0), np.arange(10.0)[:, None], span)
    cut, rest = rows.between(4, 8), rows.outside(4, 8)
    assert cut.values.ravel().tolist() == inside
    assert cut.start.tolist() == [value - 4 for value in inside]
    assert rest.values.ravel().tolist() == outside
    assert (cut.seconds, rest.seconds) == (4.0, 8.0)


def test_joined_rows_follow_each_other():
    a = Timed(2.0, np.array([0.0, 1.0]), np.array([[1.0], [2.0]]), 1.0)
    both = join([a, a])
    assert both.seconds == 4
    assert both.start.tolist() == [0, 1, 2, 3]
    assert both.between(2, 4).values.tolist() == a.values.tolist()


def test_interval_of_a_mean_covers_the_truth_in_nine_of_ten():
    rng = np.random.default_rng(0)
    inside = 0
    for draw in range(200):
        mean, low, high = mean_interval(rng.normal(5, 2, 12), seed=draw)
        assert low <= mean <= high
        inside += low <= 5 <= high
    assert 0.85 < inside / 200 < 0.99
    assert mean_interval([3.0]) == (3.0, 3.0, 3.0)
