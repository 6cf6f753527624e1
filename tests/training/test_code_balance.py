"""Free-running draws get the code frequencies of the train part, and as many different codes."""

import keras
import numpy as np
import pytest

from keras_rawaudio.models import SpectralModel
from keras_rawaudio.training import code_balance
from keras_rawaudio.training.code_balance import (
    AGES,
    FIRST_MIN_P_UPDATE,
    LARGEST_BIAS,
    LARGEST_MIN_P,
    LARGEST_MIN_P_STEP,
    LARGEST_PENALTY,
    LARGEST_PENALTY_STEP,
    LEAST_PENALTY,
    CodeBalance,
)
from keras_rawaudio.training.code_corpus import CodeCorpus
from keras_rawaudio.training.code_statistics import distinct_codes, moved_share

RATE = 2000
BLOCKS = 100  # of a draw


@pytest.fixture
def balance(monkeypatch):
    monkeypatch.setattr(code_balance, "ROWS", 8)
    keras.utils.set_random_seed(0)
    model = SpectralModel(RATE, codebook_size=16, components=4, units=8, repetition_penalty=True)
    monkeypatch.setattr(code_balance, "SECONDS", BLOCKS * model.block / RATE)
    model.prepare([np.random.default_rng(0).normal(size=20 * RATE).astype(np.float32) / 10])
    # A piece that has the first code of each band half of the time.
    codes = np.random.default_rng(1).integers(0, 16, (4000, model.frame))
    codes[::2] = 0
    rows = (codes + 1).astype(np.int16).ravel()
    return CodeBalance(model, CodeCorpus({"train": [rows]}, {"train": [0]}))


def draws_of(balance, codes):
    """Let every draw give these codes `(blocks, bands)` in each stream."""
    shape = (BLOCKS, code_balance.ROWS, balance.model.frame)
    drawn = np.broadcast_to(codes[:BLOCKS, None], shape).astype(np.int32)
    balance.draws = lambda rng, anew: drawn


def test_the_wanted_frequencies_are_those_of_the_train_part(balance):
    (frequencies,) = balance.frequencies
    np.testing.assert_allclose(frequencies.sum(axis=1), 1)
    assert frequencies[:, 0] == pytest.approx(0.5 + 0.5 / 16, abs=0.02)


def test_updates_bring_draws_to_the_wanted_frequencies(balance):
    divergences = balance.fit(40, seed=0)
    assert divergences[0] > 0.5
    assert divergences[-1] < 0.1


def test_biases_are_a_function_of_the_seed(balance):
    first = balance.fit(2, seed=3)
    bias = np.asarray(balance.model.code_bias)
    assert balance.fit(2, seed=3) == first
    np.testing.assert_array_equal(balance.model.code_bias, bias)


def test_biases_are_bounded(balance):
    balance.frequencies = np.eye(16)[np.full((1, balance.model.frame), 3)]
    balance.fit(40, seed=0)
    assert np.abs(np.asarray(balance.model.code_bias)).max() == LARGEST_BIAS


def test_streams_that_wander_are_drawn_from_fewer_codes(balance):
    shape = (BLOCKS, balance.model.frame)
    balance.distinct[balance.window][:] = 4.0  # of the piece
    draws_of(balance, np.random.default_rng(5).integers(0, 16, shape))
    balance.fit(FIRST_MIN_P_UPDATE, seed=0)
    assert not np.any(balance.model.min_p)
    balance.fit(FIRST_MIN_P_UPDATE + 1, seed=0)
    np.testing.assert_allclose(balance.model.min_p, LARGEST_MIN_P_STEP)
    balance.fit(FIRST_MIN_P_UPDATE + 20, seed=0)
    np.testing.assert_allclose(balance.model.min_p, LARGEST_MIN_P)


def test_streams_that_stay_on_few_codes_are_drawn_from_all(balance):
    draws_of(balance, np.zeros((BLOCKS, balance.model.frame), int))
    balance.model.min_p.assign(np.full(balance.model.frame, 0.2))
    balance.fit(FIRST_MIN_P_UPDATE + 2, seed=0)
    assert not np.any(balance.model.min_p)


def test_streams_with_as_many_codes_as_the_piece_are_not_truncated(balance):
    codes = np.random.default_rng(5).integers(0, 16, (BLOCKS, balance.model.frame))
    balance.distinct[balance.window] = distinct_codes([codes], balance.window)
    draws_of(balance, codes)
    balance.fit(FIRST_MIN_P_UPDATE + 2, seed=0)
    np.testing.assert_allclose(balance.model.min_p, 0, atol=1e-6)


