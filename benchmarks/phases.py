"""Phases rebuilt from true amplitudes: what a model of amplitudes alone could reach; JSON lines.

python benchmarks/phases.py --audio cold_day.flac

No model predicts anything here: a piece's own amplitude spectra are given, frame after frame, and
each way finds phases for them.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from common import machine, print_line, run_main

STRETCHES = 8


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    add = parser.add_argument
    add("--audio", nargs="+", required=True, help="files and folders")
    add("--span", type=int, default=256, help="samples in a frame (256)")
    add("--hop", type=int, default=64, help="samples between two frames (64)")
    add("--seconds", type=float, default=5.0, help=f"of each of {STRETCHES} stretches (5)")
    add("--cache", type=Path, metavar="FOLDER", help="where prepared audio is kept")
    return parser


def main(options: argparse.Namespace) -> None:
    from keras_rawaudio.data.corpus import CorpusSettings, prepare
    from keras_rawaudio.metrics.bootstrap import mean_interval

    corpus = prepare(options.audio, options.cache, CorpusSettings(sample_rate=8000, channels=1))
    part = max(corpus.segments("train"), key=len).astype(np.float32) / 32768
    length = round(options.seconds * corpus.sample_rate)
    begins = np.linspace(0, len(part) - length, STRETCHES).astype(int)
    spectra = Spectra(options.span, options.hop)
    for name, rebuild in ways(spectra).items():
        begun = time.process_time()
        errors = [spectra.error(part[begin : begin + length], rebuild) for begin in begins]
        mean, low, high = mean_interval(errors)
        print_line(
            {
                "phases": name,
                "amplitude_error_db": round(mean, 2),
                "low": round(low, 2),
                "high": round(high, 2),
                "realtime_factor": round(
                    STRETCHES * options.seconds / (time.process_time() - begun), 1
                ),
                "machine": machine(),
            }
        )


class Spectra:
    """Frames of a signal under the root of a Hann window, and the signal again.

    Args:
        span: samples in a frame.
        hop: samples between two frames.
    """

    def __init__(self, span: int, hop: int) -> None:
        from keras_rawaudio.layers.overlap import sum_to_one

        self.span, self.hop = span, hop
        self.window = np.sqrt(sum_to_one(span, hop))

    def of(self, signal: np.ndarray) -> np.ndarray:
        """`(T, bins)` complex."""
        frames = np.lib.stride_tricks.sliding_window_view(signal, self.span)[:: self.hop]
        return np.fft.rfft(frames * self.window)

    def signal(self, spectra: np.ndarray) -> np.ndarray:
        """Frames added up where they overlap."""
        total = np.zeros(self.hop * (len(spectra) - 1) + self.span)
        for i, frame in enumerate(np.fft.irfft(spectra) * self.window):
            total[i * self.hop : i * self.hop + self.span] += frame
        return total

    def error(self, audio: np.ndarray, rebuild: Callable[[np.ndarray], np.ndarray]) -> float:
        """How far the rebuilt signal's amplitudes lie from the given ones, in dB.

        The norm of the difference over that of the true amplitudes; the first and the last frames,
        which have too few neighbours, do not count.
        """
        true = self.of(audio)
        rebuilt = np.abs(self.of(self.signal(rebuild(true))))
        edge = self.span // self.hop
        amplitudes, rebuilt = np.abs(true)[edge:-edge], rebuilt[edge:-edge]
        ratio = np.linalg.norm(rebuilt - amplitudes) / np.linalg.norm(amplitudes)
        return float(20 * np.log10(max(ratio, 1e-10)))


def ways(spectra: Spectra) -> dict[str, Callable[[np.ndarray], np.ndarray]]:
    """From true spectra to spectra with found phases, by name; only the first sees the phases."""
    from phase_gradient import gaussian_gamma, phase_gradient_heap

    gamma = gaussian_gamma(spectra.window)
    griffin_lim = compiled_griffin_lim(spectra)

    def with_phases(true: np.ndarray, phases: np.ndarray) -> np.ndarray:
        return np.asarray(np.abs(true) * np.exp(1j * phases))

    def random(true: np.ndarray) -> np.ndarray:
        return with_phases(true, np.random.default_rng(0).uniform(0, 2 * np.pi, true.shape))

    def heap(true: np.ndarray) -> np.ndarray:
        return with_phases(true, phase_gradient_heap(np.abs(true), spectra.hop, gamma))

    return {
        "the true ones": lambda true: true,
        "random": random,
        "zero": np.abs,
        "phase gradient heap integration": heap,
        "Griffin-Lim, frame by frame": lambda true: griffin_lim(np.abs(true)),
    }


def compiled_griffin_lim(spectra: Spectra) -> Callable[[np.ndarray], np.ndarray]:
    """Griffin-Lim as the spectrum head uses it: no frame waits for a later one."""
    import tensorflow as tf

    from keras_rawaudio.layers.griffin_lim import GriffinLim
    from keras_rawaudio.layers.overlap import overlap_add

    layer = GriffinLim(spectra.span, spectra.hop)

    rest, bins = spectra.span - spectra.hop, spectra.span // 2 + 1

    @tf.function(input_signature=[tf.TensorSpec((1, bins)), tf.TensorSpec((1, rest))])
    def step(amplitudes: Any, pending: Any) -> Any:
        frame = layer(amplitudes, pending)
        _, pending = overlap_add((frame * spectra.window.astype("float32"))[:, None], pending)
        return frame, pending

    # The layer's transform keeps sums of squares; NumPy's does not.
    scale = np.full(bins, np.sqrt(2 / spectra.span), "float32")
    scale[[0, -1]] = np.sqrt(1 / spectra.span)

    def rebuild(amplitudes: np.ndarray) -> np.ndarray:
        pending = np.zeros((1, rest), "float32")
        frames = []
        for row in amplitudes.astype("float32") * scale:
            frame, pending = step(row[None], pending)
            frames.append(np.asarray(frame)[0])
        return np.fft.rfft(frames)

    return rebuild


if __name__ == "__main__":
    sys.exit(run_main(arguments(), main))
