"""The onset envelope: how much the spectrum rises from frame to frame."""

from __future__ import annotations

import numpy as np

from keras_rawaudio.dsp.spectra import magnitudes, mono

FRAME_SECONDS = 0.032
HOP_SECONDS = 0.016


def onset_envelope(audio: np.ndarray, rate: int) -> tuple[np.ndarray, float]:
    """Rise of the log spectrum from frame to frame, summed over bins.

    Args:
        audio: mono `(n,)`.
        rate: samples a second.

    Returns:
        The envelope `(frames - 1,)`, and its frames a second.

    Reference:
        Dixon, "Onset Detection Revisited", DAFx 2006: spectral flux, here of log magnitudes.
    """
    size, hop = max(16, round(FRAME_SECONDS * rate)), max(1, round(HOP_SECONDS * rate))
    rises, last = [], np.zeros((0, size // 2 + 1))
    for block in magnitudes(mono(audio), size, hop):
        level = np.log(np.concatenate([last, block]) + 1e-7)
        rises.append(np.maximum(np.diff(level, axis=0), 0).sum(axis=1))
        last = block[-1:]
    return np.concatenate(rises), rate / hop
