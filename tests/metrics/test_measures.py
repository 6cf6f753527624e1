"""Each measure on signals whose answer is known."""

import json

import numpy as np
import pytest

from keras_rawaudio.dsp import spectra
from keras_rawaudio.errors import UserError
from keras_rawaudio.metrics import cepstral, health, patch_index, train_set_similarity
from keras_rawaudio.metrics.beat_strength import (
    beat_strength,
    beat_strength_and_period,
    beat_strength_by_window,
)
from keras_rawaudio.metrics.diversity import diversity
from keras_rawaudio.metrics.leakage import leakage
from keras_rawaudio.metrics.measure import measure
from keras_rawaudio.metrics.over_time import over_time
from keras_rawaudio.metrics.reference import Reference
from keras_rawaudio.metrics.tonal_prominence import tonal_prominence, tonal_prominence_by_window

RATE = 8000
SECONDS = 12
TIME = np.arange(SECONDS * RATE) / RATE
SILENCE = np.zeros(len(TIME), np.float32)
NOISE = np.random.default_rng(0).normal(size=len(TIME)) * 0.05
SINE = 0.1 * np.sin(2 * np.pi * 440 * TIME)


def click_track(beats_a_minute, seconds=20):
    clicks = np.zeros(seconds * RATE)
    clicks[:: round(RATE * 60 / beats_a_minute)] = 0.5
    return clicks


def test_tone_of_noise_silence_and_chords(piece):
    assert tonal_prominence(NOISE, RATE) == pytest.approx(7.7, abs=0.1)
    assert tonal_prominence(NOISE * 0.1, RATE) == pytest.approx(7.7, abs=0.1)
    assert tonal_prominence(SILENCE, RATE) == 0
    assert tonal_prominence(piece[: 10 * RATE], RATE) > 20
    windows = tonal_prominence_by_window(
        np.concatenate([piece[: 10 * RATE], NOISE[: 10 * RATE]]), RATE
    )
    assert windows.shape == (2,)
    assert windows[0] > 20 > 9 > windows[1]


def test_beat_of_a_click_track_is_strong_and_at_whole_beats():
    strength, period = beat_strength_and_period(click_track(120), RATE)
    assert strength > 0.85
    assert period / 0.5 == pytest.approx(round(period / 0.5), abs=0.04)
    assert beat_strength(NOISE, RATE) < 0.15
    assert beat_strength(SILENCE, RATE) == 0
    assert beat_strength_by_window(click_track(100, 30), RATE).shape == (3,)


def test_a_shuffled_piece_loses_its_beat_but_not_its_tone(piece):
    part = piece[: 20 * RATE]
    assert beat_strength(part, RATE) > 0.5
    rng = np.random.default_rng(1)
    cuts = np.sort(rng.integers(0, len(part), size=40))
    pieces = np.split(part, cuts)
    shuffled = np.concatenate([pieces[i] for i in rng.permutation(len(pieces))])
    assert beat_strength(shuffled, RATE) < 0.7 * beat_strength(part, RATE)
    assert tonal_prominence(shuffled, RATE) > 0.85 * tonal_prominence(part, RATE)


def test_health_closed_forms():
    sine = health.health(SINE, RATE)
    assert sine.level == pytest.approx(np.full(SECONDS, -23.01), abs=0.05)
    assert sine.flatness.max() < 1e-3
    assert sine.change.max() < 0.02
    noise = health.health(NOISE, RATE)
    assert noise.flatness.mean() == pytest.approx(np.exp(-np.euler_gamma), abs=0.03)
    assert noise.change.mean() > 0.25
    silent = health.health(SILENCE, RATE)
    assert silent.level.max() == -120
    assert silent.flatness.max() == silent.change.max() == 0


def test_a_piece_is_as_healthy_as_its_own_thresholds_say(piece, reference):
    shares = health.shares(health.health(piece[: 64 * RATE], RATE), reference.figures["thresholds"])
    assert max(shares.values()) <= 1 / 64 + 1e-9
    louder = health.shares(
        health.health(piece[: 10 * RATE] * 3, RATE), reference.figures["thresholds"]
    )
    assert louder["loud_share"] > 0.9


