"""A generator of amplitudes alone, whose phases are found while it plays."""

import numpy as np
import pytest

from .conftest import Generator


@pytest.fixture
def rebuilding(exported) -> Generator:
    return exported("spectrum, amplitude")


@pytest.mark.slow
def test_each_frame_is_the_same_three_ways(rebuilding):
    """Found phases answer to a rounding error with another signal, so each frame starts equal."""
    forced, noise, temperature = rebuilding.inputs(2, read=3, drawn=1)
    _, state = rebuilding.keras(forced, noise[:, :0], temperature, rebuilding.fresh_state(2))
    outputs = []
    for _ in range(10):
        expected, after = rebuilding.keras(forced[:, :0], noise, temperature, state)
        for play in (rebuilding.saved_model, rebuilding.onnx):
            audio, _ = play(forced[:, :0], noise, temperature, state)
            np.testing.assert_allclose(audio, expected, atol=1e-4)
        outputs.append(expected)
        state = after
    assert np.std(outputs) > 0.01


@pytest.mark.slow
def test_the_sampler_gives_exactly_what_is_asked(rebuilding):
    from keras_rawaudio_serving.sampler import Sampler

    sampler = Sampler.load(rebuilding.path, streams=2, provider="cpu")
    sampler.prime(np.zeros(17, "float32"))
    audio = sampler.generate(157 / sampler.sample_rate)
    assert audio.shape == (2, 157)
    assert np.isfinite(audio).all()
