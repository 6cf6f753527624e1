"""LPCCodes: what is read off residuals, what it costs to say it, and what is drawn."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_rawaudio.layers.lpc_filter_bank import MIN_RESIDUAL_SCALE
from keras_rawaudio.models.lpc_codes import NUM_GAINS, LPCCodes

FILTERS, FRAME, CODES, WIDTH = 3, 32, 8, 5


def make():
    keras.utils.set_random_seed(0)
    codes = LPCCodes(FILTERS, FRAME, CODES)
    codes.build((None, WIDTH))
    return codes


def test_the_index_is_the_filter_that_errs_least_and_the_gain_how_much():
    """Over a frame and the one before; the last sample of a frame counts in none."""
    sizes = np.array([[0.1, 0.2, 0.4], [0.4, 0.2, 0.05], [0.4, 0.3, 0.01], [0.005, 0.2, 0.4]])
    residuals = np.repeat(sizes, FRAME, axis=0) * np.tile([1, -1], 2 * FRAME)[:, None]
    residuals[FRAME - 1 :: FRAME] = 9.0
    index, gain = make().encode(residuals[None].astype("float32"))
    np.testing.assert_array_equal(np.argmax(index[0], axis=1), [2, 2, 0])
    scale = ops.convert_to_numpy(LPCCodes.decode(gain))[0, :, 0]
    half_a_step = MIN_RESIDUAL_SCALE ** (-0.5 / (NUM_GAINS - 1))
    assert np.abs(np.log(scale / [0.05, 0.01, 0.005])).max() < np.log(half_a_step) + 0.03


def test_residuals_beyond_all_gains_get_the_nearest():
    silent, loud = (make().encode(np.full((1, 2 * FRAME, FILTERS), v, "float32")) for v in (0, 9.0))
    assert float(LPCCodes.decode(silent[1])[0, 0, 0]) == pytest.approx(MIN_RESIDUAL_SCALE)
    assert float(LPCCodes.decode(loud[1])[0, 0, 0]) == pytest.approx(1.0)
    np.testing.assert_allclose(silent[0], 1 / FILTERS)  # they all err alike


def test_gains_stand_for_even_steps_of_loudness():
    sizes = ops.convert_to_numpy(LPCCodes.decode(np.eye(NUM_GAINS, dtype="float32")))[:, 0]
    assert (sizes[0], sizes[-1]) == pytest.approx((MIN_RESIDUAL_SCALE, 1.0))
    np.testing.assert_allclose(np.diff(20 * np.log10(sizes)), 80 / 31, rtol=1e-4)


def test_more_filters_than_samples_are_refused():
    with pytest.raises(ValueError, match="frame of 2 samples has no more filters"):
        LPCCodes(3, 2, CODES)


def test_it_is_made_again_from_its_settings():
    codes = make()
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(codes))
    assert again.get_config() == codes.get_config()
