"""Where rows start: every place once an epoch, in a seeded order, or anywhere."""

import itertools

import numpy as np
import pytest

from keras_rawaudio.data.windows import WindowPlan
from keras_rawaudio.data.windows.lanes import Lanes
from keras_rawaudio.data.windows.random_starts import RandomStarts

from .conftest import batches


@pytest.mark.parametrize(("batch", "shift"), [(1, 1), (4, 1), (8, 1), (2, 4), (3, 2), (5, 3)])
def test_every_start_once_per_epoch_shuffled(batch, shift):
    """Pitfall 4: every start once an epoch, in a seeded order that differs between epochs."""
    plan = WindowPlan([500], frame=8, frames=4, batch=batch, shift=shift, seed=7)
    orders = []
    for epoch in range(3):
        starts = [
            offset
            for steps in batches(plan, epoch)
            if all(reset for *_, reset in steps)
            for _, offset, _ in steps
        ]
        assert len(set(starts)) == len(starts)
        assert set(range(0, plan.window, shift)) <= set(starts)
        orders.append(starts)
    if plan.passes > 3:
        assert orders[0] != sorted(orders[0])
        assert orders[0] != orders[1] != orders[2]
    again = WindowPlan([500], frame=8, frames=4, batch=batch, shift=shift, seed=7)
    assert batches(again, 2) == batches(plan, 2)
    other = WindowPlan([500], frame=8, frames=4, batch=batch, shift=shift, seed=8)
    assert plan.passes < 4 or batches(other, 2) != batches(plan, 2)


def test_lanes_of_later_epochs_begin_anywhere_that_leaves_room_for_as_many():
    lengths, stride, grid = np.array([95, 100, 61]), 20, 5
    lanes, begins = Lanes(lengths, stride, batch=2, seed=0, grid=grid), set()
    for epoch in range(1, 100):
        segment, offset, _ = lanes.place(epoch, 0, np.arange(lanes.steps[0]))
        assert offset.min() >= 0
        assert np.all(offset + stride <= lengths[segment])
        begins |= {(s, o % stride) for s, o in zip(segment.flat, offset.flat, strict=True)}
    assert begins == {(0, 0), (0, 5), (0, 10), (0, 15), (1, 0), (2, 0)}


def test_no_row_is_drawn_past_the_end_of_a_segment_that_is_too_short_for_all():
    lengths = np.array([12, 40])
    starts = RandomStarts(lengths, stride=10, batch=4, seed=0, shift=1)  # the last row ends at 13
    segment, offset, _ = starts.place(0, 0, np.arange(200))
    assert np.all(segment == 1)
    assert np.all(offset + 10 <= 40)
    assert starts.used_samples() == 40


def test_consecutive_batches_are_not_near_duplicates():
    """Pitfall 4: batch n + 1 has new samples only, inside a pass, and so do passes as a rule."""
    plan = WindowPlan([4000], frame=16, frames=8, batch=4, shift=1, seed=0)
    for first, second in itertools.pairwise(batches(plan)):
        moved = abs(second[0][1] - first[0][1])
        assert moved >= plan.window or second[0][2]
    starts = [steps[0][1] for steps in batches(plan) if steps[0][2]]
    assert np.mean(np.abs(np.diff(starts)) <= 2 * plan.batch) < 0.25


def test_rows_a_sample_apart_stay_apart_in_every_segment():
    """Pitfall 4: a row keeps its phase behind a border, or shifted rows would become the same."""
    plan = WindowPlan([35, 47, 58], frame=5, frames=2, batch=5, shift=1)
    for steps in batches(plan):
        assert len({(segment, offset) for segment, offset, _ in steps}) == plan.batch


@pytest.mark.parametrize("sequence", [None, 20])
@pytest.mark.parametrize("shift", ["random", "random-offsets"])
def test_random_starts_carry_nothing_and_reach_every_sample(shift, sequence):
    """Each stride begins anew somewhere in a segment, and no start is out of reach."""
    lengths = [57, 9, 41]
    plan = WindowPlan(lengths, frame=5, frames=2, batch=3, shift=shift, sequence=sequence)
    stride = sequence or 10
    assert plan.batches_per_epoch == sum(n // stride for n in (57, 41)) // 3 * (stride // 10)
    assert plan.unused_samples == 9
    starts, epochs = set(), [batches(plan, epoch) for epoch in range(400)]
    for steps in epochs:
        for n, rows in enumerate(steps):
            begins = n % (stride // 10) == 0
            assert all(reset == begins for *_, reset in rows)
            assert all(o + 10 <= lengths[s] for s, o, _ in rows)
            if not begins:
                continue_at = [(s, o + 10) for s, o, _ in steps[n - 1]]
                assert [(s, o) for s, o, _ in rows] == continue_at
                continue
            starts |= {(s, o) for s, o, _ in rows}
            if shift == "random-offsets":
                assert len({s for s, *_ in rows}) == 1
                assert np.diff([o for _, o, _ in rows]).tolist() == [1, 1]
    assert starts == {(s, o) for s in (0, 2) for o in range(lengths[s] - stride + 1)}
    assert epochs[0] != epochs[1]
    assert batches(plan, 1, 1) == epochs[1][1:]
    if shift == "random":
        drawn = [
            o for steps in epochs for s, o, reset in itertools.chain(*steps) if reset and not s
        ]
        assert abs(np.mean(drawn) - (57 - stride) / 2) < 2
