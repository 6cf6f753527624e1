import numpy as np
import pytest

from keras_rawaudio.generation import ReferenceSampler
from keras_rawaudio.training import nll
from keras_rawaudio.training.evaluator import Evaluator
from keras_rawaudio.training.nll import sample_bits


@pytest.mark.parametrize("clock", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_the_mean_is_the_validations(corpus, tiny, build, clock, monkeypatch):
    """Sample by sample, in windows of any length, it is what validation counts."""
    model = build(tiny(clock=clock))
    (segment,), starts = corpus.segments("validation"), corpus.starts("validation")
    audio = segment[None].astype(np.float32) / 32768
    bits = sample_bits(model, audio, starts)
    assert bits.shape == audio.shape
    scored = Evaluator(model, [segment], starts)()["bits_per_sample"]
    assert bits.mean(dtype=np.float64) == pytest.approx(scored, rel=1e-5)
    monkeypatch.setattr(nll, "SAMPLES", 24)
    again = sample_bits(model, audio, starts)
    # A frame that is as near to two codes may take either.
    assert np.isclose(again, bits, rtol=1e-3, atol=1e-4).mean() > 0.95
    np.testing.assert_allclose(again, bits, atol=0.02)


def test_streams_are_read_side_by_side(corpus, tiny, build):
    model = build(tiny())
    audio = corpus.segments("train")[0][:600].reshape(2, 300).astype(np.float32) / 32768
    together = sample_bits(model, audio)
    for row, alone in zip(together, (sample_bits(model, a[None])[0] for a in audio), strict=True):
        np.testing.assert_allclose(row, alone, rtol=1e-4, atol=1e-5)


def test_what_a_model_draws_costs_it_its_entropy(tiny, build):
    """Fresh weights with flat logits draw from a uniform distribution: 4 bits of 16 codes."""
    model = build(tiny())
    model.head.logits.kernel.assign(0 * model.head.logits.kernel)
    audio = ReferenceSampler(model).generate(400, streams=2)
    np.testing.assert_allclose(sample_bits(model, audio), 4.0, atol=1e-4)