def test_a_band_that_wanders_is_truncated_alone(balance):
    codes = np.random.default_rng(5).integers(0, 16, (BLOCKS, balance.model.frame))
    draws_of(balance, codes)
    wanted = distinct_codes([codes], balance.window)  # as many as are drawn
    wanted[1] /= 2
    balance.distinct[balance.window] = wanted
    balance.fit(FIRST_MIN_P_UPDATE + 1, seed=0)
    moved = np.zeros(balance.model.frame)
    moved[1] = LARGEST_MIN_P_STEP
    np.testing.assert_allclose(balance.model.min_p, moved, atol=1e-6)


def test_streams_that_hold_a_code_are_penalised_for_it(balance):
    assert (balance.moved > 0.3).all()
    draws_of(balance, np.zeros((BLOCKS, balance.model.frame), int))
    balance.fit(FIRST_MIN_P_UPDATE, seed=0)
    assert not balance.model.penalty.acts
    balance.fit(FIRST_MIN_P_UPDATE + 3, seed=0)
    np.testing.assert_allclose(balance.model.penalty.strengths, 3 * LARGEST_PENALTY_STEP)
    balance.fit(FIRST_MIN_P_UPDATE + 60, seed=0)
    np.testing.assert_allclose(balance.model.penalty.strengths, LARGEST_PENALTY)


def test_streams_that_move_as_much_as_the_piece_or_more_are_not_penalised(balance):
    codes = np.random.default_rng(5).integers(0, 16, (BLOCKS, balance.model.frame))
    draws_of(balance, codes)
    drawn = moved_share([codes], balance._entries, balance._far, balance._lag)
    for moved in (drawn, drawn / 2):
        balance.moved = moved
        balance.fit(FIRST_MIN_P_UPDATE + 4, seed=0)
        np.testing.assert_allclose(balance.model.penalty.strengths, 0, atol=1e-6)


def test_a_weak_penalty_is_none(balance):
    draws_of(balance, np.zeros((BLOCKS, balance.model.frame), int))
    assert LARGEST_PENALTY_STEP < LEAST_PENALTY
    balance.fit(FIRST_MIN_P_UPDATE + 1, seed=0)
    assert not balance.model.penalty.acts


def test_a_band_that_is_held_is_penalised_alone(balance):
    codes = np.random.default_rng(5).integers(0, 16, (BLOCKS, balance.model.frame))
    balance.moved = moved_share([codes], balance._entries, balance._far, balance._lag)
    codes[:, 1] = 3
    draws_of(balance, codes)
    balance.fit(FIRST_MIN_P_UPDATE + 3, seed=0)
    strengths = np.zeros(balance.model.frame)
    strengths[1] = 3 * LARGEST_PENALTY_STEP
    np.testing.assert_allclose(balance.model.penalty.strengths, strengths, atol=1e-6)


@pytest.mark.parametrize(("every", "variety"), [(1, 1.0), (25, 0.25)])
@pytest.mark.parametrize("bands", [slice(None), slice(1, 2)])
def test_variety_is_the_share_of_the_pieces_codes_in_the_band_that_changes_least(
    balance, every, variety, bands
):
    codes = np.arange(BLOCKS)[:, None] % 16 * np.ones(balance.model.frame)
    codes[:, bands] = np.arange(BLOCKS)[:, None] // every % 16
    balance.distinct = {balance.minute: np.full(balance.model.frame, 16.0)}
    draws_of(balance, codes)
    balance.fit(4, seed=0)
    assert balance.variety == variety


