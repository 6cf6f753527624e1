"""Layers compute in the dtype of their policy, and give what float32 gives."""

import numpy as np
import pytest
from keras import ops

from keras_rawaudio.layers import AffineCoupling, BidirectionalStack, Corruption

RNG = np.random.default_rng(0)
SPECTRA, CONDITION = RNG.normal(size=(2, 8, 2)), RNG.normal(size=(2, 3))


def with_weights(layer):
    rng = np.random.default_rng(1)
    for weight in layer.trainable_weights:
        weight.assign(0.3 * rng.normal(size=weight.shape))
    return layer


def corrupted(**kwargs):
    return Corruption(4, noise=0.3, step=0.1, dropped=0.2, **kwargs)(SPECTRA[:, :, 0])


def coupled(**kwargs):
    layer = AffineCoupling(0, filters=4, kernel_size=3, **kwargs)
    layer.build(SPECTRA.shape, CONDITION.shape)
    outputs, _ = with_weights(layer)(SPECTRA, CONDITION)
    return outputs


def stacked(**kwargs):
    layer = BidirectionalStack("gru", 4, 2, **kwargs)
    layer.build(SPECTRA.shape)
    return with_weights(layer)(SPECTRA)


@pytest.mark.parametrize("policy", ["float16", "mixed_float16", "mixed_bfloat16", "float64"])
@pytest.mark.parametrize("make", [coupled, stacked])
def test_the_same_in_another_dtype(make, policy):
    outputs, expected = make(dtype=policy), make()
    assert outputs.dtype == policy.removeprefix("mixed_")
    tolerance = 0.05 if "16" in policy else 1e-5
    values = ops.convert_to_numpy(ops.cast(outputs, "float32"))
    np.testing.assert_allclose(values, expected, atol=tolerance)


@pytest.mark.parametrize("policy", ["mixed_float16", "bfloat16", "float64"])
def test_damage_is_drawn_in_the_dtype_of_the_audio(policy):
    outputs = corrupted(dtype=policy)
    assert outputs.dtype == policy.removeprefix("mixed_")
    values = ops.convert_to_numpy(ops.cast(outputs, "float32"))
    assert np.isfinite(values).all()
    assert not np.allclose(values, SPECTRA[:, :, 0], atol=0.05)
