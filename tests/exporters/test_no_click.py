"""A control that jumps while the sampler plays is not followed by a click."""

import numpy as np
import pytest
from keras_rawaudio_serving.sampler import Sampler

from keras_rawaudio.models.controls import LEVEL_SLEW_RATE, RAW_RATE, TEMPERATURE

from ..small_models import PACED_MODELS, SPECTRAL_MODELS

pytestmark = pytest.mark.slow
RAW, MONO = next(iter(PACED_MODELS)), next(iter(SPECTRAL_MODELS))
LEAD = 0.5  # seconds before each jump
JUMP = 0.1  # and those after it in which a click would lie


def play(sampler, name, values):
    """Audio `(n,)` of a control that jumps to each value in turn."""
    sampler.reset()
    sampler.set_control(name, [sampler.controls[name].default])
    parts = [sampler.generate(LEAD)]
    for value in values:
        sampler.set_control(name, [value])
        parts.append(sampler.generate(LEAD))
    return np.concatenate(parts, axis=1)[0]


def bends(audio):
    """Sizes of the second differences: a click has a large one."""
    return np.abs(np.diff(audio, 2))


@pytest.mark.parametrize("name", [RAW, MONO])
@pytest.mark.parametrize("control", ["temperature", "tempo", "density", "hold"])
def test_no_jump_is_rougher_than_the_audio_itself(exported, name, control):
    sampler = Sampler.load(exported(name).path, random_seed=0, provider="cpu")
    low, high = sampler.controls[control].minimum, sampler.controls[control].maximum
    audio = play(sampler, control, [high, low, high, low])
    own = bends(play(sampler, control, [sampler.controls[control].default] * 4)).max()
    step = round(LEAD * sampler.sample_rate)
    for at in range(step, len(audio), step):
        assert bends(audio[at - 2 : at + round(JUMP * sampler.sample_rate)]).max() < 1.5 * own


@pytest.mark.parametrize("name", [RAW, MONO])
def test_the_level_moves_by_its_slope_and_never_jumps(exported, name):
    model = exported(name).model
    sampler = Sampler.load(exported(name).path, random_seed=0, provider="cpu")
    plain, turned = (play(sampler, "level", levels) for levels in ([0] * 4, [-40, 6, -40, 6]))
    there = np.flatnonzero(np.abs(plain) > 1e-3 * np.abs(plain).max())
    gain = 20 * np.log10(np.abs(turned[there] / plain[there]))
    most = LEVEL_SLEW_RATE / getattr(model, "rate", RAW_RATE) * np.diff(there)
    assert np.all(np.abs(np.diff(gain)) < most + 0.05)
    assert gain.min() < -35
    assert gain.max() > 1


@pytest.mark.parametrize("name", [RAW, MONO])
def test_every_control_is_one_of_these(exported, name):
    tested = {TEMPERATURE.name, "tempo", "density", "hold", "level"}
    assert set(Sampler.load(exported(name).path).controls) == tested
