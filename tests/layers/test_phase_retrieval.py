"""Phases for magnitude spectra."""

import numpy as np
import pytest
from keras import ops

from keras_rawaudio.dsp.block_spectra import BlockSpectra
from keras_rawaudio.dsp.octave_bands import octave_powers
from keras_rawaudio.dsp.spectral_codebook import PHASE_STEPS, common_phases
from keras_rawaudio.layers.phase_retrieval import PhaseRetrieval
from keras_rawaudio.metrics.stereo_image import side_mid_ratio
from keras_rawaudio.models.spectral_decoder import ONSET

RATE = 8000


def resynthesise(audio, own_phases=True):
    """Audio `(n, channels)` back from its spectra, its delay taken away.

    With own phases, frames go on as the signal does, and begin with them where it is `ONSET` times
    as loud as before. Else all begin with the phases of the frame before.
    """
    spectra = BlockSpectra(RATE, audio.shape[1])
    power, channels = spectra.spectra(audio)
    edges = spectra.stereo_edges(0, spectra.bins)
    gains = spectra.channel_gains(channels, edges)
    pairs = common_phases(channels, gains, edges)
    steps = np.stack(np.divmod(pairs, PHASE_STEPS), axis=2)
    circle = np.exp(2j * np.pi * steps / PHASE_STEPS)
    owner = np.repeat(np.arange(len(edges) - 1), np.diff(edges))
    gains = gains[:, owner].transpose(0, 2, 1, 3)
    phases = PhaseRetrieval(spectra.fft_size, audio.shape[1])
    ahead = phases.look_ahead
    frames = np.sqrt(power).reshape(-1, spectra.bins)
    frames = np.pad(frames, ((ahead, 0), (0, 0)))
    own = np.pad(circle.reshape(-1, spectra.bins), ((ahead, 0), (0, 0)), constant_values=1)
    state = [ops.zeros((1, *shape)) for shape in phases.state_shapes()]
    hops = []
    for t in range(len(frames) - ahead):
        oldest = max(0, t - ahead) // 4
        window = [frames[t + i][None] for i in range(ahead + 1)]
        begins = own_phases * (frames[t + ahead] > ONSET * frames[t + ahead - 1])
        advance = own[t + ahead] / own[t + ahead - 1] if own_phases else np.ones_like(own[0])
        start = [parts(z) for z in ((1 - begins) * advance, begins * own[t + ahead])]
        hop, state = phases.hop_of_audio(window, *start, gains[oldest][None], state)
        hops.append(np.asarray(hop)[0])
    return np.concatenate(hops)[phases.delay :], spectra


def parts(z):
    """Real and imaginary part along a last axis."""
    return np.stack([z.real, z.imag], axis=-1).reshape(1, -1, 2)


@pytest.fixture(scope="module")
def audio():
    n = np.arange(24 * 512) / RATE
    rng = np.random.default_rng(0)
    tone = 0.2 * np.sin(2 * np.pi * 440 * n) + 0.1 * np.sin(2 * np.pi * 1234 * n)
    clicks = np.zeros_like(n)
    clicks[::2000] = 0.5
    left = tone + clicks + 0.01 * rng.normal(size=len(n))
    right = 0.5 * tone + 0.02 * rng.normal(size=len(n))
    return np.stack([left, right], axis=1).astype(np.float32)


def test_magnitudes_and_levels_come_back(audio):
    made, spectra = resynthesise(audio)
    real = audio[: len(made) // spectra.block * spectra.block]
    made = made[: len(real)]
    a, b = (np.sqrt(spectra.power(x))[1:-1] for x in (made, real))
    assert np.linalg.norm(a - b) / np.linalg.norm(b) < 0.3
    assert made.std(axis=0) == pytest.approx(real.std(axis=0), rel=0.15)


def test_the_width_of_each_octave_comes_back():
    """A narrow bass under wide notes, a few bins of the spectrum apart."""
    rng = np.random.default_rng(1)
    spectrum = np.fft.rfft(rng.normal(size=(60 * 512, 2)), axis=0)
    hertz = np.fft.rfftfreq(60 * 512, 1 / RATE)[:, None]
    notes = np.fft.irfft(spectrum * ((hertz > 88) & (hertz < 360)), axis=0)
    bass = np.fft.irfft(spectrum[:, :1] * ((hertz > 22) & (hertz < 44)), axis=0)
    audio = (0.5 * notes + 2 * bass + 0.05 * notes[::-1]).astype(np.float32)
    made, _ = resynthesise(audio)
    real, found = (side_mid_ratio(octave_powers(x, RATE))[:4] for x in (audio, made))
    assert real[0] < -20
    assert found[0] < -20
    np.testing.assert_allclose(found[2:], real[2:], atol=1.0)


def test_a_signal_comes_back_from_its_magnitudes_and_phases(audio):
    mono = audio[:, :1]
    made, spectra = resynthesise(mono)
    real = mono[: len(made)]
    inside = slice(spectra.block, -spectra.block)
    assert np.std(made[inside] - real[inside]) < 0.2 * np.std(real)
    made, _ = resynthesise(mono, own_phases=False)
    assert np.std(made[inside] - real[inside]) > 0.5 * np.std(real)


def test_silence_stays_silent():
    made, _ = resynthesise(np.zeros((4096, 1), np.float32))
    assert np.abs(made).max() == 0


def test_frames_that_do_not_divide_are_refused():
    with pytest.raises(ValueError, match="multiple of four"):
        PhaseRetrieval(30)