def test_frechet_distance_closed_form():
    """Between normals of commuting covariances: |difference of means|^2 + sum (s1 - s2)^2."""
    a = (np.array([0.0, 1.0]), np.diag([1.0, 4.0]))
    b = (np.array([3.0, 1.0]), np.diag([9.0, 1.0]))
    assert cepstral.frechet_distance(a, b) == pytest.approx(9 + 4 + 1)
    assert cepstral.frechet_distance(a, a) == pytest.approx(0, abs=1e-9)


def test_statistics_take_their_own_part_out_again():
    frames = np.random.default_rng(2).normal(size=(100, 20))
    rest = cepstral.Statistics.of(frames).without(cepstral.Statistics.of(frames[:30]))
    mean, covariance = rest.moments()
    np.testing.assert_allclose(mean, frames[30:].mean(axis=0), atol=1e-12)
    np.testing.assert_allclose(covariance, np.cov(frames[30:].T, bias=True), atol=1e-12)


def test_copies_are_found_where_they_came_from(piece, reference, make_piece):
    copied = piece[int(20.3 * RATE) : int(26.3 * RATE)]
    found = reference.train_set.matches(np.concatenate([NOISE[: 4 * RATE], copied]))
    correlation, start, source = found.best()
    assert correlation > 0.95
    assert source - start == pytest.approx(20.3 - 4, abs=0.05)
    assert found.similar_seconds(0.9) == pytest.approx(6, abs=0.6)
    fresh = reference.train_set.matches(make_piece(8, seed=9))
    assert fresh.correlation.max() < 0.9
    assert reference.train_set.matches(piece[:RATE]).best() == (0, 0, 0)


def test_matches_never_run_over_a_border_and_memory_is_cut(piece, monkeypatch):
    """Pitfall 5: two seconds of one file and the next are no stretch of either."""
    whole = train_set_similarity.TrainSet([piece[: 10 * RATE]], RATE).matches(
        piece[3 * RATE : 7 * RATE]
    )
    monkeypatch.setattr(patch_index, "POSITIONS", 17)
    again = train_set_similarity.TrainSet([piece[: 10 * RATE]], RATE).matches(
        piece[3 * RATE : 7 * RATE]
    )
    np.testing.assert_allclose(again.correlation, whole.correlation, atol=1e-5)
    np.testing.assert_allclose(again.source, whole.source)
    cut = train_set_similarity.TrainSet([piece[: 5 * RATE], piece[5 * RATE : 10 * RATE]], RATE)
    across = cut.matches(piece[4 * RATE : 6 * RATE + 600])
    assert across.correlation[0] < whole.correlation.max() - 0.1
    short = train_set_similarity.TrainSet([piece[:RATE]], RATE).matches(piece[: 4 * RATE])
    assert len(short.correlation) == 0


def test_held_out_music_passes_on_every_line(piece, reference):
    m = measure(piece[66 * RATE :], RATE, reference)
    assert json.loads(json.dumps(m)) == m
    assert m["verdict"] == "healthy"
    assert m["toneless_share"] == 0
    assert m["beat_strength"] > 0.8 * m["piece_beat_strength"]
    assert m["pitch_persistence"] == pytest.approx(m["piece_pitch_persistence"], abs=0.3)
    assert max(m["cepstral_ratio_by_third"]) < 3
    assert m["train_set_similarity"] <= m["heldout_similarity"] + 0.05
    assert m["similar_seconds"] == 0
    assert m["dead_share"] == m["loud_share"] == 0


def test_what_is_not_music_fails(piece, reference):
    silence, noise, sine = (measure(x, RATE, reference) for x in (SILENCE, NOISE, SINE))
    assert silence["dead_share"] == noise["noisy_share"] == sine["stuck_share"] == 1
    assert silence["toneless_share"] == noise["toneless_share"] == 1
    for bad in (silence, noise, sine):
        assert min(bad["cepstral_ratio_by_third"]) > 5
    copy = measure(piece[10 * RATE : 22 * RATE], RATE, reference)
    assert copy["train_set_similarity"] > copy["heldout_similarity"] + 0.05
    assert copy["similar_seconds"] > 10


def test_copies_of_a_piece_that_repeats_itself_are_found(piece):
    train, repeated = piece[: 40 * RATE], piece[20 * RATE : 30 * RATE]
    reference = Reference.from_segments([train], [repeated], RATE)
    assert reference.figures["heldout_similarity"] > 0.95
    between_frames = round(5.016 * RATE)  # of 32 ms each
    copy = measure(train[between_frames : between_frames + 12 * RATE], RATE, reference)
    assert copy["longest_copy"]["seconds"] > 11
    assert measure(NOISE, RATE, reference)["longest_copy"] is None


