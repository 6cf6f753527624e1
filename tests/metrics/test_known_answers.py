"""Clipping, offset, periodicity, leakage, diversity, nll and findings, on known signals."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_rawaudio.metrics import cepstral, health, patch_index
from keras_rawaudio.metrics.diversity import diversity, own_diversity
from keras_rawaudio.metrics.findings import clock, findings
from keras_rawaudio.metrics.leakage import leakage
from keras_rawaudio.metrics.loops import closest_lap
from keras_rawaudio.metrics.measure import measure
from keras_rawaudio.metrics.nll_over_time import bits_by_loudness, bits_by_second
from keras_rawaudio.metrics.over_time import over_time
from keras_rawaudio.metrics.reference import Reference

RATE = 8000
RNG = np.random.default_rng(0)
NOISE = RNG.normal(size=12 * RATE) * 0.05
SINE = np.sin(2 * np.pi * 440 * np.arange(4 * RATE) / RATE)


@pytest.mark.parametrize("over", [1.2, 2.0, 10.0])
def test_a_sine_that_is_cut_off_is_clipped_for_its_closed_form(over):
    low = np.sin(2 * np.pi * 40.7 * np.arange(4 * RATE) / RATE)
    cut = np.clip(over * low, -1, 1) * 0.3  # a codec's peak need not be full scale
    share = 1 - 2 * np.arcsin(1 / over) / np.pi
    assert health.flat_tops(cut).mean() == pytest.approx(share, abs=0.01)
    assert health.health(cut, RATE).clipped == pytest.approx(np.full(4, share), abs=0.01)


def test_what_is_not_cut_off_is_not_clipped():
    square = np.sign(SINE + 1e-3)
    assert health.flat_tops(square).all()
    for whole in (SINE, NOISE, np.zeros(RATE)):
        assert not health.flat_tops(whole).any()


@given(st.lists(st.sampled_from([0.0, 0.5, -1.0, 1.0]), min_size=1, max_size=40))
def test_flat_tops_are_runs_of_three(values):
    audio = np.array(values)
    top = np.abs(audio) == np.abs(audio).max()
    expected = [
        any(
            top[max(0, k) : k + 3].all() and k >= 0 and k + 3 <= len(top) for k in (i - 2, i - 1, i)
        )
        for i in range(len(top))
    ]
    assert health.flat_tops(audio).tolist() == (expected if audio.any() else [False] * len(top))


def test_an_offset_is_the_mean(piece, reference):
    assert health.health(SINE + 0.25, RATE).offset == pytest.approx(np.full(4, 0.25), abs=1e-3)
    assert np.abs(health.health(SINE, RATE).offset).max() < 1e-3
    moved = measure(piece[: 8 * RATE] + 0.1, RATE, reference)
    assert moved["offset_share"] == 1
    assert moved["offset"] == pytest.approx(0.1, abs=1e-3)
    assert measure(piece[: 8 * RATE], RATE, reference)["offset_share"] == 0


def test_the_closest_lap_of_a_loop_is_its_period():
    lap = NOISE[: RATE * 128 // 100]  # 80 hops of 16 ms
    assert closest_lap(np.tile(lap, 8), RATE) == (pytest.approx(0, abs=1e-6), 1.28)
    difference, _ = closest_lap(NOISE, RATE)
    assert difference > 0.7
    assert closest_lap(np.zeros(4 * RATE), RATE) == (1.0, 0.0)


def test_a_copy_is_timed_and_placed(piece, reference):
    whole = np.concatenate([NOISE[: 4 * RATE], piece[20 * RATE : 27 * RATE]])
    copy = measure(whole, RATE, reference)["longest_copy"]
    assert copy["seconds"] == pytest.approx(7, abs=0.6)
    assert copy["start"] == pytest.approx(4, abs=0.3)
    assert copy["source"] - copy["start"] == pytest.approx(16, abs=0.1)
    assert measure(piece[66 * RATE :], RATE, reference)["longest_copy"] is None


def test_a_jump_in_the_source_ends_a_copy():
    start = np.arange(0, 3, 0.25)
    source = np.where(start < 1, start + 50, start + 90)
    matches = patch_index.Matches(start, np.full(len(start), 0.95), source)
    assert matches.longest_copy(0.9) == patch_index.SimilarExcerpt(3.75, 1.0, 91.0)
    assert matches.longest_copy(0.96) is None


def test_a_recording_is_searched_to_its_end(piece):
    reference = Reference.from_recording(piece, RATE)
    assert measure(piece[70 * RATE :], RATE, reference)["train_set_similarity"] > 0.95
    assert reference.figures["heldout_similarity"] < 0.9


def test_the_spread_of_the_pieces_own_excerpts(piece):
    frames = cepstral.cepstra(piece[: 64 * RATE], RATE)
    own = cepstral.own_distances([frames], 1 / cepstral.HOP_SECONDS)
    whole, count = cepstral.Statistics.of(frames), 62
    ratios = [
        cepstral.cepstral_ratio(frames[i : i + count], whole, own)
        for i in range(0, len(frames) - count, count)
    ]
    under = np.mean(np.array(ratios) < cepstral.own_spread(count, own))
    assert 0.75 <= under <= 1
    assert cepstral.own_spread(count, own) > 1


def test_seeds_that_leak(piece):
    """Pitfall 16: the seed in the output, or its true continuation, in the output."""
    seed, after, other = (piece[s * RATE : (s + 2) * RATE] for s in (10, 12, 40))
    free = leakage(other, seed, after, RATE)
    assert not free["leaks"]
    assert free["seed"] < 0.8
    for leaked, name in ((seed, "seed"), (after, "continuation")):
        found = leakage(np.concatenate([other, 0.5 * leaked]), seed, after, RATE)
        assert found["leaks"]
        assert found[name] == pytest.approx(1, abs=1e-3)
        assert found["shuffled_seed"] < 0.8
    quiet = leakage(np.zeros(4 * RATE), seed, after, RATE)
    assert quiet["seed"] == quiet["continuation"] == 0
    assert leakage(other, seed[:100], after[:0], RATE)["leaks"] is False


def test_a_tone_that_goes_on_is_no_leak():
    """Pitfall 16: music of steady tones resembles itself, and is not blamed for it."""
    tone = np.sin(2 * np.pi * 440 * np.arange(6 * RATE) / RATE) * 0.1
    found = leakage(tone, tone[:RATE], tone[RATE : 3 * RATE], RATE)
    assert found["seed"] > 0.99
    assert not found["leaks"]


def test_diversity_of_copies_shifts_and_unrelated_sounds(piece):
    first, second = piece[: 8 * RATE], piece[8 * RATE : 16 * RATE]
    assert diversity([first, first], RATE) == pytest.approx(0, abs=0.01)
    shifted = diversity([first, first[RATE:]], RATE)
    strangers = diversity([first, second], RATE)
    assert shifted < 0.2 < strangers
    assert diversity([NOISE[: 6 * RATE], NOISE[6 * RATE :]], RATE) > 0.7
    assert diversity([first], RATE) is None
    assert diversity([first[:RATE], second[:RATE]], RATE) is None
    assert own_diversity([piece], RATE, 3, 8) > 0.2
    assert own_diversity([piece], RATE, 3, 60) is None


def test_draws_from_a_known_distribution_cost_its_entropy():
    probabilities = np.array([0.5, 0.25, 0.125, 0.125])
    drawn = np.random.default_rng(1).choice(4, size=20 * RATE, p=probabilities)
    by_second = bits_by_second(-np.log2(probabilities[drawn]), RATE)
    assert by_second.shape == (20,)
    assert by_second == pytest.approx(np.full(20, 1.75), abs=0.05)
    assert bits_by_second(np.ones(30), RATE).tolist() == [1.0]


def test_bits_by_loudness_are_sorted_by_it():
    loud = np.repeat(10.0 ** np.array([0, -2, -1]), 2 * RATE)  # amplitudes
    bits = np.repeat([6.0, 2.0, 4.0], 2 * RATE)
    levels, costs = np.array(bits_by_loudness(bits, loud, RATE)).T
    assert levels == pytest.approx([-40, -40, -20, -20, 0, 0], abs=0.01)
    assert costs == pytest.approx([2, 2, 4, 4, 6, 6])
    assert bits_by_loudness(bits[:10], loud[:10], RATE) == []


def test_findings_in_words():
    figures = {
        "verdict": "healthy",
        "longest_copy": None,
        "clipped_share": 0.0,
        "offset_share": 0.0,
    }
    assert findings(figures) == ["healthy"]
    assert findings(figures, {"leaks": False}) == ["healthy"]
    ill = {
        "verdict": "turns to noise after 4 s",
        "longest_copy": {"seconds": 12.2, "start": 0.0, "source": 201.9},
        "clipped_share": 0.5,
        "offset_share": 1.0,
    }
    assert findings(ill, {"leaks": True}) == [
        "turns to noise after 4 s",
        "12 s copied from 3:21 of the source",
        "the seed leaks",
        "clipped in 50% of its seconds",
        "off centre (DC) in 100% of its seconds",
    ]
    assert findings(ill, place=lambda s: f"{clock(s)} of a.wav")[1].endswith("3:21 of a.wav")


def test_tracks_lie_within_the_pieces_own_range_or_leave_it(piece, reference):
    healthy = {t.name: t for t in over_time(piece[: 24 * RATE], RATE, reference)}
    assert {"level (dB)", "tone (dB)", "match with train part", "beat"} <= healthy.keys()
    for track in healthy.values():
        assert len(track.seconds) == len(track.values)
        assert 0 < track.seconds[0] < track.seconds[-1] < 24
    for name in ("level (dB)", "tone (dB)", "flatness", "spectral change", "offset (DC)"):
        inside = (healthy[name].values >= healthy[name].low) & (
            healthy[name].values <= healthy[name].high
        )
        assert inside.mean() > 0.9, name
    broken = np.concatenate([piece[: 8 * RATE], NOISE[: 8 * RATE]])
    noise = {t.name: t for t in over_time(broken, RATE, reference)}
    assert "beat" not in noise
    assert (noise["flatness"].values > noise["flatness"].high).tolist() == [False] * 8 + [True] * 8
    assert noise["cepstral ratio"].values[-1] > noise["cepstral ratio"].high
    assert noise["cepstral ratio"].values[0] < noise["cepstral ratio"].high * 3


def test_bits_of_two_channels_are_their_mean():
    loud = np.repeat([[0.01, 0.01], [1.0, 1.0]], 3000, axis=0)
    bits = np.repeat([[2.0, 4.0], [4.0, 6.0]], 3000, axis=0)
    assert bits_by_second(bits, 100)[[0, -1]].tolist() == [3.0, 5.0]
    assert [cost for _, cost in bits_by_loudness(bits, loud, 100)] == [3.0] * 3 + [5.0] * 3
