"""Streams from nothing: the first frames have no phases to go on from."""

import numpy as np
import pytest

from ..small_models import SPECTRAL_MODELS


@pytest.mark.parametrize(
    ("name", "seeds"),
    [(name, 4) for name in SPECTRAL_MODELS]
    + [pytest.param(name, 40, marks=pytest.mark.slow) for name in SPECTRAL_MODELS],
)
def test_onnx_runtime_begins_with_the_samples_of_keras(exported, name, seeds):
    generator = exported(name)
    for seed in range(seeds):
        inputs, state = generator.inputs(4, 0, drawn=12, seed=seed), generator.fresh_state(4)
        expected, _ = generator.keras(*inputs, state)
        audio, _ = generator.onnx(*inputs, state)
        np.testing.assert_allclose(audio, expected, atol=1e-5, err_msg=f"seed {seed}")
