"""The arithmetic of windows, against a brute-force walk through the definition."""

import itertools

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from keras_rawaudio.data.windows import WindowPlan
from keras_rawaudio.errors import UserError


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


def batches(plan, epoch=0, skip=0):
    """An epoch as a list of rows of (segment, offset, reset)."""
    return [
        list(zip(s.tolist(), o.tolist(), r.tolist(), strict=True))
        for block in plan.epoch(epoch, skip)
        for s, o, r, _ in zip(*block, strict=True)
    ]


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


@pytest.mark.parametrize(("batch", "shift"), [(1, 1), (4, 1), (8, 1), (2, 4), (3, 2), (5, 3)])
def test_every_start_once_an_epoch_shuffled(batch, shift):
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


@pytest.mark.parametrize("rate", [8000, 11025, 16_000])
@pytest.mark.parametrize("seconds", [32, 60, 80, 250])
def test_windows_fit_a_short_piece(rate, seconds):
    """The windows of 2016 use a clip of a minute; long audio keeps the windows of the recipe."""
    train = [int(0.8 * seconds * rate)]
    plan = WindowPlan.fitting(train, frame=250, frames=100, batch=10)
    assert plan.unused_samples <= 0.05 * train[0]
    whole = WindowPlan([250_000], frame=250, frames=100, batch=10)
    assert whole.window / 2 <= plan.window <= whole.window
    if train[0] >= 250_000:
        as_it_is = WindowPlan(train, frame=250, frames=100, batch=10)
        assert (plan.window == 25_000) == (as_it_is.unused_samples <= 0.05 * train[0])


def test_windows_that_cannot_fit_are_as_few_as_can_be():
    files = [8000, 9000, 11_000] * 10
    plan = WindowPlan.fitting(files, frame=1000, frames=10, batch=4)
    unused = {
        n: WindowPlan(files, frame=1000, frames=n, batch=4).unused_samples for n in range(5, 11)
    }
    assert plan.unused_samples == min(unused.values()) < unused[10]
    with pytest.raises(UserError, match="at most"):
        WindowPlan.fitting([100], frame=5, frames=4, batch=20)
    for words in ({"shift": 3}, {"shift": "random"}, {"sequence": 200}):
        assert WindowPlan.fitting([1500], frame=10, frames=10, batch=4, **words).window == 100


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


def test_a_long_part_is_planned_lazily():
    """Three hours at 16 kHz, rows a sample apart: 20 million batches, of which one block exists."""
    plan = WindowPlan([3 * 3600 * 16_000], frame=64, frames=16, batch=8, shift=1)
    assert plan.batches_per_epoch > 20_000_000
    assert plan.unused_samples < 1024
    assert len(next(plan.epoch(0, skip=20_000_000)).offset) <= 1024


def test_many_short_files():
    """Prompts of one to three seconds, windows of up to two."""
    lengths = np.random.default_rng(0).integers(8_000, 24_000, 400).tolist()
    for window in (1024, 8192, 16_384):
        lanes = WindowPlan(lengths, frame=64, frames=window // 64, batch=8)
        assert lanes.batches_per_epoch == sum(n // window for n in lengths) // 8
        shifted = WindowPlan(lengths, frame=64, frames=window // 64, batch=8, shift=16)
        assert shifted.unused_samples < lanes.unused_samples
    assert "segments being shorter" in (lanes.warning() or "")
    assert str(lanes.unused_samples) in (lanes.warning() or "")
    assert WindowPlan([100_000], frame=10, frames=10, batch=4).warning() is None


def test_nothing_fits():
    with pytest.raises(UserError, match="longest has 99 samples, a window 100"):
        WindowPlan([99, 5], frame=10, frames=10, batch=1)
    with pytest.raises(UserError, match="longest has 0 samples"):
        WindowPlan([], frame=10, frames=10, batch=1)


@pytest.mark.parametrize("shift", ["lanes", "random", "random-offsets", 1, 3, 7, 25])
def test_too_many_rows_name_the_most_that_work(shift):
    def plan(batch):
        return WindowPlan([35, 28], frame=5, frames=2, batch=batch, shift=shift)

    with pytest.raises(UserError, match="at most") as error:
        plan(60)
    most = int(str(error.value).split("at most ")[1].split(",")[0])
    assert plan(most).batches_per_epoch > 0
    with pytest.raises(UserError, match=f"at most {most},"):
        plan(most + 1)


@pytest.mark.parametrize("name", ["frame", "frames", "batch", "shift"])
@pytest.mark.parametrize("value", [0, -1, 1.5])
def test_numbers_out_of_range(name, value):
    arguments = {"frame": 2, "frames": 2, "batch": 2, "shift": 2, name: value}
    with pytest.raises(UserError, match=f"{name} must be a whole number"):
        WindowPlan([100], **arguments)
