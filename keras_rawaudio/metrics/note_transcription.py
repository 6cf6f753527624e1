"""Notes of a recording by basic-pitch, a small network that was trained on other people's music."""

from __future__ import annotations

from functools import cache
from importlib.metadata import distribution
from itertools import pairwise
from typing import Any

import numpy as np

from keras_rawaudio.errors import UserError
from keras_rawaudio.metrics.timed import Timed

RATE, HOP = 22_050, 256
SAMPLES = 43_844  # of a window
EDGE = 15  # frames at either end of a window that are left to its neighbours
KEPT = 142  # frames of a window between its ends
LOWEST = 21  # MIDI number of the first of the 88 pitches
ONSET, SOUNDING = 0.5, 0.3  # the published thresholds
SHORTEST, LONGEST_GAP = 11, 11  # frames: 128 ms
BATCH = 8
FILE = "basic_pitch/saved_models/icassp_2022/nmp.onnx"
MISSING = (
    "basic-pitch and onnxruntime are not both installed: pip install onnxruntime, then "
    "pip install --no-deps basic-pitch==0.4.0 (its pins do not resolve)"
)


class NoteTranscriber:
    """The network of Bittner et al., which marks where each of 88 pitches begins and sounds.

    How it fails: it was trained on single instruments; drums become spurious notes, soft pads lose
    their onsets, and octaves are confused. Only compare its notes with its notes of other audio.

    Args:
        session: an ONNX Runtime session of the published file `nmp.onnx`.

    Reference:
        Bittner, Bosch, Rubinstein, Meseguer-Brocal and Ewert, "A Lightweight Instrument-Agnostic
        Model for Polyphonic Note Transcription and Multipitch Estimation", ICASSP 2022.
    """

    def __init__(self, session: Any) -> None:
        self.session = session

    @classmethod
    @cache
    def load(cls) -> NoteTranscriber:
        """The network that comes inside of the installed package basic-pitch.

        Raises:
            UserError: the package, or ONNX Runtime, is not installed.
        """
        try:
            import onnxruntime

            # Looked up, not imported: the package's own code looks for TensorFlow.
            path = distribution("basic-pitch").locate_file(FILE)
        except ModuleNotFoundError:  # which PackageNotFoundError is, too
            raise UserError(MISSING) from None
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        return cls(onnxruntime.InferenceSession(str(path), options, ["CPUExecutionProvider"]))

    def notes(self, audio: np.ndarray, rate: int) -> Timed:
        """Notes in the order of their onsets.

        Args:
            audio: `(n,)` or `(n, channels)` in [-1, 1]; channels are averaged.
            rate: int. Samples per second; other rates than 22.05 kHz are resampled.

        Returns:
            A row per note: MIDI number, length in seconds, mean likelihood that it sounds.
        """
        onsets, sounding = self.activations(audio, rate)
        return Timed(len(audio) / rate, *notes_from_activations(onsets, sounding))

    def activations(self, audio: np.ndarray, rate: int) -> tuple[np.ndarray, np.ndarray]:
        """Likelihoods that a pitch begins, and that it sounds: `(frames, 88)`, 86 per second."""
        import soxr

        mixed = np.asarray(audio, np.float32)
        if mixed.ndim == 2:
            mixed = mixed.mean(axis=1)
        mixed = mixed if rate == RATE else soxr.resample(mixed, rate, RATE)
        frames = 1 + len(mixed) // HOP
        windows = -(-frames // KEPT)
        after = max(0, (windows - 1) * KEPT * HOP + SAMPLES - EDGE * HOP - len(mixed))
        padded = np.pad(mixed, (EDGE * HOP, after))
        starts = np.arange(windows) * KEPT * HOP
        onsets, sounding = [], []
        for first in range(0, windows, BATCH):
            batch = np.stack([padded[s : s + SAMPLES] for s in starts[first : first + BATCH]])
            note, onset = self.session.run(
                ["StatefulPartitionedCall:1", "StatefulPartitionedCall:2"],
                {"serving_default_input_2:0": batch[..., None]},
            )
            sounding += list(note[:, EDGE : EDGE + KEPT])
            onsets += list(onset[:, EDGE : EDGE + KEPT])
        return np.concatenate(onsets)[:frames], np.concatenate(sounding)[:frames]


def notes_from_activations(
    onsets: np.ndarray, sounding: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Notes from the likelihoods of the network.

    A pitch sounds while its likelihood is 0.3 or more; gaps under 128 ms are closed. A note begins
    with the sound, and anew at each local maximum of 0.5 or more of the likelihood that it begins.
    Notes under 128 ms are left out.

    Args:
        onsets: `(frames, 88)`.
        sounding: `(frames, 88)`.

    Returns:
        Starts in seconds, `(n,)`, in order; and rows of MIDI number, length in seconds and mean
        likelihood, `(n, 3)`.

    Example:
        >>> sounding = np.zeros((100, 88))
        >>> sounding[20:63, 39] = 0.9
        >>> starts, notes = notes_from_activations(0 * sounding, sounding)
        >>> starts.round(2).tolist(), notes.round(1).tolist()
        ([0.23], [[60.0, 0.5, 0.9]])
    """
    before = np.pad(onsets, ((1, 1), (0, 0)))[:-2]
    after = np.pad(onsets, ((1, 1), (0, 0)))[2:]
    peaks = (onsets >= ONSET) & (onsets > before) & (onsets >= after)
    rows = []
    for pitch in range(sounding.shape[1]):
        frames = np.flatnonzero(sounding[:, pitch] >= SOUNDING)
        if len(frames) == 0:
            continue
        breaks = np.flatnonzero(np.diff(frames) > LONGEST_GAP)
        begins = frames[np.concatenate([[0], breaks + 1])]
        ends = frames[np.concatenate([breaks, [len(frames) - 1]])] + 1
        for begin, end in zip(begins, ends, strict=True):
            inner = begin + 1 + np.flatnonzero(peaks[begin + 1 : end, pitch])
            cuts = [begin, *inner, end]
            for start, stop in pairwise(cuts):
                if stop - start >= SHORTEST:
                    strength = sounding[start:stop, pitch].mean()
                    rows.append((start, pitch + LOWEST, (stop - start) * HOP / RATE, strength))
    found = np.array(sorted(rows), np.float64).reshape(-1, 4)
    return found[:, 0] * HOP / RATE, found[:, 1:]
