"""Phases from amplitudes: consistent with the frames before, as near as the library's."""

import librosa
import numpy as np
import pytest
from keras import ops

from keras_rawaudio.data.corpus.synthesis import synthesise
from keras_rawaudio.layers.fourier import amplitude
from keras_rawaudio.layers.griffin_lim import GriffinLim
from keras_rawaudio.layers.overlap import cut, overlap_add

RATE, SPAN, HOP = 8000, 256, 64


def spectra(rebuild, signal):
    return amplitude(*rebuild.fourier.forward(cut(signal, SPAN, HOP) * rebuild.window))


def rebuilt(rebuild, amplitudes):
    """Frame after frame, as a generator does it."""
    pending, parts = np.zeros((1, SPAN - HOP), "float32"), []
    for t in range(amplitudes.shape[1]):
        frame = rebuild(amplitudes[:, t], pending) * rebuild.window
        part, pending = overlap_add(frame[:, None], pending)
        parts.append(ops.convert_to_numpy(part))
    return np.concatenate([*parts, ops.convert_to_numpy(pending)], axis=1)


def distance(rebuild, signal, amplitudes):
    """Spectral convergence: how far the amplitudes are from those asked for."""
    found = ops.convert_to_numpy(spectra(rebuild, signal))[:, 4:-4]
    wanted = ops.convert_to_numpy(amplitudes)[:, 4:-4]
    return np.linalg.norm(found - wanted) / np.linalg.norm(wanted)


@pytest.fixture(scope="module")
def piece():
    audio = np.asarray(synthesise(1.5, RATE), "float32")
    return (audio / audio.std())[None, : len(audio) // HOP * HOP]


@pytest.mark.slow
def test_phases_are_as_good_as_the_librarys(piece):
    """librosa may look at all frames 32 times; here a frame sees only those before it."""
    rebuild = GriffinLim(SPAN, HOP)
    amplitudes = spectra(rebuild, piece)
    ours = rebuilt(rebuild, amplitudes)[:, : piece.shape[1]]
    scale = ops.convert_to_numpy(rebuild.fourier.forward(np.eye(1, SPAN, dtype="float32"))[0])
    theirs = librosa.griffinlim(
        ops.convert_to_numpy(amplitudes)[0].T / scale.T,
        n_iter=32,
        hop_length=HOP,
        n_fft=SPAN,
        window=rebuild.window,
        center=False,
        random_state=0,
    )
    theirs = theirs[None, : len(theirs) // HOP * HOP].astype("float32")
    wanted = amplitudes[:, : (theirs.shape[1] - SPAN) // HOP + 1]
    assert distance(rebuild, ours, amplitudes) < 1.1 * distance(rebuild, theirs, wanted)


@pytest.mark.slow
def test_rounds_and_momentum_help(piece):
    amplitudes = spectra(GriffinLim(SPAN, HOP), piece)
    found = [
        distance(rebuild, rebuilt(rebuild, amplitudes)[:, : piece.shape[1]], amplitudes)
        for rebuild in (GriffinLim(SPAN, HOP, n, m) for n, m in [(1, 0), (4, 0), (4, 0.9)])
    ]
    assert found[1] < 0.7 * found[0]
    assert found[2] < found[1]


def test_the_phases_of_a_frame_that_is_all_there_are_kept():
    """What is pending holds all of the frame but a hop: its phases are read off, not invented."""
    rebuild = GriffinLim(32, 8, iterations=50)
    place = np.arange(32 + 3 * 8)
    tone = np.sin(2 * np.pi * place / 8 + 0.3).astype("float32")[None]
    frames = cut(tone, 32, 8) * rebuild.window**2
    _, pending = overlap_add(frames[:, :3], np.zeros((1, 24), "float32"))
    last = cut(tone, 32, 8)[:, 3] * rebuild.window
    found = rebuild(amplitude(*rebuild.fourier.forward(last)), pending)
    np.testing.assert_allclose(found, last, atol=0.1)


@pytest.mark.parametrize("options", [{"iterations": 0}, {"momentum": 1.0}, {"momentum": -0.1}])
def test_impossible_settings_are_refused(options):
    with pytest.raises(ValueError, match="Griffin-Lim needs"):
        GriffinLim(16, 4, **options)
