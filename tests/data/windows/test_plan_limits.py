"""How windows are fitted to audio that is short, long or in many files, and what does not fit."""

from inspect import signature

import numpy as np
import pytest

from keras_rawaudio.data.windows import WindowPlan
from keras_rawaudio.errors import UserError


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


@pytest.mark.parametrize("frames", [9, 10])
def test_windows_are_shortened_by_half_at_most(frames):
    assert WindowPlan.fitting([5], frame=1, frames=frames, batch=1).window == 5
    with pytest.raises(UserError, match="no stretch of audio holds one window"):
        WindowPlan.fitting([4], frame=1, frames=frames, batch=1)


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
    (note,) = lanes.notes(window)
    assert "segments being shorter" in note
    assert f"{lanes.unused_samples} of {sum(lengths)} samples" in note


def test_notes_are_of_what_is_shorter_or_unused():
    plan = WindowPlan([100_000], frame=10, frames=10, batch=4)
    assert plan.notes(100) == []
    assert plan.notes(109) == []  # frames are whole
    (note,) = plan.notes(200, "codes")
    assert note.startswith("windows of 100 codes, not 200")
    for spare, noted in ((900, False), (1100, True)):  # of 100,000 that are used
        plan = WindowPlan([100_000 + spare], frame=1000, frames=10, batch=10)
        assert plan.unused_samples == spare
        assert bool(plan.notes(10_000)) == noted


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


def test_the_defaults_of_fitting_are_those_of_a_plan():
    plan, fitting = (signature(make).parameters for make in (WindowPlan, WindowPlan.fitting))
    assert {n: p.default for n, p in fitting.items()} == {n: plan[n].default for n in fitting}
