"""Blocks of spectra and their codebooks."""

import numpy as np
import pytest

from keras_rawaudio.dsp.block_spectra import HOPS, BlockSpectra
from keras_rawaudio.dsp.clustering import medoids
from keras_rawaudio.dsp.spectral_codebook import (
    GROUPS,
    ONSET_WEIGHT,
    PHASE_STEPS,
    band_edges,
    codebook_size,
    encode,
    encode_shifted,
    fit_codebooks,
    onset_matrix,
)
from keras_rawaudio.errors import UserError

RATE = 8000


def tones(seconds=16.0, rate=RATE):
    """A tone in a little noise, at another pitch four times per second."""
    rng = np.random.default_rng(0)
    pitch = np.repeat(rng.choice([220.0, 440.0, 880.0, 1760.0], int(seconds * 4)), rate // 4)
    tone = 0.3 * np.sin(2 * np.pi * np.cumsum(pitch) / rate)
    return (tone + 0.01 * rng.normal(size=len(tone))).astype(np.float32)


@pytest.mark.parametrize("rate", [8000, 16000, 22050, 44100, 48000])
def test_windows_last_about_50_ms_at_any_rate(rate):
    spectra = BlockSpectra(rate)
    assert 0.034 < spectra.fft_size / rate < 0.071
    assert spectra.block == 4 * spectra.hop == spectra.fft_size
    assert spectra.band_edges[0] == 0
    assert spectra.band_edges[-1] == spectra.bins
    assert (np.diff(spectra.band_edges) > 0).all()
    bands = band_edges(spectra)
    assert bands[0][0] == 0
    assert bands[-1][1] == spectra.bins
    assert [b[1] for b in bands[:-1]] == [b[0] for b in bands[1:]]


def test_a_frame_knows_nothing_of_later_samples():
    spectra = BlockSpectra(RATE)
    audio = np.random.default_rng(0).normal(size=(4 * spectra.block, 1)).astype(np.float32)
    changed = audio.copy()
    changed[2 * spectra.block + spectra.hop :] += 1
    before, after = spectra.power(audio), spectra.power(changed)
    np.testing.assert_array_equal(before[:2], after[:2])
    np.testing.assert_array_equal(before[2, 0], after[2, 0])
    assert not np.allclose(before[2, 1], after[2, 1])


def test_power_of_opposite_channels_does_not_cancel():
    spectra = BlockSpectra(RATE, channels=2)
    audio = np.random.default_rng(0).normal(size=(spectra.block, 1)).astype(np.float32)
    both = spectra.power(np.concatenate([audio, -audio], axis=1))
    np.testing.assert_allclose(both, BlockSpectra(RATE).power(audio), rtol=1e-4)


def test_channel_gains_keep_levels_and_correlation():
    spectra = BlockSpectra(RATE, channels=2)
    rng = np.random.default_rng(0)
    left, other = rng.normal(size=(2, 8 * spectra.block)).astype(np.float32)
    audio = np.stack([left, 0.5 * (0.6 * left + 0.8 * other)], axis=1)
    edges = spectra.stereo_edges(0, spectra.bins)
    gains = spectra.channel_gains(spectra.spectra(audio)[1][1:], edges)
    z = gains[..., 0] + 1j * gains[..., 1]
    power = np.square(np.abs(z))
    np.testing.assert_allclose(power.mean(axis=2), 1, rtol=1e-5)
    wide = np.diff(edges) >= 4  # few bins of noise are seldom as loud as the rest
    assert power[:, wide, 0].mean() / power[:, wide, 1].mean() == pytest.approx(4, rel=0.1)
    correlation = (z[:, :, 0] * z[:, :, 1].conj()).real / np.abs(z[:, :, 0] * z[:, :, 1])
    assert correlation[:, wide].mean() == pytest.approx(0.6, abs=0.05)
    # The phase of the left channel has one sign, which may be turned round.
    assert (gains[:, :, 0, 1] >= 0).all()
    assert (gains[:, :, 1, 1] <= 0).all()
    other = spectra.channel_gains(spectra.spectra(audio)[1][1:], edges, sign=-1)
    np.testing.assert_array_equal(other, gains * [1, -1])


@pytest.mark.parametrize("rest", [0, 1, 2, 3])
def test_codes_of_all_shifts_are_those_of_the_shifted_audio(rest):
    spectra = BlockSpectra(RATE)
    piece = tones()[: 100 * spectra.block + rest * spectra.hop + 5]
    books = fit_codebooks([piece], spectra, 16)
    for shift, codes in enumerate(encode_shifted(piece, spectra, books, range(4))):
        late = encode(piece[shift * spectra.hop :], spectra, books)
        assert codes.shape == late.shape
        # The frames of the first block begin in what is silence to the shifted audio.
        np.testing.assert_array_equal(codes[1:], late[1:])


def test_codes_of_a_stretch_do_not_depend_on_how_it_is_cut():
    spectra = BlockSpectra(RATE)
    piece = tones()
    books = fit_codebooks([piece], spectra, 16)
    whole = encode(piece, spectra, books)
    assert whole.shape == (len(piece) // spectra.block, len(band_edges(spectra)))
    as_integers = encode((piece * 32768).round().astype(np.int16), spectra, books)
    assert (whole == as_integers).mean() > 0.98
    first = encode(piece[: 80 * spectra.block], spectra, books)
    np.testing.assert_array_equal(first, whole[:80])


def groups_of(book, spectra):
    """First and last bin of each group of features, counted from the first bin of the band."""
    features = np.arange(book.feature_first, book.feature_last)
    groups = np.array_split(features, min(GROUPS, len(features)))
    edges = spectra.band_edges - book.first
    return [slice(edges[group[0]], edges[group[-1] + 1]) for group in groups]


def test_entries_are_real_blocks_scaled_by_groups():
    spectra = BlockSpectra(RATE)
    piece = tones()
    power = spectra.power(piece[:, None])
    for book in fit_codebooks([piece], spectra, 16):
        real = np.sqrt(power[:, :, book.first : book.last])
        for group in groups_of(book, spectra):
            shapes, entries = (
                part / np.linalg.norm(part, axis=(1, 2), keepdims=True)
                for part in (real[..., group], book.magnitudes[..., group])
            )
            for entry in entries:
                assert np.abs(shapes - entry).max(axis=(1, 2)).min() < 1e-3


def test_codes_keep_the_mean_power_of_what_they_stand_for():
    spectra = BlockSpectra(RATE)
    rng = np.random.default_rng(0)
    level = np.repeat(10 ** rng.uniform(-3, -0.5, 128), RATE // 8)  # 50 dB from loud to quiet
    piece = (level * rng.normal(size=len(level))).astype(np.float32)
    power = spectra.power(piece[:, None])
    books = fit_codebooks([piece], spectra, 16)
    codes = encode(piece, spectra, books)
    for book, code in zip(books, codes.T, strict=True):
        for group in groups_of(book, spectra):
            wanted = power[:, :, book.first : book.last][..., group].mean()
            coded = np.square(book.magnitudes[code][..., group]).mean()
            assert abs(10 * np.log10(coded / wanted)) < 0.1


def test_rises_from_frame_to_frame_count_as_their_weight_says():
    features = np.random.default_rng(0).normal(size=(HOPS, 12)).astype(np.float32)
    rises = np.diff(features.reshape(HOPS, GROUPS, -1).mean(axis=2), axis=0)
    length = np.square(features.ravel() @ onset_matrix(12)).sum()
    wanted = np.square(features).sum() + 3 * ONSET_WEIGHT**2 * np.square(rises).sum()
    assert length == pytest.approx(wanted, rel=1e-5)


def test_a_block_is_nearer_to_another_timbre_than_to_another_onset():
    block = np.zeros((HOPS, 8), np.float32)
    block[1:] = 1
    other_timbre = block + np.tile([0.55, -0.55], 4)
    other_onset = block.copy()
    other_onset[1] = 0

    def timbre_is_nearer(matrix):
        entries = (other_timbre, other_onset)
        timbre, onset = [np.square((block - e).ravel() @ matrix).sum() for e in entries]
        return timbre < onset

    assert not timbre_is_nearer(np.eye(HOPS * 8, dtype=np.float32))
    assert timbre_is_nearer(onset_matrix(8))


def test_medoids_are_different_points():
    points = np.random.default_rng(0).normal(size=(100, 3)).astype(np.float32)
    points[50:] = points[:50]
    chosen = medoids(points, 40, np.random.default_rng(0))
    assert len(set(chosen.tolist())) == 40


def test_codebooks_grow_with_the_corpus():
    assert [codebook_size(n) for n in (50, 1000, 5000, 10**6)] == [16, 64, 512, 1024]


def test_codebooks_grow_with_the_training_up_to_half_of_the_blocks():
    sizes = [codebook_size(1000, affordable) for affordable in (10, 130, 300, 10**6)]
    assert sizes == [64, 128, 256, 256]


def test_too_little_audio_is_refused():
    with pytest.raises(UserError, match="too few for codebooks of 64"):
        fit_codebooks([tones(4.0)], BlockSpectra(RATE), 64)


@pytest.mark.parametrize("channels", [1, 2])
def test_phases_of_entries_are_those_of_their_blocks(channels):
    spectra = BlockSpectra(RATE, channels)
    rng = np.random.default_rng(0)
    piece = rng.normal(size=(64 * spectra.block, channels)).astype(np.float32) / 9
    piece[:, -1:] += 0.5 * piece[:, :1]
    power, complex_spectra = spectra.spectra(piece)
    book = fit_codebooks([piece], spectra, 16)[0]
    real = np.sqrt(power[:, :, book.first : book.last])
    real /= np.linalg.norm(real, axis=(1, 2), keepdims=True)
    bands = np.repeat(np.arange(len(book.stereo_edges) - 1), np.diff(book.stereo_edges))
    for magnitudes, phases, gains in zip(book.magnitudes, book.phases, book.gains, strict=True):
        shape = magnitudes / np.linalg.norm(magnitudes)
        at = int(np.abs(real - shape).mean(axis=(1, 2)).argmin())
        frames = complex_spectra[at, ..., book.first : book.last]
        steps = np.stack(np.divmod(phases, PHASE_STEPS), axis=1).reshape(HOPS, -1)
        common = np.exp(2j * np.pi * steps / PHASE_STEPS)
        each = gains[bands, :, 0] + 1j * gains[bands, :, 1]
        turned = common[:, None] * each.T
        off = np.abs(frames * turned.conj()).sum() - (frames * turned.conj()).real.sum()
        if channels == 1:
            assert off / np.abs(frames).sum() < 1 - np.cos(np.pi / PHASE_STEPS)
        else:  # nearest to both: turned by any angle it is farther
            for angle in (0.5, -0.5, np.pi):
                other = turned * np.exp(1j * angle)
                assert (frames * other.conj()).real.sum() < (frames * turned.conj()).real.sum()
