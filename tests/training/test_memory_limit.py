"""A state begins anew as seldom as copies and variety allow, and one draw costs nothing."""

import itertools

import numpy as np
import pytest

from keras_rawaudio.training import code_balance, copy_meter
from keras_rawaudio.training.code_corpus import CodeCorpus
from keras_rawaudio.training.console import Console
from keras_rawaudio.training.memory_limit import MemoryLimit

from ..small_models import make_spectral


@pytest.fixture
def limit(monkeypatch):
    """Of 4 s; draws nothing: copies follow from the threshold, variety from the memory."""
    monkeypatch.setattr(code_balance, "SECONDS", 0.5)
    monkeypatch.setattr(copy_meter, "SECONDS", 1.0)
    model = make_spectral(train_places=40)
    codes = np.random.default_rng(0).integers(1, 9, 40 * model.frame).astype(np.int16)
    data = CodeCorpus({"train": [codes] * 4, "validation": [codes]}, {"train": [0] * 4})
    limit = MemoryLimit(model, data, 4.0, Console("bits_per_code", {}))
    limit.tried = []

    def draws(copied=lambda step: 0.0, variety=lambda memory: 1.0):
        def fit(updates, seed):
            if float(model.nearness) == 0:
                limit.tried.append((int(model.memory), threshold_step(limit)))
            limit.balance.variety = variety(int(model.memory))

        limit.balance.fit = fit
        limit.copies.longest = lambda seed: np.full(16, copied(threshold_step(limit)))

    limit.draws = draws
    draws()
    return limit


def threshold_step(limit):
    """Which of the thresholds that are tried the model has; 0: it has none."""
    return int(np.abs(np.array(limit.thresholds) - float(limit.model.copies.threshold)).argmin())


def seconds_of(limit, memory):
    return memory * limit.model.block / limit.model.rate


def test_memories_get_shorter_and_end_under_five_seconds(limit):
    seconds = limit.model.block / limit.model.rate
    memories = limit.memories()
    assert memories[0] * seconds == pytest.approx(20, abs=seconds)
    assert all(0.6 < after / before < 0.75 for before, after in itertools.pairwise(memories))
    assert 3.3 < memories[-1] * seconds < 5 < memories[-2] * seconds


def test_thresholds_are_under_the_correlation_of_a_copy_and_fall(limit):
    none, *others = limit.thresholds
    assert none == 0
    assert len(others) > 2
    assert others == sorted(others, reverse=True)
    assert 0 < others[-1] < others[0] < limit.copies.limit


def test_a_model_that_copies_nothing_has_no_threshold_and_no_end_until_training_ends(limit, capsys):
    longest, *_ = limit.memories()
    assert limit.find(2, 0) == limit.find_anew(8, 0) == 0
    assert limit.tried == [(0, 0), (longest, 0)]
    line = f"its state begins anew after {seconds_of(limit, longest):.1f} s at the latest"
    assert capsys.readouterr().err.strip() == line


def test_the_threshold_falls_until_copies_are_short(limit, capsys):
    limit.draws(copied=[30.0, 3.6, 3.5].__getitem__)
    assert limit.find(2, 0) == 3.5
    assert limit.tried == [(0, 0), (0, 1), (0, 2)]
    rule = f"copies are interrupted from a correlation of {limit.thresholds[2]:.2f} on"
    assert capsys.readouterr().err.strip() == rule


def test_what_copies_for_half_of_the_limit_has_a_threshold(limit):
    for longest_copy, copied, tried in ((4.0, 2.0, 0), (4.0, 2.5, 1), (3.0, 1.6, 1)):
        limit.longest_copy = longest_copy
        limit.draws(copied=lambda step, copied=copied: 1.0 if step else copied)
        limit.find_anew(8, 0)
        assert threshold_step(limit) == tried


@pytest.mark.parametrize(
    ("copies", "tried"),
    [
        ([0.0] * 15 + [3.5], 0),
        ([0.0] * 15 + [3.6], 1),
        ([2.0] * 15 + [3.5], 0),
        ([0.0] * 12 + [2.5] * 4, 0),
        ([0.0] * 11 + [2.5] * 5, 1),
    ],
)
def test_short_copies_of_a_quarter_of_the_streams_have_no_threshold(limit, copies, tried):
    limit.copies.longest = lambda seed: np.zeros(16) if threshold_step(limit) else np.array(copies)
    limit.find_anew(8, 0)
    assert threshold_step(limit) == tried


def test_a_few_streams_may_copy_for_longer(limit):
    copies = np.repeat([3.0, 9.0], [12, 4])
    limit.copies.longest = lambda seed: copies
    for longer, tried in ((4, 1), (5, 6)):
        copies[:] = 3.0
        copies[:longer] = 9.0
        assert limit.find_anew(8, 0) == 9.0
        assert threshold_step(limit) == tried


