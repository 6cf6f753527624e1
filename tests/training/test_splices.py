"""Rows of codes that jump between places that are alike."""

import numpy as np
import pytest

from keras_rawaudio.dsp.block_spectra import HOPS
from keras_rawaudio.recipes import load_recipe
from keras_rawaudio.training import build
from keras_rawaudio.training.build import build_splices
from keras_rawaudio.training.splices import (
    ALIKE,
    CONTEXT,
    FAR,
    IN_PHASE,
    SHARE,
    SHORTEST,
    Splices,
)

from ..small_models import make_spectral

LEVELS = 64
TURN = 25.3  # blocks


@pytest.fixture(scope="module")
def model():
    model = make_spectral(clock_harmonics=2, codebook_size=LEVELS)
    model.prior.set_period(TURN * model.frame)
    return model


@pytest.fixture(scope="module")
def labelled():
    model = make_spectral(clock_harmonics=2, codebook_size=LEVELS, labels=["night", "day"])
    model.prior.set_period([TURN * model.frame, 0.0])
    return model


def named(first, blocks, bands):
    """Codes from which a place's number can be read: its digits to base `LEVELS`."""
    numbers = first + np.arange(blocks)
    digits = [numbers // LEVELS**band % LEVELS for band in range(bands)]
    return (np.stack(digits, axis=1) + 1).astype(np.int16).ravel()


def places(row, bands):
    """The numbers of places, from their codes."""
    return (row.reshape(-1, bands) - 1) @ LEVELS ** np.arange(bands)


def jumps(path):
    return np.flatnonzero(np.diff(path) != 1)


def contexts_of(rows, model):
    """The entries of each place's last blocks, one by one; NaN where there are not so many."""
    contexts = []
    for row in rows:
        entries = np.concatenate(model.spectral_codec.look_up(row), axis=1)
        for number in range(len(row)):
            whole = CONTEXT - 1 <= number < len(row) - 1
            last = (
                entries[number - CONTEXT + 1 : number + 1] if whole else entries[:CONTEXT] * np.nan
            )
            contexts.append(last.ravel())
    return np.array(contexts)


def may_follow(rows, starts, label, model):
    """`(places, places)`: whether rows may jump from one to the other, however alike they are."""
    blocks = [
        start / model.frame + np.arange(len(r)) for r, start in zip(rows, starts, strict=True)
    ]
    where = np.concatenate(blocks)
    period = np.atleast_1d(model.prior.period)[label] / model.frame
    apart = where[:, None] - where
    turns = apart / np.where(period > 0, period, np.inf)
    off = (turns - np.round(turns)) * period * HOPS
    far = np.abs(apart) * model.block / model.rate >= FAR
    return far & (label[:, None] == label) & (np.abs(off) <= IN_PHASE)


@pytest.mark.parametrize("labels", [[0, 0, 1, 1], None])
@pytest.mark.parametrize("held", [1, 4])  # blocks; what is held moves little from block to block
def test_places_alike_are_the_nearest_of_all_that_may_follow(labels, held, labelled, request):
    """Against the distances of all pairs, one by one."""
    model = labelled if labels else request.getfixturevalue("model")
    bands, rng = model.frame, np.random.default_rng(0)
    lengths = (240, 200, 120, 280)
    rows = [np.repeat(rng.integers(0, LEVELS, (n // held, bands)), held, axis=0) for n in lengths]
    starts = [0, round(bands / 4), 7 * bands, 3 * bands]
    codes = [(row + 1).astype(np.int16).ravel() for row in rows]
    splices = Splices(codes, starts, labels, model, 2.0, seed=0)
    label_of, contexts = np.repeat(labels or [0] * 4, lengths), contexts_of(rows, model)
    expected = np.array([np.square(contexts - one).sum(axis=1) for one in contexts])
    steps = np.append(np.nan, np.diagonal(expected, 1))
    expected[~may_follow(rows, starts, label_of, model) | np.isnan(expected)] = np.inf
    for label in set(labels or [0]):
        mine = label_of == label
        nearest = expected[mine].min(axis=1)
        step, quantile = np.nanmedian(steps[mine]), np.quantile(nearest[nearest < np.inf], SHARE)
        assert (step < quantile) == (held > 1)
        for row, places in zip(expected[mine], splices.alike[mine], strict=True):
            order = np.argsort(row)[:ALIKE]
            # A row's first step, of a padded context, may move the median a little.
            limits = (min(step, quantile) * by for by in (0.97, 1.03))
            surely, perhaps = (order[row[order] < limit] for limit in limits)
            assert set(surely) <= set(places) <= {*perhaps, -1}


def test_two_splices_are_some_blocks_apart(model):
    bands = model.frame
    rows = [named(first, 600, bands) for first in (0, 1000, 2000)]
    splices = Splices(rows, [0, 1000 * bands, 2000 * bands], None, model, 0.1, seed=0)
    for row in splices.rows(0)[0]:
        path = places(row, bands)
        inside = path[jumps(path)[1:]] % 1000 < 599  # a stretch may end sooner
        runs = np.diff(jumps(path))
        assert runs[inside].min() == SHORTEST + 1


def test_what_follows_a_splice_follows_the_same_blocks(model):
    """A motif that is repeated goes on as it does, wherever a row jumps."""
    bands, motif = model.frame, 40
    model.prior.set_period(motif * bands)
    once = named(7, motif, bands)
    splices = Splices([np.tile(once, 12)] * 2, [0, 0], None, model, 1.0, seed=0)
    rows, starts = splices.rows(0)
    model.prior.set_period(TURN * bands)
    for row, start in zip(rows, starts, strict=True):
        expected = np.roll(np.tile(once, 12), -(start % len(once)))
        np.testing.assert_array_equal(row, expected)


def test_rows_have_the_lengths_of_stretches_and_jump_about_as_often_as_asked(model):
    bands = model.frame
    rows = [named(first, 600, bands) for first in (0, 1000, 2000)]
    splices = Splices(rows, [0, 1000 * bands, 2000 * bands], None, model, 2.0, seed=0)
    found, _ = splices.rows(3)
    assert [len(row) for row in found] == [len(row) for row in rows]
    runs = 3 * 600 / sum(len(jumps(places(row, bands))) for row in found)
    assert 1.2 < runs * model.block / model.rate < 4


def test_an_epoch_has_rows_of_its_own_that_come_again(model):
    bands = model.frame
    row = named(0, 600, bands)
    first, again = (Splices([row], [0], None, model, 2.0, seed=1) for _ in range(2))
    np.testing.assert_array_equal(first.rows(5)[0][0], again.rows(5)[0][0])
    assert first.rows(5)[1] == again.rows(5)[1]
    assert not np.array_equal(first.rows(5)[0][0], first.rows(6)[0][0])
    assert not np.array_equal(
        first.rows(5)[0][0], Splices([row], [0], None, model, 2.0, seed=2).rows(5)[0][0]
    )


def test_rows_stay_in_time_with_the_clock(model):
    """Readings a hop apart, as of a corpus."""
    bands, blocks = model.frame, 900
    rows = [named(1000 * reading, blocks, bands) for reading in range(HOPS)]
    starts = [round(reading / HOPS * bands) for reading in range(HOPS)]
    where = np.array(starts) / bands
    found, begins = Splices(rows, starts, None, model, 1.0, seed=0).rows(0)
    jumped = 0
    for row, begin in zip(found, begins, strict=True):
        path = places(row, bands)
        reading, number = np.divmod(path, 1000)
        clock = begin / bands + np.arange(len(path))
        off = (where[reading] + number - clock) / TURN
        off = np.abs(off - np.round(off)) * TURN * HOPS
        assert off.max() <= IN_PHASE + 1  # `starts` are rounded to codes
        jumped += len(jumps(path))
    assert jumped > 50


def test_rows_stay_within_their_label_with_a_clock_or_without(labelled):
    bands = labelled.frame
    rows = [named(first, 500, bands) for first in (0, 1000, 2000, 3000)]
    found, begins = Splices(rows, [0] * 4, [0, 1, 0, 1], labelled, 1.0, seed=0).rows(0)
    for number, (row, begin) in enumerate(zip(found, begins, strict=True)):
        path = places(row, bands)
        assert {n // 1000 % 2 for n in path.tolist()} == {number % 2}
        assert begin // bands == path[0] % 1000
        assert len(jumps(path)) > 5  # places in time with a clock are fewer, and less alike


@pytest.mark.parametrize("blocks", [1, 2, 7, 30])
def test_a_stretch_that_is_like_no_other_is_read_on_from_where_it_can_be(model, blocks):
    bands = model.frame
    (row,), _ = Splices([named(0, blocks, bands)], [0], None, model, 2.0, seed=0).rows(0)
    assert len(row) == blocks * bands
    assert set(places(row, bands)) <= set(range(blocks))


def test_slow_music_that_does_not_repeat_itself_is_not_spliced(model):
    codes = np.random.default_rng(0).integers(1, LEVELS + 1, (40, model.frame))
    slow, recipe = np.repeat(codes, 3 * CONTEXT, axis=0).astype(np.int16), load_recipe("default")
    assert build_splices(model, recipe, [slow.ravel()], [0], None) is None
    again = np.concatenate([slow] * 2).ravel()
    model.prior.set_period(len(slow) * model.frame)
    assert build_splices(model, recipe, [again], [0], None) is not None
    model.prior.set_period(TURN * model.frame)


def test_long_corpora_are_not_spliced_and_no_other_if_not_wanted(model, monkeypatch):
    row = named(0, 300, model.frame)
    recipe = load_recipe("default")
    assert build_splices(model, recipe, [row], [0], None) is not None
    off = load_recipe("default", {"data.splice_seconds": None})
    assert build_splices(model, off, [row], [0], None) is None
    monkeypatch.setattr(build, "MOST_PLACES", 299)
    assert build_splices(model, recipe, [row], [0], None) is None


def test_a_file_shorter_than_a_block_is_a_row_of_none(model):
    """Windows of blocks over no block were an error at the first step."""
    rows = [named(0, 300, model.frame), named(0, 0, model.frame), named(300, 200, model.frame)]
    splices = Splices(rows, [0, 0, 0], None, model, seconds=2.0, seed=0)
    found, starts = splices.rows(0)
    assert [len(row) for row in found] == [len(row) for row in rows]
    assert len(starts) == 3
