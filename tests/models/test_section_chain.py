"""Sections of a piece, and the chain by which they follow each other."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from keras_rawaudio.models import section_chain
from keras_rawaudio.models.code_sampler import AGE
from keras_rawaudio.models.controls import MUSIC
from keras_rawaudio.models.section_chain import (
    ABSENT,
    RECENT,
    SECTION,
    SHORTEST,
    SectionChain,
)
from keras_rawaudio.models.spectral_codec import CODES

from ..small_models import make_spectral

COUNT = 4


@pytest.fixture(scope="module")
def model():
    return make_spectral(sections=COUNT)


@pytest.fixture(scope="module")
def labelled():
    model = make_spectral(sections=COUNT, labels=["night", "day"])
    model.sections.means.assign(np.random.default_rng(0).normal(size=model.sections.means.shape))
    return model


def far_apart(model, count):
    """Codes whose entries are as far from each other as may be, `(count, bands)`."""
    entries = [np.asarray(model.spectral_codec.scaled_entries(b)) for b in range(model.frame)]
    found = [np.zeros(model.frame, int)]
    for _ in range(count - 1):
        each = [
            np.min([np.square(e - e[codes[b]]).sum(axis=1) for codes in found], axis=0).argmax()
            for b, e in enumerate(entries)
        ]
        found.append(np.array(each))
    return np.array(found)


def blocks(model, seconds):
    return round(seconds * model.rate / model.block)


def row_of(model, *stretches):
    """Codes of stretches `(timbre, seconds)`, one after the other."""
    timbres = far_apart(model, COUNT)
    return np.concatenate([np.tile(timbres[k], (blocks(model, s), 1)) for k, s in stretches])


def fitted(model, rows, labels=None, count=COUNT):
    chain = SectionChain(model.spectral_codec, count, 0 if labels is None else max(labels) + 1)
    chain.build()
    chain.fit(rows, labels or [0] * len(rows))
    return chain


def drawn(chain, rows, steps, seed=0, **state):
    """Sections `(steps, rows)` that follow each other."""
    noise = np.random.default_rng(seed).random((steps, rows, 1)).astype(np.float32)
    state = {SECTION: -ops.ones((rows, 1)), **state}
    found, step = [], tf.function(lambda state, noise: chain.step(state, noise, 1.0))
    for t in range(steps):
        state |= step(state, ops.convert_to_tensor(noise[t]))
        found.append(np.asarray(state[SECTION])[:, 0].astype(int))
    return np.array(found)


def test_stretches_of_one_timbre_are_one_section(model):
    stretches = [(0, 60), (1, 40), (0, 60), (1, 40)]
    row = row_of(model, *stretches)
    sections = fitted(model, [row]).of(row)
    true = np.repeat([k for k, _ in stretches], [blocks(model, s) for _, s in stretches])
    assert len(set(sections.tolist())) == 2
    same = (sections == sections[0]) == (true == 0)
    assert same.mean() > 0.98  # within five seconds of a change the mean is of both


@pytest.mark.parametrize("shortest", [SHORTEST, 0.0])
def test_no_section_is_shorter_than_twenty_seconds_in_all(model, monkeypatch, shortest):
    monkeypatch.setattr(section_chain, "SHORTEST", shortest)
    row = row_of(model, (0, 100), (1, SHORTEST / 4), (0, 100), (2, 60))
    sections = fitted(model, [row]).of(row)
    seconds = np.bincount(sections) * model.block / model.rate
    assert (seconds.min() >= SHORTEST) == (shortest == SHORTEST)
    assert sections[0] != sections[-1]  # of the timbres 0 and 2


@pytest.mark.parametrize("seconds", [0.1, 15.0])
def test_a_short_train_part_is_one_section(model, seconds):
    row = row_of(model, (0, seconds / 2), (1, seconds / 2))
    chain = fitted(model, [row])
    assert set(chain.of(row).tolist()) == {0}
    assert (drawn(chain, 50, 5) == 0).all()


def test_sections_last_as_long_and_are_as_frequent_as_in_the_train_part(model):
    row = row_of(model, (0, 90), (1, 30), (0, 90), (1, 30))
    chain = fitted(model, [row])
    true = chain.of(row)
    found = drawn(chain, 400, 1500)
    rare = 1 - true[0]
    assert found[0].mean() == pytest.approx((true == 1).mean(), abs=0.06)  # the first block, too
    assert (found == rare).mean() == pytest.approx((true == rare).mean(), abs=0.03)
    circle = np.append(true, true[:1])
    for section in (0, 1):
        leaves = (circle[1:] != circle[:-1])[circle[:-1] == section].mean()
        left = (found[1:] != found[:-1])[found[:-1] == section].mean()
        assert left == pytest.approx(leaves, rel=0.1)


def test_only_sections_that_are_there_are_drawn(model):
    chain = fitted(model, [row_of(model, (0, 60), (1, 60))])
    assert (np.asarray(chain.means)[0, 2:] == ABSENT).all()
    largest = np.full((1, 1), 1 - 2**-24, np.float32)
    for before in range(-1, COUNT):
        after = chain.step({SECTION: ops.full((1, 1), float(before))}, largest, 1.0)
        assert float(after[SECTION][0, 0]) <= 1


def test_each_label_has_sections_of_its_own(model):
    rows = [row_of(model, (0, 60), (1, 60)), row_of(model, (2, 120))]
    chain = fitted(model, rows, [0, 1])
    assert len(set(chain.of(rows[0], 0).tolist())) == 2
    assert set(chain.of(rows[1], 1).tolist()) == {0}
    music = ops.convert_to_tensor(np.repeat(np.eye(2, dtype=np.float32), 50, axis=0))
    found = drawn(chain, 100, 300, **{MUSIC: music})
    assert set(np.unique(found[:, :50])) == {0, 1}
    assert (found[:, 50:] == COUNT).all()


def test_music_that_changes_leads_to_its_own_sections(model):
    rows = [row_of(model, (0, 60), (1, 60)), row_of(model, (2, 120))]
    chain = fitted(model, rows, [0, 1])
    day = ops.convert_to_tensor(np.tile([[0.2, 0.8]], (20, 1)).astype(np.float32))
    for before in (0, 1, COUNT):
        state = {SECTION: ops.full((20, 1), float(before)), MUSIC: day}
        assert (drawn(chain, 20, 3, **state) == COUNT).all()


def test_unknown_music_has_no_section(labelled):
    found = drawn(labelled.sections, 5, 3, **{MUSIC: ops.zeros((5, 2))})
    assert (found == -1).all()


def test_what_is_read_decides_the_section_and_the_chain_goes_on_from_there(model):
    row = row_of(model, (0, 60), (1, 60))
    chain = fitted(model, [row])
    true, noise = chain.of(row), np.zeros((1, 1), np.float32)
    state = {SECTION: -ops.ones((1, 1)), RECENT: ops.zeros((1, chain.state_spec()[RECENT][0][0]))}
    found, read = [], tf.function(lambda state: chain.step(state, noise, 0.0))
    for codes in row:
        state |= read({**state, CODES: ops.cast(codes[None], "float32")})
        found.append(int(state[SECTION][0, 0]))
    changes = [int(np.flatnonzero(np.diff(s))[0]) for s in (true, found)]
    # A running mean of ten seconds is nearer to the new timbre after ln 2 of them.
    assert changes[1] - changes[0] == pytest.approx(blocks(model, 10 * np.log(2)), abs=3)
    assert found[0] == true[0]
    assert found[-1] == true[-1]
    stay = chain.step(
        {**state, CODES: ops.cast(row[-1:], "float32")}, np.full((1, 1), 0.5, "f4"), 1.0
    )
    assert int(stay[SECTION][0, 0]) == true[-1]
    np.testing.assert_array_equal(stay[RECENT], state[RECENT])  # nothing more was read


def test_before_anything_is_read_there_is_no_section(model):
    chain = fitted(model, [row_of(model, (0, 60), (1, 60))])
    recent = ops.zeros((1, chain.state_spec()[RECENT][0][0]))
    state = {SECTION: -ops.ones((1, 1)), RECENT: recent, CODES: -ops.ones((1, model.frame))}
    assert float(chain.step(state, np.zeros((1, 1), np.float32), 0.0)[SECTION][0, 0]) == -1


def test_log_ratios_say_what_is_frequent_in_a_section(model):
    row = row_of(model, (0, 60), (1, 30))
    chain = fitted(model, [row])
    sections = chain.of(row)
    for band, codes in enumerate(row.T):
        label = np.bincount(codes, minlength=16) / len(codes)
        for number in set(sections.tolist()):
            own = np.bincount(codes[sections == number], minlength=16) / (sections == number).sum()
            wanted = np.where(label > 0, (0.95 * own + 0.05 * label) / np.maximum(label, 1e-9), 1)
            found = chain.log_ratio(band, ops.full((1, 1), float(number)))
            np.testing.assert_allclose(found[0], np.log(wanted), atol=1e-5)
    assert not np.any(chain.log_ratio(0, -ops.ones((1, 1))))
    assert not np.any(np.asarray(chain.log_ratios)[:, 2:])  # of sections that are not there


@pytest.mark.parametrize(("age", "there"), [(1, True), (2, False)])
@pytest.mark.parametrize("code", [-1, 3])
def test_what_begins_anew_is_drawn_in_its_section(model, age, there, code):
    """From nothing, too; what goes on is drawn as without sections."""
    rows = 4000
    state = {CODES: ops.full((rows, model.frame), float(code)), AGE: age * ops.ones((rows, 1))}
    before = np.asarray(model.sections.log_ratios)
    ratios = np.zeros_like(before)
    ratios[:, 2, 5:] = np.log(0.05)
    model.sections.log_ratios.assign(ratios)
    noise = np.random.default_rng(0).random((rows, model.noise_per_draw)).astype(np.float32)
    given = ops.zeros((rows, 12)), noise, ops.ones((rows, 1)), model.sampler.entry_keys()
    shares = []
    for section in (-1.0, 0.0, 2.0):
        drawn = model.sampler.draw(*given, {**state, SECTION: ops.full((rows, 1), section)})
        shares.append((np.asarray(drawn)[:, 0] < 5).mean())
    model.sections.log_ratios.assign(before)
    assert shares[0] == shares[1]
    likelier = shares[0] / (shares[0] + 0.05 * (1 - shares[0]))
    assert shares[2] == pytest.approx(likelier if there else shares[0], abs=0.03)


def test_sections_are_saved_with_the_model(tmp_path, model):
    model.find_sections([row_of(model, (0, 60), (1, 60))], [0])
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", compile=False)
    np.testing.assert_array_equal(loaded.sections.means, model.sections.means)
    np.testing.assert_array_equal(loaded.sections.transitions, model.sections.transitions)
    np.testing.assert_array_equal(loaded.sections.log_ratios, model.sections.log_ratios)
    assert np.asarray(model.sections.means).any()


def test_a_chain_is_made_again_from_its_config(labelled):
    chain = labelled.sections
    again = SectionChain.from_config(chain.get_config())
    again.build()
    assert [w.shape for w in again.weights] == [w.shape for w in chain.weights]
    assert (again.count, again.labels) == (COUNT, 2)
    assert again.codec.get_config() == chain.codec.get_config()


def test_a_model_without_sections_has_none(tmp_path):
    plain = make_spectral()
    plain.find_sections([np.zeros((40, plain.frame), int)], [0])
    assert plain.sections is None
    assert not {SECTION, RECENT} & set(plain.generator_state_spec())
