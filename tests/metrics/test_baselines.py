import numpy as np
import pytest

from keras_rawaudio.data.codecs.linear import Linear
from keras_rawaudio.data.codecs.mulaw import MuLaw
from keras_rawaudio.dsp import linear_prediction as lp
from keras_rawaudio.errors import UserError
from keras_rawaudio.metrics import baselines as bl


def test_code_frequencies_give_the_entropy_of_an_iid_source():
    probabilities = np.array([0.5, 0.25, 0.125, 0.125])
    codes = np.random.default_rng(0).choice(4, size=60000, p=probabilities)
    figures = bl.discrete_baselines(
        [codes[:40000]], [codes[40000:]], Linear(peak=1.0, levels=4), orders=()
    )
    assert figures["order_0"] == pytest.approx(1.75, abs=0.02)
    assert figures["order_1"] == pytest.approx(1.75, abs=0.02)


def test_the_previous_code_tells_all_of_a_cycle():
    codes = np.tile([0, 3, 1, 2], 5000)
    figures = bl.discrete_baselines([codes], [codes], Linear(peak=1.0, levels=4), orders=())
    assert figures["order_0"] == pytest.approx(2, abs=0.001)
    assert figures["order_1"] == pytest.approx(0, abs=0.001)


def test_unseen_codes_and_pairs_stay_finite():
    figures = bl.discrete_baselines(
        [np.full(500, 7)], [np.arange(65536)[::-64]], Linear(peak=1.0, levels=65536), orders=(4,)
    )
    assert all(np.isfinite(list(figures.values())))


def test_iid_laplace_costs_its_entropy():
    """A Laplace residual of scale b costs log2(2 e b / cell) bits; 16 residuals of scale a bit."""
    scale, levels = 0.05, 4096
    x = np.random.default_rng(1).laplace(scale=scale, size=60000)
    codec = Linear(peak=1.0, levels=levels)
    codes = codec.encode(x.astype(np.float32))
    figures = bl.discrete_baselines([codes[:40000]], [codes[40000:]], codec, orders=(4,))
    entropy = np.log2(2 * np.e * scale / (2 / (levels - 1)))
    for domain in ("companded", "linear"):
        # A Laplace 1.45 times too wide costs log2(1.45) - (1 - 1/1.45) / ln 2 = 0.09 bits,
        # a scale from 16 residuals a little more.
        assert 0.09 < figures[f"linear_prediction_4_{domain}"] - entropy < 0.15
        exact = bl.LaplacePredictor([codes[:40000]], codec, 4, domain, scale_factor=1)
        assert 0 < exact.bits_per_sample([codes[40000:]]) - entropy < 0.1


def test_prediction_saves_what_the_correlation_is_worth():
    """An AR(1) process of coefficient 0.95 has 1.68 bits less entropy a sample than its marginal"""
    noise = np.random.default_rng(2).laplace(scale=0.02, size=80000)
    x = np.zeros_like(noise)
    for t in range(1, len(x)):
        x[t] = 0.95 * x[t - 1] + noise[t]
    codec = Linear(peak=1.0, levels=4096)
    codes = codec.encode(x.astype(np.float32))
    figures = bl.discrete_baselines([codes[:60000]], [codes[60000:]], codec, orders=(8,))
    entropy = np.log2(2 * np.e * 0.02 / (2 / 4095))
    assert figures["linear_prediction_8_linear"] == pytest.approx(entropy + 0.12, abs=0.04)
    assert figures["order_0"] > figures["linear_prediction_8_linear"] + 1.3


def test_constant_codes_cost_next_to_nothing():
    codes = np.full(4000, 128)
    figures = bl.discrete_baselines([codes], [codes], MuLaw(peak=1.0), orders=(16,))
    assert figures["order_0"] < 0.1
    assert figures["order_1"] < 0.001
    # The Laplace scale has a floor, so certainty is not free: 2 steps of code, 2e-4 else.
    assert max(figures.values()) < 3
    sharp = bl.LaplacePredictor([codes], MuLaw(peak=1.0), 16, "linear", minimum_scale=1e-6)
    assert sharp.bits_per_sample([codes]) < 0.01


def test_chunks_change_nothing(monkeypatch):
    codec = MuLaw(peak=1.0)
    rng = np.random.default_rng(3)
    segments = [codec.encode(rng.normal(size=n).cumsum() / 100) for n in (700, 1, 450)]
    whole = bl.discrete_baselines(segments, segments, codec, orders=(8,))
    real = [rng.normal(size=700)]
    regression = bl.regression_baselines(real, 10)
    monkeypatch.setattr(lp.padded_chunks, "__defaults__", (100,))
    assert bl.discrete_baselines(segments, segments, codec, orders=(8,)) == pytest.approx(whole)
    assert bl.regression_baselines(real, 10) == pytest.approx(regression)


def test_streams_are_reset_at_segment_borders():
    """Pitfall 5: nothing runs on from one file into the next."""
    codec = MuLaw(peak=1.0)
    a, b = np.random.default_rng(4).integers(0, 256, size=(2, 300))
    train = [a, b]
    for order in (1, 8):
        predictor = bl.LaplacePredictor(train, codec, order, "linear")
        together = predictor.bits_per_sample([a, b])
        apart = (predictor.bits_per_sample([a]) + predictor.bits_per_sample([b])) / 2
        assert together == pytest.approx(apart)
    frequencies = bl.CodeFrequencies(train, 256)
    apart = (frequencies.order_1([a]) + frequencies.order_1([b])) / 2
    assert frequencies.order_1([a, b]) == pytest.approx(apart)


def test_laplace_masses_of_all_cells_sum_to_one():
    edges = np.concatenate([[-np.inf], np.linspace(-50, 50, 501), [np.inf]])
    mass = bl.laplace_mass(edges[:-1], edges[1:])
    assert mass.sum() == pytest.approx(1)
    np.testing.assert_allclose(mass, mass[::-1])
    assert (mass > 0).all()


def test_regression_predictors_on_known_signals():
    """Pitfall 12: a loss is read beside the zero, persistence and copy predictors."""
    rng = np.random.default_rng(5)
    white = bl.regression_baselines([rng.normal(size=200000)], 50)
    assert white["zero"] == pytest.approx(1, abs=0.01)
    assert white["persistence"] == pytest.approx(2, abs=0.05)
    assert white["copy"] == pytest.approx(2, abs=0.02)
    periodic = bl.regression_baselines([np.tile(rng.normal(size=50), 40)], 50)
    assert periodic["copy"] == pytest.approx(0)
    assert set(bl.regression_baselines([np.zeros(500)], 50).values()) == {0.0}
    # Under a codec with an offset, too, zero is silence.
    assert bl.regression_baselines([np.tile([2.0, 4.0], 100)], 4, silence=3.0)["zero"] == 1
    # A frame that is only to be given back is there to be copied.
    given = bl.regression_baselines([rng.normal(size=200000)], 50, reconstruct=True)
    assert given["copy"] == 0
    assert given["persistence"] == pytest.approx(2 * 49 / 50, abs=0.05)


def test_bad_input_is_refused_by_name():
    codec = MuLaw(peak=1.0)
    with pytest.raises(UserError, match="need samples"):
        bl.discrete_baselines([], [np.zeros(5, int)], codec)
    with pytest.raises(UserError, match="two frames"):
        bl.regression_baselines([np.zeros(15)], 10)
