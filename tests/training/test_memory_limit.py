"""The memory is as long as copies and variety allow, and a chance copy does not cost it."""

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
    """Of 4 s; draws nothing: copies and variety are functions of the memory in blocks."""
    monkeypatch.setattr(code_balance, "SECONDS", 0.5)
    monkeypatch.setattr(copy_meter, "SECONDS", 1.0)
    model = make_spectral()
    codes = np.random.default_rng(0).integers(1, 9, 40 * model.frame).astype(np.int16)
    data = CodeCorpus({"train": [codes] * 4, "validation": [codes]}, {"train": [0] * 4})
    limit = MemoryLimit(model, data, 4.0, Console("bits_per_code", {}))
    limit.tried = []

    def draws(copied=lambda memory: 0.0, variety=lambda memory: 1.0):
        def fit(updates, seed):
            if float(model.nearness) == 0:
                limit.tried.append(int(model.memory))
            limit.balance.variety = variety(int(model.memory))

        limit.balance.fit = fit
        limit.copies.longest = lambda seed: copied(int(model.memory))

    limit.draws = draws
    draws()
    return limit


def test_memories_get_shorter_and_end_at_half_a_second(limit):
    seconds = limit.model.block / limit.model.rate
    endless, *memories = limit.memories()
    assert endless == 0
    assert memories[0] * seconds == pytest.approx(20, abs=seconds)
    assert all(0.6 < after / before < 0.75 for before, after in itertools.pairwise(memories))
    assert 0.5 - seconds <= memories[-1] * seconds < 0.7


def test_a_model_that_copies_nothing_keeps_its_memory_until_the_end(limit, capsys):
    _, longest, *_ = limit.memories()
    assert limit.find(2, 0) == limit.find_anew(8, 0) == 0
    assert limit.tried == [0, longest]
    line = f"its state begins anew after {seconds_of(limit, longest):.1f} s at the latest"
    assert capsys.readouterr().err.strip() == line


def seconds_of(limit, memory):
    return memory * limit.model.block / limit.model.rate


def under(limit, seconds):
    """The memories of at most so many seconds, the longest first."""
    return [m for m in limit.memories() if 0 < seconds_of(limit, m) <= seconds]


def test_the_memory_gets_shorter_until_copies_are_short(limit, capsys):
    first, second, *_ = under(limit, 4.0)
    limit.draws(copied={0: 30.0, first: 3.6, second: 3.5}.__getitem__)
    assert limit.find(2, 0) == 3.5
    assert limit.tried == [0, first, second]
    line = capsys.readouterr().err.strip()
    words = f"its state begins anew after {seconds_of(limit, second):.1f} s at the latest"
    assert line == f"follows the train part for 3.6 s: {words}"


def test_what_copies_for_half_of_the_limit_is_kept_under_it(limit, capsys):
    _, longest, *_ = limit.memories()
    first, *_ = under(limit, 4.0)
    for copied, tried in ((2.0, [longest]), (2.5, [longest, first])):
        limit.tried.clear()
        limit.draws(copied=lambda memory, copied=copied: copied if memory == longest else 3.5)
        limit.find_anew(8, 0)
        assert limit.tried == tried
    assert "follows the train part for 2.5 s: its state begins" in capsys.readouterr().err
    limit.longest_copy = 3.0
    limit.draws(copied=lambda memory: 1.6 if memory > first else 1.0)
    limit.find_anew(8, 0)
    assert seconds_of(limit, int(limit.model.memory)) < 3.0


def test_a_chance_copy_does_not_cost_the_memory_for_good(limit, capsys):
    first, second, *_ = under(limit, 4.0)
    limit.draws(copied=lambda memory: 1.0 if memory == second else 9.0)
    limit.find(2, 0)
    assert limit.model.memory == second
    limit.draws()
    limit.find(2, 1)
    assert limit.model.memory == first
    limit.find(2, 2)
    assert limit.model.memory == 0
    assert "no long copies: its state has no end" in capsys.readouterr().err


def test_at_the_end_the_longest_is_tried_once_more(limit, capsys):
    _, longest, *_ = limit.memories()
    _, second, third, *_ = under(limit, 4.0)
    limit.model.memory.assign(third)
    limit.draws(copied=lambda memory: 1.0 if 0 < memory <= third else 9.0)
    limit.find_anew(8, 0)
    assert limit.tried == [longest, second, third]
    limit.draws()
    limit.find_anew(8, 1)
    assert limit.model.memory == longest
    assert "no long copies: its state begins anew after" in capsys.readouterr().err


def test_streams_that_stay_in_one_place_forget_at_the_end_alone(limit, capsys):
    _, first, second, *_ = limit.memories()
    limit.draws(variety=lambda memory: 0.91 if memory == second else 0.89)
    limit.find(2, 0)
    assert limit.tried == [0]
    limit.find_anew(8, 0)
    assert limit.tried == [0, first, second]
    assert "stays in one place: its state begins anew after" in capsys.readouterr().err


def test_what_copies_while_it_forgets_is_kept_under_the_limit(limit):
    _, first, second, *_ = limit.memories()
    limit.draws(lambda memory: 6.0 if memory == second else 1.0, lambda memory: 0.8)
    limit.find_anew(8, 0)
    assert limit.tried == [first, second, under(limit, 4.0)[0]]


@pytest.mark.parametrize(("far", "nearness"), [(0.0, 16), (16.0, 64), (64.0, 0)])
def test_a_state_begins_anew_as_near_as_copies_allow(limit, far, nearness):
    """What copies or has too few codes near the block before begins further from it."""
    first, *_ = under(limit, 4.0)
    model = limit.model
    for short, varied in ((0.9, 0.8), (9.0, 1.0)):
        limit.draws(
            lambda m, short=short: 9.0 if m != first else (short if near_to() else 1.0),
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


def marking(limit, fit):
    """A balance that shows in the model with which nearness it was found."""

    def marked(updates, seed):
        fit(updates, seed)
        limit.model.min_p.assign(np.full(limit.model.frame, float(limit.model.nearness) / 1000))

    return marked


def test_variety_leaves_some_seconds(limit):
    limit.draws(variety=lambda memory: 0.0)
    limit.find_anew(8, 0)
    assert 3.3 < seconds_of(limit, int(limit.model.memory)) < 5.1
    # Shorter ones are for copies alone.
    limit.draws(lambda memory: 1.0 if 0 < memory <= 20 else 9.0, lambda memory: 0.0)
    limit.find_anew(8, 0)
    assert 0 < limit.model.memory <= 20


def test_what_copies_with_the_shortest_memory_is_kept_with_it_and_noted(limit, capsys):
    limit.draws(copied=lambda memory: 9.0)
    assert limit.find_anew(8, 0) == 9
    assert limit.model.memory == limit.memories()[-1]
    assert "follows the train part for 9 s\n" in capsys.readouterr().err


def test_without_a_limit_the_memory_has_no_end(limit, capsys):
    limit.longest_copy = None
    limit.draws(copied=lambda memory: 9.0, variety=lambda memory: 0.0)
    assert limit.find(2, 0) == limit.find_anew(8, 0) == 9
    assert limit.tried == [0, 0]
    assert "begins anew" not in capsys.readouterr().err
