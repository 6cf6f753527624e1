"""What the controls of an exported generator do: each over its range, measured on what it plays.

python benchmarks/controls.py exported/song/generator.onnx --seconds 40 --streams 4

For each value of a control, the others at their defaults: the period of the pulse in seconds, beat
strength, onsets per second, level in dB, and the share of seconds that are silent. Of each tempo
also what is found: how much faster the onsets come than at tempo 1 (`tempo_ratio.py`), and how
far that is off in percent. The roughness of the jump to the value is the largest second difference
in the 0.2 s after it, over the largest of the 5 s before. A JSON line last.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np
from common import print_line, print_table, run_main, say

VALUES = {
    "temperature": (0.7, 1.0, 1.2),
    "tempo": (1.0, 0.5, 0.75, 1.5, 2.0),
    "level": (-20.0, -6.0, 0.0, 6.0),
    "density": (-2.0, -1.0, 0.0, 1.0, 2.0),
    "hold": (0.0, 1.0),
}
LEAD = 5.0  # seconds that are generated before a control is turned
JUMP = 0.2  # and those after it in which a click would lie
SILENT_DB = -70.0


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model", type=Path, help="generator.onnx")
    parser.add_argument("--seconds", type=float, default=40.0, help="of each stream (40)")
    parser.add_argument("--streams", type=int, default=4, help="(4)")
    parser.add_argument("--random-seed", type=int, default=0)
    parser.add_argument("--controls", nargs="+", metavar="NAME", help="those alone (all)")
    return parser


def main(options: argparse.Namespace) -> None:
    from keras_rawaudio_serving.sampler import Sampler
    from tempo_ratio import tempo_ratio

    sampler = Sampler.load(
        options.model, streams=options.streams, random_seed=options.random_seed, threads=2
    )
    rows: list[dict[str, Any]] = []
    at_one = np.zeros(0)  # audio at tempo 1
    for name, control in sampler.controls.items():
        if options.controls and name not in options.controls:
            continue
        for value in VALUES.get(name, (1.0,)):  # each music by itself
            sampler.set_control(name, [control.default])
            sampler.reset()
            lead = sampler.generate(LEAD)
            sampler.set_control(name, [value])
            say(f"{name} {value:g}")
            audio = sampler.generate(options.seconds)
            first = audio[:, : round(JUMP * sampler.sample_rate)]
            jump = bend(np.concatenate([lead[:, -2:], first], axis=1)) / bend(lead)
            row = {"control": name, "value": value, **measured(audio, sampler.sample_rate)}
            found = None
            if name == "tempo":
                at_one = audio if value == 1.0 else at_one
                found = tempo_ratio(list(audio), list(at_one), sampler.sample_rate)
            off = None if found is None else round(100 * abs(found / value - 1), 2)
            row |= {"tempo_found": found, "tempo_off_percent": off}
            rows.append(row | {"jump_roughness": round(jump, 2)})
        sampler.set_control(name, [control.default])
    print_table(rows, tuple(rows[0]))
    print_line({"benchmark": "controls", "model": str(options.model), "rows": rows})


def measured(audio: np.ndarray, rate: int) -> dict[str, float]:
    """Figures of streams `(streams, n)` or `(streams, n, channels)`, in the mean."""
    from keras_rawaudio.dsp.spectra import mono
    from keras_rawaudio.dsp.tempo import pulse_period
    from keras_rawaudio.metrics.beat_strength import beat_strength_and_period

    found = []
    for each in audio:
        stream = mono(each)
        strength, _ = beat_strength_and_period(stream, rate)
        seconds = stream[: len(stream) // rate * rate].reshape(-1, rate)
        levels = 10 * np.log10(np.square(seconds).mean(axis=1) + 1e-12)
        found.append(
            {
                "pulse_period": pulse_period([stream], rate),
                "beat_strength": strength,
                "onsets_per_second": onsets(stream, rate),
                "level_db": float(10 * np.log10(np.square(stream).mean() + 1e-12)),
                "silent_share": float((levels < SILENT_DB).mean()),
            }
        )
    return {key: round(float(np.median([f[key] for f in found])), 4) for key in found[0]}


def bend(audio: np.ndarray) -> float:
    """The largest second difference of `(streams, n, ...)`: a click has a large one."""
    return float(np.abs(np.diff(audio, 2, axis=1)).max())


def onsets(audio: np.ndarray, rate: int) -> float:
    """Peaks of the onset envelope per second, of at least its mean and a deviation."""
    from scipy.signal import find_peaks

    from keras_rawaudio.dsp.tempo import onset_envelope

    envelope, per_second = onset_envelope(audio, rate)
    least = envelope.mean() + envelope.std()
    peaks, _ = find_peaks(envelope, height=least, distance=max(1, round(0.06 * per_second)))
    return float(len(peaks) / (len(envelope) / per_second))


if __name__ == "__main__":
    sys.exit(run_main(arguments(), main))