def test_references_are_json_and_take_integers(piece, reference):
    assert json.loads(json.dumps(reference.figures)) == reference.figures
    stored = np.round(piece[: 20 * RATE] * 32768).astype(np.int16)
    integers = Reference.from_segments([stored[: 7 * RATE], stored[7 * RATE :]], [], RATE)
    floats = Reference.from_segments([piece[: 7 * RATE], piece[7 * RATE : 20 * RATE]], [], RATE)
    assert integers.figures["tonal_prominence_db"] == pytest.approx(
        floats.figures["tonal_prominence_db"], abs=0.2
    )
    assert integers.figures["heldout_similarity"] is None
    assert measure(piece[: 3 * RATE], RATE, integers)["similar_seconds"] is None


def test_long_train_parts_are_sampled_evenly():
    parts = spectra.excerpts([np.arange(1000), np.arange(500)], rate=1, limit_seconds=300)
    assert sum(map(len, parts)) <= 300
    assert {p[0] for p in parts} >= {0}
    everything = spectra.excerpts([np.arange(100), np.arange(0)], rate=1, limit_seconds=300)
    assert sum(map(len, everything)) == 100


@pytest.mark.parametrize("n", [1, 5, 400, 9000])
def test_short_audio_is_measured_not_refused(n, reference):
    m = measure(np.full(n, 0.01), RATE, reference)
    assert np.isfinite(
        [m["tonal_prominence_db"], m["beat_strength"], *m["cepstral_ratio_by_third"]]
    ).all()


def test_bad_audio_is_refused_in_one_line(reference):
    with pytest.raises(UserError, match="not finite"):
        tonal_prominence(np.array([0.0, np.nan]), RATE)
    with pytest.raises(UserError, match="shape"):
        tonal_prominence(np.zeros((2, 5)), RATE)
    with pytest.raises(UserError, match="shape"):
        measure(np.zeros(0), RATE, reference)
    with pytest.raises(UserError, match="16000 Hz"):
        measure(SINE, 16000, reference)
    with pytest.raises(UserError, match="silent"):
        Reference.from_segments([SILENCE], [], RATE)
    with pytest.raises(UserError, match="empty"):
        Reference.from_segments([], [], RATE)


def test_mel_filters_have_no_empty_band():
    filters = spectra.mel_filters(8000, 64, 40)
    np.testing.assert_allclose(filters.sum(axis=0), 1)


def test_long_audio_is_read_in_parts_without_a_seam(monkeypatch):
    noise = np.random.default_rng(5).normal(size=5 * RATE + 123)
    whole = spectra.log_mel(noise, RATE)
    monkeypatch.setattr(spectra, "BLOCK", 3)
    np.testing.assert_array_equal(spectra.log_mel(noise, RATE), whole)


def test_stereo_is_measured_on_its_mono_mix(piece):
    """Two channels that differ by what cancels: every figure is that of the mix."""
    side = NOISE[: 8 * RATE].astype(np.float32)
    pieces = [piece[: 24 * RATE], piece[24 * RATE : 32 * RATE], piece[40 * RATE : 48 * RATE]]
    wide = [np.stack([part, part], axis=1) for part in pieces]
    wide[2] += np.stack([side, -side], axis=1)
    mixed, stereo = (Reference.from_segments([x[0]], [x[1]], RATE) for x in (pieces, wide))
    assert stereo.figures["beat_strength"] == mixed.figures["beat_strength"]
    expected, found = measure(pieces[2], RATE, mixed), measure(wide[2], RATE, stereo)
    for name in ("tonal_prominence_db", "beat_strength", "train_set_similarity", "level_db"):
        assert found[name] == pytest.approx(expected[name], rel=1e-3), name
    assert found["verdict"] == expected["verdict"]
    assert [t.name for t in over_time(wide[2], RATE, stereo)] == [
        t.name for t in over_time(pieces[2], RATE, mixed)
    ]
    leak = leakage(wide[2], wide[1][:RATE], wide[1][RATE:], RATE)
    assert leak == pytest.approx(leakage(pieces[2], pieces[1][:RATE], pieces[1][RATE:], RATE))
    assert diversity(wide[1:], RATE) == pytest.approx(diversity(pieces[1:], RATE), abs=1e-3)