def test_variety_is_low_where_streams_stay_in_one_place_for_ten_seconds(balance):
    """The minute has all codes, each window of ten seconds has a quarter of them."""
    balance.distinct = {n: np.full(balance.model.frame, 16.0) for n in (25, BLOCKS)}
    blocks = np.arange(BLOCKS)[:, None]
    draws_of(balance, (blocks // 25 * 4 + blocks % 4) * np.ones(balance.model.frame))
    balance.fit(4, seed=0)
    assert balance.variety == 0.25


def test_streams_of_all_ages_are_drawn(balance, monkeypatch):
    monkeypatch.setattr(code_balance, "ROWS", AGES)
    ages = np.zeros(AGES, int)
    seen = []

    def draw(rng, anew):
        ages[anew] = 0
        seen.append(sorted(ages))
        ages[:] += 1
        return np.zeros((BLOCKS, AGES, balance.model.frame), np.int32)

    balance.draws = draw
    balance.fit(2 * AGES, seed=0)
    assert seen[0] == [0] * AGES
    assert seen[-1] == list(range(AGES))


def test_what_a_stream_leads_to_is_balanced_too(balance):
    """Streams of a second minute that have one code alone: its bias falls."""
    later = np.zeros((BLOCKS, code_balance.ROWS, balance.model.frame), np.int32)
    early = np.random.default_rng(5).integers(0, 16, later.shape).astype(np.int32)
    early[::2] = 0
    age = np.zeros(code_balance.ROWS, int)

    def draw(rng, anew):
        age[anew] = 0
        age[:] += 1
        return np.where((age > 4)[None, :, None], later, early)

    balance.draws = draw
    balance.fit(4, seed=0)
    assert np.asarray(balance.model.code_bias)[:, 0] == pytest.approx(0, abs=0.1)
    balance.fit(16, seed=0)
    assert np.asarray(balance.model.code_bias)[:, 0].max() < -0.5


def test_streams_of_one_label_are_held_to_its_codes():
    """What was drawn of one label alone tells nothing of the others' codes."""
    keras.utils.set_random_seed(0)
    model = SpectralModel(RATE, codebook_size=16, components=4, units=8, labels=["low", "high"])
    shape = (4000, model.frame)
    rows = [np.random.default_rng(i).integers(8 * i, 8 * i + 8, shape) + 1 for i in range(2)]
    data = CodeCorpus(
        {"train": [row.astype(np.int16).ravel() for row in rows]},
        {"train": [0, 0]},
        {"train": [0, 1]},
    )
    balance = CodeBalance(model, data)

    class OneLabel:
        music = np.array([[1.0, 0.0]])

        def __call__(self, rng, anew):
            return rows[0][:, None] - 1

    balance.draws = OneLabel()
    balance.fit(4, seed=0)
    assert np.abs(np.asarray(model.code_bias)).max() < 0.05
    balance.draws.music = np.array([[0.5, 0.5]])
    balance.fit(4, seed=0)
    assert np.asarray(model.code_bias)[:, 8:].min() > 0.5


@pytest.mark.parametrize("labels", [[], ["one", "other"]])
def test_streams_of_one_section_are_held_to_its_codes(labels):
    """A stream that was long in one section by chance is not pushed to the codes of the other."""
    keras.utils.set_random_seed(0)
    sizes = {"codebook_size": 16, "components": 4, "units": 8, "sections": 2}
    model = SpectralModel(RATE, labels=labels, **sizes)
    model.prepare(
        [np.random.default_rng(0).normal(size=20 * RATE).astype(np.float32) / 10] * 2,
        range(len(labels)) or [0] * 2,
    )
    codes = np.repeat([0, 15], 2000)[:, None] * np.ones((1, model.frame), int)
    model.find_sections([codes] * (len(labels) or 1), range(len(labels) or 1))
    low = int(model.sections.of(codes)[0])
    rows = (codes + 1).astype(np.int16).ravel()
    count = len(labels) or 1
    of_each = {"train": list(range(count))} if labels else None
    data = CodeCorpus({"train": [rows] * count}, {"train": [0] * count}, of_each)
    balance = CodeBalance(model, data)

    class OneSection:
        music = np.eye(2)[:1]
        sections = np.full((500, 1), low)

        def __call__(self, rng, anew):
            return codes[:500, None]

    balance.draws = OneSection()
    balance.fit(4, seed=0)
    assert np.abs(np.asarray(model.code_bias)[:, [0, 15]]).max() < 0.05
    balance.draws.sections = np.repeat([[low], [1 - low]], 250, axis=0)  # of the first label
    balance.fit(4, seed=0)
    assert np.asarray(model.code_bias)[:, 15].min() > 0.5


def test_no_window_counts_nothing():
    np.testing.assert_array_equal(distinct_codes([np.zeros((3, 2), int)], window=4), [0, 0])


def test_what_has_moved_is_far_from_what_was_there_before():
    entries, far = [np.array([[0.0], [1.0], [9.0]])] * 2, np.array([4.0, 1e9])
    codes = np.array([0, 1, 2, 2, 0])[:, None] * np.ones((1, 2), int)
    np.testing.assert_allclose(moved_share([codes], entries, far, lag=1), [2 / 4, 0])
    np.testing.assert_allclose(moved_share([codes] * 3, entries, far, lag=2), [1, 0])
    np.testing.assert_array_equal(moved_share([codes], entries, far, lag=5), [0, 0])
