"""Copies of the train part are detected while they are drawn."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_rawaudio.models.code_mel import log_mel_of_codes, mel_powers
from keras_rawaudio.models.code_sampler import AGE
from keras_rawaudio.models.copy_detector import (
    BANDS,
    LEAST_VARIANCE,
    MOMENTS,
    PRODUCTS,
    CopyDetector,
)
from keras_rawaudio.models.spectral_codec import CODES

from ..small_models import make_spectral

BLOCKS = 150


@pytest.fixture(scope="module")
def rows():
    """Two stretches of the train part."""
    codes = np.random.default_rng(0).integers(0, 16, (BLOCKS, 2))
    return [codes[:100], codes[100:]]


@pytest.fixture(scope="module")
def model(rows):
    model = make_spectral(train_places=BLOCKS, codebook_size=16)
    assert model.frame == 2
    model.keep_train_part(rows)
    return model


def followed(detector, streams, threshold, drawn=1.0):
    """Whether each of some streams `(B, T, bands)` is a copy after each block, `(T, B)`."""
    detector.threshold.assign(threshold)
    batch = len(streams)
    state = {PRODUCTS: ops.zeros((batch, BLOCKS)), MOMENTS: ops.zeros((batch, 2))}
    found = []
    for codes in np.moveaxis(streams, 1, 0):
        copies, state = detector.step({**state, CODES: ops.convert_to_tensor(codes)}, drawn)
        found.append(np.asarray(copies)[:, 0])
    return np.array(found), {name: np.asarray(value) for name, value in state.items()}


def correlations(model, rows, stream):
    """Of the stream's end with each place, by sums over all blocks before them."""
    decay = np.exp(-model.block / model.rate)
    train = np.concatenate(rows)
    powers = mel_powers(model.spectral_codec, BANDS)
    spectra = log_mel_of_codes(train, powers)
    mean, deviation = spectra.mean(axis=0), spectra.std(axis=0)
    X, x = (spectra - mean) / deviation, (log_mel_of_codes(stream, powers) - mean) / deviation
    found = []
    for place in range(len(X)):
        ours, theirs = np.zeros((2, 200, x.shape[1]))
        ours[: len(x)], theirs[: place + 1] = x[::-1], X[place::-1]
        weights = np.repeat(decay ** np.arange(200)[:, None], x.shape[1], axis=1)
        weights *= (1 - decay) / x.shape[1]
        # What lies before both is the mean, and counts as much as it would if it were there.
        means = (weights * ours).sum(), (weights * theirs).sum()
        covariance = (weights * ours * theirs).sum() - means[0] * means[1]
        variances = [
            max((weights * v * v).sum() - m * m, LEAST_VARIANCE)
            for v, m in zip((ours, theirs), means, strict=True)
        ]
        found.append(covariance / np.sqrt(np.prod(variances)))
    return np.array(found)


def test_it_is_the_correlation_of_the_last_seconds(model, rows):
    """Each threshold is reached exactly where the greatest correlation is above it."""
    rng = np.random.default_rng(1)
    stream = np.concatenate([rng.integers(0, 16, (20, 2)), np.concatenate(rows)[60:72]])
    best = correlations(model, rows, stream).max()
    assert 0.3 < best < 0.95
    for threshold, copies in ((best - 1e-3, True), (best + 1e-3, False)):
        found, _ = followed(model.copies, stream[None], threshold)
        assert found[-1, 0] == copies


def test_a_copy_is_noticed_and_what_is_drawn_at_random_is_not(model, rows):
    rng = np.random.default_rng(2)
    streams = rng.integers(0, 16, (4, 60, 2))
    streams[1, 20:] = np.concatenate(rows)[40:80]
    found, _ = followed(model.copies, streams, 0.8)
    assert not found[:, [0, 2, 3]].any()
    assert not found[:25, 1].any()
    assert found[-1, 1]


