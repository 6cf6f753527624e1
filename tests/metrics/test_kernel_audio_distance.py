"""KAD, coverage, density and FAD on distributions whose answers are known."""

import numpy as np
import pytest

from keras_rawaudio.metrics.coverage_density import coverage_density
from keras_rawaudio.metrics.frechet_audio_distance import frechet_audio_distance
from keras_rawaudio.metrics.kernel_audio_distance import kernel_audio_distance

RNG = np.random.default_rng(0)


def gaussian_mmd(shift, dimensions, bandwidth):
    """The squared MMD of N(0, I) and N(shift, I) under a Gaussian kernel, in closed form."""
    spread = bandwidth**2 / (bandwidth**2 + 2)
    return 200 * spread ** (dimensions / 2) * (1 - np.exp(-(shift**2) / 2 / (bandwidth**2 + 2)))


@pytest.mark.parametrize(("shift", "dimensions"), [(0.5, 2), (1.0, 8), (2.0, 8)])
def test_kad_of_two_gaussians_in_closed_form(shift, dimensions):
    from scipy.spatial.distance import pdist

    a, b = RNG.normal(size=(2, 3000, dimensions))
    b[:, 0] += shift
    expected = gaussian_mmd(shift, dimensions, np.median(pdist(a)))
    assert kernel_audio_distance(a, b) == pytest.approx(expected, rel=0.2)


def test_kad_of_one_distribution_is_zero_in_the_mean_for_any_size():
    for size in (3, 10, 100):
        values = [
            kernel_audio_distance(*RNG.normal(size=(2, size, 4))) for _ in range(4000 // size)
        ]
        error = np.std(values) / np.sqrt(len(values))
        assert abs(np.mean(values)) < 4 * error
        assert min(values) < 0  # unbiased, so not clipped


def test_kad_knows_no_order_and_no_unit():
    a, b = RNG.normal(size=(2, 50, 6)) * np.arange(1, 7)
    value = kernel_audio_distance(a, b + 1)
    shuffled = kernel_audio_distance(RNG.permutation(a), RNG.permutation(b) + 1)
    assert shuffled == pytest.approx(value)
    assert kernel_audio_distance(7 * a, 7 * (b + 1)) == pytest.approx(value)


def test_kad_of_far_sets_is_200_at_most():
    tight = 1e-3 * RNG.normal(size=(50, 3))
    reference = np.concatenate([tight, tight + 0.001])
    assert 100 < kernel_audio_distance(reference, tight + 1e3) < 200


@pytest.mark.parametrize("sizes", [(1, 5), (5, 1), (0, 0)])
def test_kad_needs_two_rows(sizes):
    with pytest.raises(ValueError, match="two rows"):
        kernel_audio_distance(*(np.zeros((n, 2)) for n in sizes))


def test_coverage_and_density_of_one_distribution():
    a, b = RNG.normal(size=(2, 1000, 4))
    coverage, density = coverage_density(a, b)
    assert coverage == pytest.approx(1 - 2**-5, abs=0.02)
    assert density == pytest.approx(1, abs=0.1)


def test_coverage_of_half_of_the_modes_is_a_half():
    modes = np.repeat([-100.0, 100.0], 300)[:, None] + RNG.normal(size=(600, 2))
    coverage, density = coverage_density(modes, modes[:300] + 1e-3 * RNG.normal(size=(300, 2)))
    assert coverage == pytest.approx(0.5, abs=0.01)
    assert density > 0.9


def test_coverage_falls_where_all_is_drawn_from_the_middle():
    a, b = RNG.normal(size=(2, 1000, 3))
    assert coverage_density(a, 0.1 * b)[0] < 0.1


def test_a_few_rows_far_away_lower_the_density_by_their_share_and_coverage_hardly():
    a, b = RNG.normal(size=(2, 1000, 4))
    b[:200] += 100
    coverage, density = coverage_density(a, b)
    assert density == pytest.approx(0.8, abs=0.1)
    assert coverage > 0.9


def test_coverage_needs_more_rows_than_neighbours():
    with pytest.raises(ValueError, match="more than 5 rows"):
        coverage_density(np.zeros((5, 2)), np.zeros((9, 2)))


def test_fad_has_a_bias_by_size_and_kad_has_none():
    def value(measure, size):
        return np.mean([measure(*RNG.normal(size=(2, size, 20))) for _ in range(10)])

    assert value(frechet_audio_distance, 60) > 5 * value(frechet_audio_distance, 2000) > 0
    assert abs(value(kernel_audio_distance, 60)) < 1
