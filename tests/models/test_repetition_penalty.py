"""What sounded for long becomes less probable."""

import numpy as np
import pytest
from keras import ops

from keras_rawaudio.models.code_sampler import AGE
from keras_rawaudio.models.repetition_penalty import (
    REPEATED,
    TIME_CONSTANT,
    WIDTH,
    RepetitionPenalty,
)
from keras_rawaudio.models.spectral_codec import CODES, SOFTNESS, SpectralCodec

RATE = 2000
BANDS, LEVELS = 2, 16


@pytest.fixture(scope="module")
def codec():
    codec = SpectralCodec(RATE, codebook_size=LEVELS, components=4)
    assert codec.bands == BANDS
    codec.fit([np.random.default_rng(0).normal(size=20 * RATE).astype(np.float32) / 10])
    return codec


def counted(penalty, streams):
    """The state after codes `(B, blocks, bands)`."""
    state = {REPEATED: ops.zeros((len(streams), BANDS * LEVELS))}
    for codes in np.moveaxis(streams, 1, 0):
        state = penalty.step({CODES: ops.convert_to_tensor(codes, "float32"), **state})
    return np.asarray(state[REPEATED]).reshape(len(streams), BANDS, LEVELS)


def near(codec, band, code):
    """How near each entry is to one, by the formula."""
    entries = np.asarray(codec.entries[band], np.float64)
    apart = np.square(entries - entries[code]).sum(axis=1)
    nearest = float(codec.softness[band]) / SOFTNESS
    return np.exp(-apart / (2 * WIDTH**2 * nearest))


def test_it_is_the_decaying_mean_of_how_near_each_entry_was(codec):
    penalty = RepetitionPenalty(codec)
    streams = np.random.default_rng(1).integers(0, LEVELS, (3, 40, BANDS))
    decay = np.exp(-codec.spectra.block / RATE / TIME_CONSTANT)
    expected = np.zeros((3, BANDS, LEVELS))
    for row, stream in enumerate(streams):
        for codes in stream:
            for band, code in enumerate(codes):
                own = expected[row, band]
                own[:] = decay * own + (1 - decay) * near(codec, band, code)
    np.testing.assert_allclose(counted(penalty, streams), expected, atol=1e-5)


def test_a_sound_that_is_held_loses_the_whole_strength_and_the_nearest_more_than_the_farthest(
    codec,
):
    penalty = RepetitionPenalty(codec)
    penalty.strengths.assign([5.0, 0.0])
    repeated = counted(penalty, np.full((1, 2000, BANDS), 3)).reshape(1, -1)
    lost = np.asarray(penalty.of(0, {REPEATED: ops.convert_to_tensor(repeated)}))[0]
    assert lost[3] == pytest.approx(5.0, abs=0.01)
    apart = np.square(np.asarray(codec.entries[0]) - np.asarray(codec.entries[0])[3]).sum(axis=1)
    assert (np.diff(lost[np.argsort(apart)]) <= 1e-6).all()
    assert not np.any(penalty.of(1, {REPEATED: ops.convert_to_tensor(repeated)}))


def test_no_block_before_counts_nothing(codec):
    assert not counted(RepetitionPenalty(codec), np.full((2, 5, BANDS), -1)).any()


def test_a_penalty_keeps_a_model_from_holding_a_code():
    """The prior prefers one code by six nats."""
    from ..small_models import make_spectral

    model = make_spectral(codebook_size=LEVELS, repetition_penalty=True)
    model.prepare([np.random.default_rng(0).normal(size=20 * RATE).astype(np.float32) / 10])
    bias = np.zeros((BANDS, LEVELS), np.float32)
    bias[:, 3] = 6.0
    model.code_bias.assign(bias)

    def share():
        state = {**model.zero_state(8), CODES: -ops.ones((8, BANDS)), AGE: ops.zeros((8, 1))}
        state |= {REPEATED: ops.zeros((8, BANDS * LEVELS))}
        rng, keys, count = np.random.default_rng(2), model.sampler.drawing_keys(), 0.0
        for block in range(120):
            noise = ops.convert_to_tensor(rng.random((8, model.noise_per_draw), np.float32))
            hidden, state = model.step(state, noise)
            codes = model.sampler.draw(hidden, noise, ops.ones((8, 1)), keys, state)
            state = {**state, CODES: ops.cast(codes, "float32")}
            if block >= 60:
                count += (np.asarray(codes) == 3).mean() / 60
        return count

    held = share()
    model.penalty.strengths.assign([15.0, 15.0])
    assert held > 0.9
    assert share() < 0.75


def test_a_model_without_strengths_has_no_state_of_it():
    from ..small_models import make_spectral

    model = make_spectral(repetition_penalty=True)
    assert REPEATED not in model.generator_state_spec()
    model.penalty.strengths.assign([0.0, 1.0])
    assert model.generator_state_spec()[REPEATED] == ((BANDS * LEVELS,), 0.0)


def test_it_is_saved_with_its_model(tmp_path):
    import keras

    from ..small_models import make_spectral

    model = make_spectral(repetition_penalty=True)
    model.penalty.strengths.assign([2.0, 1.0])
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.penalty.strengths, [2.0, 1.0])
    assert make_spectral().penalty is None
