"""Pitfall 19: free-running output that collapses is noticed, named, and timed."""

import numpy as np
import pytest

from keras_rawaudio.metrics.collapse import Verdict, lasting_start, verdict
from keras_rawaudio.metrics.loops import loop_differences
from keras_rawaudio.metrics.reference import Reference

RATE = 8000
NOISE = np.random.default_rng(0).normal(size=16 * RATE) * 0.05
SINE = 0.05 * np.sin(2 * np.pi * 330 * np.arange(16 * RATE) / RATE)


def test_the_piece_and_fresh_music_are_healthy(piece, reference):
    """Pitfall 19: a false alarm is a bug too."""
    for start in (0, 17, 41, 64):
        assert verdict(piece[start * RATE : (start + 15) * RATE], RATE, reference).healthy


@pytest.mark.parametrize(
    ("collapsed", "kind", "words"),
    [
        (np.zeros(16 * RATE), "silence", "turns to silence after 4 s"),
        (NOISE, "noise", "turns to noise after 4 s"),
        (SINE, "one endless tone", "turns to one endless tone after 4 s"),
    ],
)
def test_collapses_are_named_and_timed(piece, reference, collapsed, kind, words):
    """Pitfall 19: silence, noise, one note."""
    later = verdict(np.concatenate([piece[: 4 * RATE], collapsed]), RATE, reference)
    assert later.kind == kind
    assert later.start == pytest.approx(4, abs=1)
    assert str(Verdict(kind, 4.0)) == words
    assert verdict(collapsed, RATE, reference).start == 0
    assert str(verdict(collapsed, RATE, reference)) == f"{kind} from the start"


def test_low_passed_noise_is_noise(piece, reference):
    """Pitfall 19: coloured noise is not flat; its lack of tone gives it away."""
    dull = np.convolve(NOISE, np.ones(8) / 8, mode="same")
    assert verdict(dull, RATE, reference).kind == "noise"


@pytest.mark.parametrize("period", [0.71, 1.3, 2.5])
def test_loops_are_found_with_their_period(piece, reference, period):
    """Pitfall 19: a loop of any length, also when it starts late."""
    lap = piece[20 * RATE : int((20 + period) * RATE)]
    loop = np.tile(lap, int(20 / period))
    found = verdict(loop, RATE, reference)
    assert (found.kind, found.start) == ("loops", 0)
    assert found.period == pytest.approx(period, abs=0.02)
    late = verdict(np.concatenate([piece[: 6 * RATE], loop]), RATE, reference)
    assert late.kind == "loops"
    assert late.start == pytest.approx(6, abs=1)
    assert str(late).startswith(f"loops every {late.period:.2f} s after")


def test_bursts_come_first(piece, reference):
    """Pitfall 19: loud noise once is a burst even when the music goes on."""
    audio = piece[: 10 * RATE].copy()
    audio[5 * RATE : 6 * RATE] += NOISE[:RATE] * 10
    found = verdict(audio, RATE, reference)
    assert (found.kind, found.start, str(found)) == ("bursts", 5, "bursts after 5 s")


def test_a_piece_that_loops_is_not_blamed_for_it():
    """Pitfall 19: compared with the piece itself, a click track may click."""
    clicks = np.zeros(60 * RATE, np.float32)
    clicks[:: RATE // 2] = 0.5
    clicks += 1e-4 * np.random.default_rng(3).normal(size=len(clicks))
    reference = Reference.from_segments([clicks[: 48 * RATE]], [clicks[48 * RATE :]], RATE)
    assert verdict(clicks[: 15 * RATE], RATE, reference).kind in ("healthy", "noise")
    assert reference.figures["loop_difference"] < 0.1


def test_lasting_start():
    f, t = False, True
    assert lasting_start(np.array([f, f, f])) is None
    assert lasting_start(np.array([t, t, t])) == 0
    assert lasting_start(np.array([t, f, f, f, f, f])) is None
    assert lasting_start(np.array([f, f, t, t, f, t, t, t])) == 2
    assert lasting_start(np.array([f, f, f, t])) is None
    assert lasting_start(np.array([t])) == 0


def test_loop_differences_are_zero_at_the_period_and_near_one_between():
    noise = np.random.default_rng(4).normal(size=RATE * 128 // 100)  # 80 hops of 16 ms
    lags, differences = loop_differences(np.tile(noise, 8), RATE)
    assert differences[lags == 80] == pytest.approx(0, abs=0.02)
    assert differences[lags == 40] == pytest.approx(1, abs=0.2)
    assert loop_differences(np.zeros(RATE * 4), RATE)[1].size == 0