def test_one_draw_does_not_cost_the_threshold_for_good(limit, capsys):
    limit.draws(copied=lambda step: 1.0 if step == 2 else 9.0)
    limit.find(2, 0)
    assert threshold_step(limit) == 2
    limit.draws()
    limit.find(2, 1)
    assert threshold_step(limit) == 1
    limit.find(2, 2)
    assert threshold_step(limit) == 0
    assert "no long copies: they are not interrupted" in capsys.readouterr().err


def test_the_end_goes_on_from_what_was_found_before(limit):
    longest, *_ = limit.memories()
    limit.model.copies.threshold.assign(limit.thresholds[3])
    limit.draws(copied=lambda step: 1.0 if step == 4 else 9.0)
    limit.find_anew(8, 0)
    assert limit.tried == [(longest, 2), (longest, 3), (longest, 4)]


def test_streams_that_stay_in_one_place_forget_at_the_end_alone(limit, capsys):
    first, second, *_ = limit.memories()
    limit.draws(variety=lambda memory: 0.91 if memory == second else 0.89)
    limit.find(2, 0)
    assert limit.tried == [(0, 0)]
    limit.find_anew(8, 0)
    assert limit.tried == [(0, 0), (first, 0), (second, 0)]
    words = f"its state begins anew after {seconds_of(limit, second):.1f} s at the latest"
    assert words in capsys.readouterr().err


def test_what_copies_while_it_forgets_has_a_threshold(limit):
    first, second, *_ = limit.memories()
    limit.draws(variety=lambda memory: 1.0 if memory == second else 0.8)
    limit.copies.longest = lambda seed: np.full(
        16, 6.0 if limit.model.memory == second and threshold_step(limit) == 0 else 1.0
    )
    limit.find_anew(8, 0)
    assert limit.tried == [(first, 0), (second, 0), (second, 1)]


@pytest.mark.parametrize(("far", "nearness"), [(0.0, 16), (16.0, 64), (64.0, 0)])
def test_a_state_begins_anew_as_near_as_copies_allow(limit, far, nearness):
    """What copies or has too few codes near the block before begins further from it."""
    model = limit.model
    for short, varied in ((0.9, 0.8), (9.0, 1.0)):
        limit.draws(
            lambda step, short=short: 9.0 if step != 1 else (short if near_to() else 1.0),
            lambda m, varied=varied: varied if near_to() else 1.0,
        )

        def near_to():
            return 0 < float(model.nearness) <= far

        limit.balance.fit = marking(limit, limit.balance.fit)
        assert limit.find_anew(8, 0) == 1.0
        assert float(model.nearness) == nearness
        np.testing.assert_allclose(model.min_p, nearness / 1000)  # balanced with it
    limit.draws()
    limit.find(2, 0)
    assert float(model.nearness) == 0


def test_near_the_block_before_no_stream_may_copy_for_too_long(limit):
    def longest(seed):
        copies = np.full(16, 3.0)
        if float(limit.model.nearness) == 16:
            copies[0] = 4.5
        return copies

    limit.copies.longest = longest
    assert limit.find_anew(8, 0) == 3.0
    assert float(limit.model.nearness) == 64


def marking(limit, fit):
    """A balance that shows in the model with which nearness it was found."""

    def marked(updates, seed):
        fit(updates, seed)
        limit.model.min_p.assign(np.full(limit.model.frame, float(limit.model.nearness) / 1000))

    return marked


def test_variety_leaves_some_seconds(limit):
    for copied in (lambda step: 0.0, lambda step: 1.0 if step == 4 else 9.0):
        limit.draws(copied, variety=lambda memory: 0.0)
        limit.find_anew(8, 0)
        assert 3.3 < seconds_of(limit, int(limit.model.memory)) < 5.1


def test_what_copies_with_the_least_threshold_is_kept_with_it_and_noted(limit, capsys):
    limit.draws(copied=lambda step: 9.0)
    assert limit.find_anew(8, 0) == 9
    assert threshold_step(limit) == len(limit.thresholds) - 1
    assert "follows the train part for 9 s\n" in capsys.readouterr().err


def test_without_a_limit_copies_are_not_sought_and_the_memory_has_no_end(limit, capsys):
    limit.longest_copy = None
    limit.draws(copied=lambda step: 9.0, variety=lambda memory: 0.0)
    assert limit.find(2, 0) == limit.find_anew(8, 0) == 9
    assert limit.tried == [(0, 0), (0, 0)]
    assert "begins anew" not in capsys.readouterr().err


def test_a_model_that_has_no_train_part_has_a_memory_alone(limit):
    limit = MemoryLimit(make_spectral(), data_of(limit), 4.0, limit.console)
    assert limit.thresholds == [0.0]


def data_of(limit):
    """A corpus of a few codes."""
    codes = np.ones(40 * limit.model.frame, np.int16)
    return CodeCorpus({"train": [codes] * 4, "validation": [codes]}, {"train": [0] * 4})
