"""Beats: where the clock of a piece is on one, and which blocks begin there."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_rawaudio.models.beats import NO_BEAT, beat_phase, beat_phases, begins_on_beat
from keras_rawaudio.models.clock import CLOCK
from keras_rawaudio.models.code_sampler import AGE
from keras_rawaudio.models.spectral_codec import CODES

from ..small_models import make_spectral

BLOCKS_PER_TURN = 48  # six to a pulse
TURNS = np.arange(40 * BLOCKS_PER_TURN) / BLOCKS_PER_TURN


def onsets(phase, strengths=(1.0, 0.3, 0.5, 0.3, 0.7, 0.3, 0.5, 0.3)):
    """Of blocks: at each pulse of a turn an onset of some strength, moved by a phase in turns."""
    pulses = (TURNS - phase) * 8
    number = np.round(pulses).astype(int)
    near = np.abs(pulses - number) < 0.5 / 6
    return np.where(near, np.array(strengths)[number % 8], 0.0)


@pytest.mark.parametrize("block", range(0, BLOCKS_PER_TURN, 5))
def test_the_strongest_pulse_of_a_turn_is_found(block):
    phase = block / BLOCKS_PER_TURN
    found = beat_phase(onsets(phase), TURNS)
    assert abs((found - phase + 0.5) % 1.0 - 0.5) < 0.2 / BLOCKS_PER_TURN


@pytest.mark.parametrize("strongest", range(8))
def test_one_strong_pulse_is_the_beat_of_all_kinds(strongest):
    strengths = np.full(8, 0.3)
    strengths[strongest] = 1.0
    found = beat_phase(onsets(0.0, strengths), TURNS)
    assert round(found * 8) % 8 == strongest


def test_equal_pulses_are_beats_from_the_first_on():
    found = beat_phase(onsets(0.1, [1.0] * 8), TURNS)
    assert found == pytest.approx(0.1, abs=0.2 / BLOCKS_PER_TURN)


def test_noise_constants_and_nothing_have_no_beat():
    noise = np.random.default_rng(0).normal(size=len(TURNS))
    for given in (noise, np.ones(len(TURNS)), np.zeros(0)):
        assert beat_phase(given, TURNS[: len(given)]) == NO_BEAT


def test_beats_of_labels_are_found_on_their_own_rows():
    """One label has a beat, one noise, one no clock, and one no rows."""
    rng, period = np.random.default_rng(0), BLOCKS_PER_TURN * 2.0  # of two bands
    strengths = [np.array([0.0, 1.0, 0.5, 0.3, 0.7]), np.zeros(5)]
    levels = {value: code for code, value in enumerate(strengths[0].tolist())}
    first = [[1 + levels[float(onset)], 1] for onset in onsets(0.25).round(6)]
    row = np.array(first, np.int16).ravel()
    noise = rng.integers(1, 6, len(row)).astype(np.int16)
    # The second row of the first label begins half a turn later in its file.
    moved = round(period / 2)
    rows, starts = [row, row[moved:], noise, row], [0, moved, 0, 0]
    periods = [period, period, 0.0, period]
    found = beat_phases(rows, starts, [0, 0, 1, 2], strengths, periods)
    assert found == [pytest.approx(0.25, abs=1e-3), NO_BEAT, NO_BEAT, NO_BEAT]


@pytest.mark.parametrize("speed", [1 / 64, 0.0171, 1 / 23.7])
@pytest.mark.parametrize(("pulses", "parts"), [(0.5, 8), (1.1, 8), (2.1, 4), (4.1, 2), (99, 1)])
def test_each_beat_has_one_block_and_the_nearest(speed, pulses, parts):
    """A beat is the longest power of two of pulses that lasts no more than `longest`."""
    beat, blocks = 0.37, 400
    phase = np.arange(blocks) * speed + 0.001
    longest = pulses / 8 / speed
    on_beat = np.asarray(begins_on_beat(ops.cast(phase % 1, "float32"), speed, beat, longest))
    times = beat + np.arange(1, int((phase[-1] - beat) * parts)) / parts
    nearest = np.abs(phase[:, None] - times).argmin(axis=0)
    found = np.flatnonzero(on_beat)
    assert found[(found >= nearest[0]) & (found <= nearest[-1])].tolist() == nearest.tolist()


def test_a_model_finds_and_keeps_its_beats(tmp_path):
    model = make_spectral(clock_harmonics=2)
    assert float(model.prior.beat) == NO_BEAT
    model.prior.set_period(float(BLOCKS_PER_TURN * model.frame))
    strengths = [np.asarray(band) for band in model.spectral_codec.onset_strengths()]
    strong, weak = (np.array([f(band) for band in strengths]) + 1 for f in (np.argmax, np.argmin))
    blocks = np.where(onsets(0.5, [1, 0, 0, 0, 0, 0, 0, 0])[:, None] > 0, strong, weak)
    model.find_beats([blocks.astype(np.int16).ravel()], [0], [0])
    assert float(model.prior.beat) == pytest.approx(0.5, abs=1e-3)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", compile=False)
    assert float(loaded.prior.beat) == float(model.prior.beat)


def test_a_model_without_a_clock_has_no_beats():
    model = make_spectral()
    model.find_beats([np.ones(40 * model.frame, np.int16)], [0], [0])
    assert not any("beat" in weight.path for weight in model.weights)


def test_the_beat_in_use_is_that_of_the_music():
    """A label without beats, and unknown music, are reset anywhere."""
    model = make_spectral(clock_harmonics=2, labels=["night", "day", "sea"])
    model.prior.set_period([32.0 * model.frame] * 3)
    model.prior.set_beat([0.0, 0.5, NO_BEAT])
    model.memory.assign(32)  # it ends in the last eight
    rows = 400
    music = np.repeat(np.eye(4, 3, dtype=np.float32), rows // 4, axis=0)
    state = {**model.zero_state(rows), "music": ops.convert_to_tensor(music)}
    state |= {CODES: ops.ones((rows, model.frame)), AGE: 25.0 * ops.ones((rows, 1))}
    resets = []
    noise = np.random.default_rng(0).random((20, rows, model.noise_per_draw)).astype(np.float32)
    for t in range(20):
        at = t / 32 * np.ones((rows, 1), np.float32)
        _, after = model.step({**state, f"tier0_{CLOCK}": ops.convert_to_tensor(at)}, noise[t])
        resets.append((np.asarray(after[AGE])[:, 0] < 25).reshape(4, -1).mean(axis=1))
    first, second, none, unknown = np.array(resets).T
    assert np.flatnonzero(first).tolist() == [0, 8, 16]  # a beat is two pulses
    assert np.flatnonzero(second).tolist() == [0, 8, 16]
    for anywhere in (none, unknown):
        assert anywhere.mean() == pytest.approx(1 / 7, abs=0.02)
