"""Controls on stage: when they reach the samples, and the flags for them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from keras_rawaudio_serving import Sampler
from keras_rawaudio_serving.cli import main
from keras_rawaudio_serving.live_controls import LiveControls

from .sound_system import SoundSystem

Toy = Callable[..., Path]


def test_values_reach_the_samples_between_blocks(toy: Toy) -> None:
    """Before `apply` nothing changes; after it, audio is that of the new value."""
    one, other = (Sampler.load(toy(), random_seed=1) for _ in range(2))
    live = LiveControls(one)
    first = one.generate(0.1)
    live.set("temperature", [0.5])
    np.testing.assert_array_equal(one.temperature, [1.0])
    live.apply()
    expected_first = other.generate(0.1)
    other.temperature = 0.5
    np.testing.assert_array_equal(first, expected_first)
    np.testing.assert_array_equal(one.generate(0.1), other.generate(0.1))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("--play --osc x", "give PORT or HOST:PORT"),
        ("--play --osc 70000", "give PORT or HOST:PORT"),
        ("--play --osc " + "9" * 5000, "give PORT or HOST:PORT"),
        ("--play --osc 192.0.2.1:9000", "--osc 192.0.2.1:9000: Cannot assign"),
        ("--osc 9000 --out new.wav --seconds 1", "--osc needs --play or --out -"),
        ("--midi nano --out new.wav --seconds 1", "--midi needs --play or --out -"),
        ("--play --midi-map knobs.json", "--midi-map needs --midi PORT"),
        ("--midi-learn knobs.json", "--midi-learn needs --midi PORT"),
    ],
)
def test_one_line_for_each_mistake(
    toy: Toy, sound: SoundSystem, capsys: pytest.CaptureFixture[str], text: str, expected: str
) -> None:
    assert main([str(toy()), *text.split()]) == 2
    assert expected in capsys.readouterr().err.strip().splitlines()[-1]
