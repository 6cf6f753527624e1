"""Loudness against what the standard says of a sine."""

import numpy as np
import pytest

from keras_rawaudio.errors import UserError
from keras_rawaudio.listening.loudness import integrated_loudness, is_audible, match_loudness

RATE = 48000


def sine(level_db, seconds=2.0, pitch=997.0):
    time = np.arange(round(seconds * RATE)) / RATE
    return 10 ** (level_db / 20) * np.sin(2 * np.pi * pitch * time)


def test_a_full_scale_sine_of_997_hz_has_minus_3_lufs():
    # ITU-R BS.1770: -3.01 LKFS in one channel.
    assert abs(integrated_loudness(sine(0), RATE) + 3.01) < 0.1
    assert abs(integrated_loudness(sine(-20), RATE) + 23.01) < 0.1


def test_silence_is_not_audible():
    assert not is_audible(np.zeros(RATE), RATE)
    assert not is_audible(sine(-80), RATE)
    assert is_audible(sine(-60), RATE)


def test_a_silent_clip_is_one_line():
    with pytest.raises(UserError, match="too quiet to be measured"):
        match_loudness([sine(-20), sine(-80)], RATE)


def test_all_go_down_together_where_one_would_clip():
    clicks = np.zeros(2 * RATE)
    clicks[::4800] = 0.5
    matched, level = match_loudness([sine(-20), clicks], RATE)
    assert level < -23
    assert np.allclose([integrated_loudness(clip, RATE) for clip in matched], level, atol=0.1)
    assert np.abs(matched[1]).max() <= 10 ** (-1 / 20)


def test_loudness_depends_on_no_rate():
    """The standard's filters of 2 kHz are not stable: such audio is taken at a higher rate."""
    time = np.arange(2 * RATE) / RATE
    tone = 0.1 * np.sin(2 * np.pi * 300 * time)
    level = integrated_loudness(tone, RATE)
    for rate in (1000, 2000, 4000, 8000):
        assert abs(integrated_loudness(tone[:: RATE // rate], rate) - level) < 0.3, rate
