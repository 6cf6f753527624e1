"""The arithmetic of windows, against a brute-force walk through the definition."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from keras_rawaudio.data.windows import WindowPlan
from keras_rawaudio.errors import UserError

from .conftest import batches


def walk(lengths, window, batch, shift, number):
    """One pass, window by window: for each row its list of (segment, offset)."""
    usable = [s for s, n in enumerate(lengths) if n >= window]
    if shift == "lanes":
        every = [(s, o) for s in usable for o in range(0, lengths[s] - window + 1, window)]
        lane = len(every) // batch
        return [every[i * lane : (i + 1) * lane] for i in range(batch)]
    rows = []
    for i in range(batch):
        g = (number * batch + i) * shift
        row, border, begun = [], 0, False
        for s in usable:
            if not begun and g < border + lengths[s]:
                begun, offset = True, g - border
            else:
                offset = g % window
            border += lengths[s]
            while begun and offset + window <= lengths[s]:
                row.append((s, offset))
                offset += window
        rows.append(row)
    length = min(map(len, rows))
    return [row[:length] for row in rows]


def all_passes(plan):
    """Each pass, its rows walked sequence by sequence, each of them cut into windows."""
    stride = plan.sequence or plan.window
    one = plan.shift == "lanes"
    count = 1 if one else -(-stride // (plan.batch * plan.shift))
    passes = [walk(plan.lengths, stride, plan.batch, plan.shift, number) for number in range(count)]
    pieces = range(0, stride, plan.window)
    return [[[(s, o + p) for s, o in row for p in pieces] for row in rows] for rows in passes]


@st.composite
def plans(draw):
    arguments = {
        "lengths": draw(st.lists(st.integers(0, 60), min_size=1, max_size=6)),
        "frame": draw(st.integers(1, 5)),
        "frames": draw(st.integers(1, 5)),
        "batch": draw(st.integers(1, 6)),
        "shift": draw(st.one_of(st.just("lanes"), st.integers(1, 30))),
        "seed": draw(st.integers(0, 3)),
    }
    if windows := draw(st.integers(0, 3)):
        arguments["sequence"] = windows * arguments["frame"] * arguments["frames"]
    try:
        return WindowPlan(**arguments)
    except UserError:
        assume(False)


@settings(max_examples=300)
@given(plans())
def test_an_epoch_is_the_walks_of_its_passes_in_some_order(plan):
    expected = []
    for rows in all_passes(plan):
        steps = []
        for n, at in enumerate(zip(*rows, strict=True)):
            begins = plan.sequence and n % (plan.sequence // plan.window) == 0
            before = [None if begins or not n else row[n - 1][0] for row in rows]
            steps.append([(s, o, s != b) for (s, o), b in zip(at, before, strict=True)])
        expected.append(steps)
    found = batches(plan)
    while found:
        steps = next(steps for steps in expected if steps and steps == found[: len(steps)])
        expected.remove(steps)
        found = found[len(steps) :]
    assert not any(expected)


@settings(max_examples=300)
@given(plans())
def test_counts_and_unused_samples(plan):
    """Pitfall 2: batches and unused samples are those of brute force, ragged ends included."""
    assert plan.batches_per_epoch == sum(len(rows[0]) for rows in all_passes(plan))
    used = {(s, o + j) for steps in batches(plan) for s, o, _ in steps for j in range(plan.window)}
    assert plan.unused_samples == sum(plan.lengths) - len(used)


@pytest.mark.parametrize("n", [35, 99, 100, 101, 109, 110, 1000])
@pytest.mark.parametrize("batch", [1, 2, 3])
@pytest.mark.parametrize("shift", [1, 3, 5, 7])
def test_closed_form_for_one_segment(n, batch, shift):
    """Pitfall 2: the closed form of the description, for one segment."""
    plan = WindowPlan([n], frame=5, frames=2, batch=batch, shift=shift)
    passes = -(-10 // (batch * shift))
    assert plan.batches_per_epoch == sum(
        max(0, (n - ((p + 1) * batch - 1) * shift) // 10) for p in range(passes)
    )
    lanes = WindowPlan([n, 9, n], frame=5, frames=2, batch=batch, shift="lanes")
    assert lanes.batches_per_epoch == 2 * (n // 10) // batch


@settings(max_examples=200)
@given(plans())
def test_rows_carry_on_or_reset(plan):
    """Pitfall 5: a row carries on sample for sample, or resets where it enters another segment."""
    passes = 0
    previous = None
    for steps in batches(plan):
        passes += all(reset for *_, reset in steps) and previous is not None
        for i, (segment, offset, reset) in enumerate(steps):
            assert 0 <= offset <= plan.lengths[segment] - plan.window
            if not reset:
                assert (segment, offset - plan.window) == previous[i][:2]
        previous = steps
    assert all(reset for *_, reset in batches(plan)[0])


def test_sequences_of_windows_begin_anew():
    """8 windows in 2 rows, 2 a sequence; and sequences of one window carry nothing over."""
    plan = WindowPlan([43, 40], frame=5, frames=2, batch=2, sequence=20)
    block = next(plan.epoch(0))
    assert block.offset.T.tolist() == [[0, 10, 20, 30], [0, 10, 20, 30]]
    assert block.reset.T.tolist() == [[True, False, True, False]] * 2
    shifted = WindowPlan([43, 40], frame=5, frames=2, batch=2, shift=10, sequence=20)
    assert next(shifted.epoch(0)).offset.T.tolist()[1][:2] == [10, 20]
    alone = WindowPlan([43, 40], frame=5, frames=2, batch=2, sequence=10)
    assert next(alone.epoch(0)).reset.all()
    with pytest.raises(UserError, match="multiple of a window's 10 samples, not 15"):
        WindowPlan([100], frame=5, frames=2, batch=1, sequence=15)
    with pytest.raises(UserError, match=r"one sequence: .* 200 \(40 frames of 5\)"):
        WindowPlan([100], frame=5, frames=2, batch=1, sequence=200)


def test_unequal_lengths_reset_each_row_by_itself():
    """Pitfall 5: files of unequal length, each row resetting at its own borders."""
    plan = WindowPlan([30, 5, 50, 40], frame=5, frames=2, batch=2, shift="lanes")
    block = next(plan.epoch(0))
    assert block.segment.T.tolist() == [[0, 0, 0, 2, 2, 2], [2, 2, 3, 3, 3, 3]]
    assert block.offset.T.tolist() == [[0, 10, 20, 0, 10, 20], [30, 40, 0, 10, 20, 30]]
    assert np.argwhere(block.reset.T).tolist() == [[0, 0], [0, 3], [1, 0], [1, 2]]


@settings(max_examples=100)
@given(plans(), st.integers(0, 2), st.data())
def test_skipping_gives_the_rest(plan, epoch, data):
    skip = data.draw(st.integers(0, plan.batches_per_epoch))
    assert batches(plan, epoch, skip) == batches(plan, epoch)[skip:]


def test_blocks_join_without_a_seam():
    plan = WindowPlan([30_000, 20_011], frame=2, frames=2, batch=3, shift=1)
    assert len(list(plan.epoch(0))) > 6
    flat = [b for rows in all_passes(plan)[:1] for b in zip(*rows, strict=True)]
    order = np.random.default_rng((0, 0)).permutation(plan.passes)
    found = [[(s, o) for s, o, _ in steps] for steps in batches(plan)]
    begin = 0 if order[0] == 0 else plan.batches_per_epoch - len(flat)
    assert found[begin : begin + len(flat)] == [list(b) for b in flat]


def test_lanes_of_every_epoch_begin_with_a_whole_block():
    plan = WindowPlan([103, 61], frame=4, frames=2, batch=2, grid=4)
    for epoch in range(5):
        for block in plan.epoch(epoch):
            assert (block.offset % 4 == 0).all()


def resets(plan, epoch, skip=0):
    return np.concatenate([block.reset for block in plan.epoch(epoch, skip)])


def test_a_share_of_windows_begins_anew_by_chance():
    plan = WindowPlan([40_000, 24_000], frame=4, frames=2, batch=4, reset_share=0.25)
    found, due = resets(plan, 0), resets(replace(plan, reset_share=0.0), 0)
    assert found[due].all()
    assert found[~due].mean() == pytest.approx(0.25, abs=0.02)
    assert (found != resets(plan, 1)).any()
    np.testing.assert_array_equal(found, resets(plan, 0))


def test_windows_begin_anew_at_the_same_places_after_a_break():
    plan = WindowPlan([4000], frame=4, frames=2, batch=4, reset_share=0.5)
    np.testing.assert_array_equal(resets(plan, 3)[77:], resets(plan, 3, skip=77))