def test_a_lower_threshold_notices_sooner(model, rows):
    rng = np.random.default_rng(3)
    stream = np.concatenate([rng.integers(0, 16, (20, 2)), np.concatenate(rows)[40:90]])
    first = [followed(model.copies, stream[None], t)[0][:, 0].argmax() for t in (0.6, 0.75, 0.9)]
    assert 20 < first[0] < first[1] < first[2]


def test_what_is_read_does_not_count(model, rows):
    stream = np.concatenate(rows)[None, 40:90]
    found, state = followed(model.copies, stream, 0.5, drawn=0.0)
    assert not found.any()
    assert not any(value.any() for value in state.values())


def test_silence_and_no_codes_are_no_copy():
    quiet = make_spectral(train_places=BLOCKS, codebook_size=16)
    quiet.keep_train_part([np.zeros((BLOCKS, 2), int)])
    for code in (0, -1):
        found, state = followed(quiet.copies, np.full((1, 50, 2), code), 0.1)
        assert not found.any()
        assert all(np.isfinite(value).all() for value in state.values())


@pytest.mark.parametrize(("age", "ends"), [(4.0, False), (40.0, True)])
def test_a_stream_that_copies_begins_anew_after_a_second(model, rows, age, ends):
    model.copies.threshold.assign(0.5)
    state = {name: ops.zeros((1, *shape)) for name, shape in model.state_spec().items()}
    state |= {PRODUCTS: ops.full((1, BLOCKS), 1e3), MOMENTS: ops.zeros((1, 2))}
    codes = ops.convert_to_tensor(np.concatenate(rows)[:1], "float32")
    state |= {CODES: codes, AGE: ops.full((1, 1), age)}
    _, after = model.step(state, ops.zeros((1, model.noise_per_draw)))
    assert float(after[AGE][0, 0]) == (1.0 if ends else age + 1)
    _, after = model.step(state, ops.zeros((1, model.noise_per_draw)), 0.0)
    assert float(after[AGE][0, 0]) == 1.0  # what is read is one
    assert not np.any(after[PRODUCTS])


def test_where_there_are_beats_it_begins_anew_on_one(rows):
    model = make_spectral(train_places=BLOCKS, codebook_size=16, clock_harmonics=2)
    model.prior.set_period(64 * model.frame)
    model.prior.set_beat([0.25])
    model.copies.threshold.assign(0.5)
    codes = np.concatenate(rows)[:1].astype("float32")
    ages = []
    for block in range(64):
        state = {name: ops.zeros((1, *shape)) for name, shape in model.state_spec().items()}
        state |= {PRODUCTS: ops.full((1, BLOCKS), 1e3), MOMENTS: ops.zeros((1, 2))}
        state |= {"tier0_clock": ops.full((1, 1), block / 64)}
        state |= {CODES: ops.convert_to_tensor(codes), AGE: ops.full((1, 1), 40.0)}
        ages.append(float(model.step(state, ops.zeros((1, model.noise_per_draw)))[1][AGE][0, 0]))
    beats = np.flatnonzero(np.array(ages) == 1.0)
    assert beats.tolist() == list(range(beats[0], 64, beats[1] - beats[0]))
    assert 16 in beats
    assert 1 < beats[1] - beats[0] <= model.copies.second


def test_a_generator_has_its_state_where_copies_are_sought(model):
    model.copies.threshold.assign(0.0)
    assert not {PRODUCTS, MOMENTS} & set(model.generator_state_spec())
    model.copies.threshold.assign(0.7)
    assert model.generator_state_spec()[PRODUCTS] == ((BLOCKS,), 0.0)
    assert make_spectral().copies is None


def test_it_is_saved_with_the_model(model, tmp_path):
    model.copies.threshold.assign(0.7)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", compile=False)
    for before, after in zip(model.copies.weights, loaded.copies.weights, strict=True):
        np.testing.assert_array_equal(after, before)
    again = CopyDetector.from_config(model.copies.get_config())
    again.build()
    assert [w.shape for w in again.weights] == [w.shape for w in model.copies.weights]
