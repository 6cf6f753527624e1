"""Budget and learning rate against their closed forms."""

import math

import pytest

from keras_rawaudio.recipes import TrainingSettings
from keras_rawaudio.training.schedule import FINAL_SHARE, Budget, learning_rate


@pytest.mark.parametrize("fraction", [0.0, 0.1, 0.5, 0.99, 1.0, 1.2])
def test_cosine(fraction):
    settings = TrainingSettings(learning_rate=0.4, warmup_steps=0)
    low, high = FINAL_SHARE * 0.4, 0.4
    expected = low + (high - low) * (1 + math.cos(math.pi * min(1, fraction))) / 2
    assert learning_rate(settings, fraction, steps=1000) == pytest.approx(expected)


def test_constant():
    settings = TrainingSettings(learning_rate=0.4, schedule="constant", warmup_steps=0)
    assert learning_rate(settings, 0.9, steps=0) == 0.4


def test_warm_up_is_linear_and_ends_at_the_rate():
    settings = TrainingSettings(learning_rate=1.0, schedule="constant", warmup_steps=4)
    rates = [learning_rate(settings, 0.0, steps) for steps in range(6)]
    assert rates == [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]


def test_budgets():
    assert Budget(epochs=3).fraction(steps=10, seconds=1e9, steps_per_epoch=10) == 1 / 3
    assert Budget(minutes=2).fraction(steps=10**9, seconds=30, steps_per_epoch=10) == 0.25
