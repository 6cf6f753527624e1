"""Systems that people would use instead: same pieces, same time, same measures.

python benchmarks/peers/run.py --pieces song.flac --out runs/peers --minutes 10
python benchmarks/peers/run.py --pieces song.flac --out runs/peers --systems samplernn-pytorch \\
    --sources mirrors --python samplernn-pytorch=venv/bin/python

Fetches each system's code at a named commit into `--out`/code, makes an environment for it, runs
its adapter (see `contract.py`), and measures what it wrote. All systems hear the same train part,
mono, at one rate. Leaves in `--out`: results.json, table.md and a picture of each piece. Started
again it goes on where it was: what is there for the same piece and settings is not run again.
Pin it to one core, so that times can be compared: taskset -c 0 python benchmarks/peers/run.py ...
With --learn-on cuda the peers in PyTorch learn on a GPU, and generate on the processor as ever.
"""

from __future__ import annotations

import argparse
import functools
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

from common import machine, plain, run_main, say  # noqa: E402
from systems import PEERS, SYSTEMS, code_of, python_of  # noqa: E402

ONE_THREAD = {"OMP_NUM_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "2"}
NO_GPU = {"CUDA_VISIBLE_DEVICES": ""}  # whatever a library was built for
SHOWN_SECONDS = 10.0


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    add = parser.add_argument
    add("--pieces", nargs="+", type=Path, required=True, metavar="PATH", help="files or folders")
    add("--out", type=Path, required=True, metavar="FOLDER", help="where everything is kept")
    add("--systems", nargs="+", default=list(SYSTEMS), choices=SYSTEMS, metavar="NAME")
    add("--minutes", type=float, default=10.0, help="of training, in processor time (10)")
    add("--streams", type=int, default=4, help="of each system, from nothing (4)")
    add("--seconds", type=float, default=20.0, help="of each stream (20)")
    add("--sample-rate", type=int, help="hertz, of all (default: the file's own, 16000 at most)")
    add(
        "--split",
        nargs=3,
        type=float,
        default=[0.8, 0.1, 0.1],
        metavar=("TRAIN", "VALIDATION", "TEST"),
        help="in the order of time (0.8 0.1 0.1); YouTubeMix has 0.88 0.06 0.06",
    )
    add("--size", choices=("small", "authors"), default="small", help="of the peers (small)")
    add("--learn-on", choices=("cpu", "cuda"), default="cpu", help="what training runs on (cpu)")
    add("--random-seed", type=int, default=0)
    add("--sources", type=Path, metavar="FOLDER", help="of local git repositories, by their names")
    add(
        "--python",
        nargs="+",
        type=assignment,
        default=[],
        metavar="SYSTEM=PATH",
        help="its interpreter (an environment is made for each peer)",
    )
    return parser


def assignment(text: str) -> tuple[str, str]:
    """A system and its interpreter.

    Example:
        >>> assignment("sashimi=venv/bin/python")
        ('sashimi', 'venv/bin/python')
    """
    name, _, path = text.partition("=")
    if name not in PEERS or not path:
        names = ", ".join(PEERS)
        raise argparse.ArgumentTypeError(f"{text!r} is not SYSTEM=PATH with one of {names}")
    return name, path


def main(options: argparse.Namespace) -> None:
    from keras_rawaudio.errors import UserError
    from keras_rawaudio.locks import exclusive

    able = [name for name, peer in PEERS.items() if peer.gpu]
    if options.learn_on == "cuda" and set(options.systems) - set(able):
        raise UserError(f"--learn-on cuda is for {', '.join(able)}; name them by --systems")
    results = []
    with exclusive(options.out):
        for piece in options.pieces:
            data = parts_of(piece, options)
            for name in options.systems:
                results.append(one_system(name, piece, data, options))
                write_results(results, options.out)
            picture(data, [r for r in results if r["piece"] == piece.stem], options.out)


def parts_of(piece: Path, options: argparse.Namespace) -> Path:
    """A folder with the parts of a piece as WAV files, split as everything here is."""
    import soundfile

    from keras_rawaudio.data.corpus import CorpusSettings, prepare
    from keras_rawaudio.data.corpus.settings import PARTS

    split = tuple(options.split)
    settings = CorpusSettings(options.sample_rate, 16_000, 1, split=split)
    corpus = prepare([piece], options.out / "cache", settings)
    folder: Path = options.out / "data" / f"{piece.stem}-{corpus.sample_rate}"
    folder.mkdir(parents=True, exist_ok=True)
    for part in PARTS:
        audio = np.concatenate([np.asarray(segment) for segment in corpus.segments(part)])
        soundfile.write(folder / f"{part}.wav", audio, corpus.sample_rate, "PCM_16")
    words = {"piece": str(piece.resolve()), "sample_rate": corpus.sample_rate, "split": split}
    (folder / "piece.json").write_text(json.dumps(words))
    return folder


def one_system(name: str, piece: Path, data: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Train, generate and measure, as far as that has not been done."""
    from keras_rawaudio.errors import UserError

    asked = {
        "system": name,
        "commit": PEERS[name].commit if name in PEERS else None,
        **{
            part: hashlib.sha256((data / f"{part}.wav").read_bytes()).hexdigest()
            for part in ("train", "validation", "test")
        },
        **{key: getattr(options, key) for key in ("minutes", "streams", "seconds", "random_seed")},
        "size": options.size if name in PEERS else None,
        **({"learn_on": "cuda"} if options.learn_on == "cuda" else {}),
    }
    digest = hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:10]
    folder = options.out / f"{data.name}-{name}-{digest}"
    if not (folder / "result.json").is_file():
        say(f"{piece.stem}: {name}, {options.minutes:g} minutes")
        shutil.rmtree(folder, ignore_errors=True)  # of a run that was stopped
        folder.mkdir(parents=True)
        system, pythons = SYSTEMS[name], dict(options.python)
        words = [python_of(name, options.out, pythons), HERE / system.adapter]
        words += ["--data", data, "--out", folder]
        words += ["--code", code_of(name, options.out, options.sources)] if name in PEERS else []
        words += ["--recipe", name] if name not in PEERS else ["--size", options.size]
        for key in ("minutes", "streams", "seconds", "random-seed", "learn-on"):
            words += [f"--{key}", getattr(options, key.replace("-", "_"))]
        environment = os.environ | ONE_THREAD | (NO_GPU if options.learn_on == "cpu" else {})
        with (folder / "log.txt").open("w") as log:
            done = subprocess.run(list(map(str, words)), env=environment, stdout=log, stderr=log)
        if done.returncode:
            code, log_file = done.returncode, folder / "log.txt"
            raise UserError(f"{name} failed on {piece} (exit code {code}); see {log_file}")
    result = json.loads((folder / "result.json").read_text())
    measured = folder / "measures.json"
    if not measured.is_file():
        say(f"{piece.stem}: measuring {name}")
        figures = measures(data, sorted(folder.glob("stream-*.wav")))
        partial = folder / "measures.json.partial"
        partial.write_text(json.dumps(plain(figures), indent=1, allow_nan=False))
        partial.replace(measured)
    figures = json.loads(measured.read_text())
    return {"piece": piece.stem, "folder": str(folder), "asked": asked} | result | figures


def measures(data: Path, wavs: Sequence[Path]) -> dict[str, Any]:
    """What `quality.py` measures, of streams from nothing."""
    import soundfile
    from quality import summary

    from keras_rawaudio.metrics.measure import measure

    audio = [soundfile.read(wav, dtype="float32")[0] for wav in wavs]
    piece = piece_of(data, len(audio[0]))
    rate, reference = piece["sample_rate"], piece["reference"]
    streams = [measure(stream, rate, reference) for stream in audio]
    distances: dict[str, Any] = {}
    for brackets in piece["brackets"]:
        distances |= brackets.compare(audio)
    return {
        "sample_rate": rate,
        **summary(streams),
        **{
            f"piece_{key}": reference.figures[key]
            for key in ("tonal_prominence_db", "beat_strength", "pitch_persistence")
        },
        "own_similarity": piece["own_similarity"],
        "distances": distances,
        "streams": streams,
    }


@functools.cache
def piece_of(data: Path, samples: int) -> dict[str, Any]:
    """What the piece itself scores, once for all systems; brackets for streams of this length."""
    import soundfile

    from keras_rawaudio.metrics.brackets import Brackets, available_comparisons
    from keras_rawaudio.metrics.reference import Reference
    from keras_rawaudio.metrics.train_set_similarity import own_similarity

    train, rate = soundfile.read(data / "train.wav", dtype="int16")
    heldout = [soundfile.read(data / f"{p}.wav", dtype="int16")[0] for p in ("validation", "test")]
    return {
        "sample_rate": rate,
        "reference": Reference.from_segments([train], heldout, rate),
        "own_similarity": own_similarity([train], rate),
        "brackets": [
            Brackets(comparison, [train], heldout, rate, samples / rate)
            for comparison in available_comparisons()
        ],
    }


def table(results: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """Header and rows, one system each. The figures' limits are those of `music_bars.py`."""
    from music_bars import KAD, bars, words

    rows = []
    for result in results:
        held = bars(result)
        kad = result["distances"].get(KAD, {})
        bits = result["test_bits_per_sample"]
        comparable = result["levels"] == "256 mu-law levels"
        row = {
            "piece": f"{result['piece']}, {result['sample_rate'] / 1000:g} kHz",
            "system": result["asked"]["system"],
            "bits per sample": "-" if bits is None else f"{bits:.2f}{'' if comparable else ' †'}",
            "KAD x 100, 95 % interval": interval(kad),
            "of held-out audio, grains, noise": ", ".join(
                number(kad.get(key)) for key in ("held-out", "grains", "noise")
            ),
        }
        row |= {bar.name: words(bar) for bar in held if bar.name != KAD and bar.value is not None}
        row |= {
            "core s per s of sound": f"{result['seconds_per_second_of_sound']:.2f}",
            "samples learned per s": f"{result['learned_samples_per_second'] or '-'}",
            "steps": f"{result['steps']}",
            "parameters": f"{result['parameters'] / 1e6:.2f} M",
            "memory": f"{result['peak_memory_mb']} MB",
            "export": "no" if result["asked"]["system"] in PEERS else "ONNX, SavedModel",
        }
        rows.append(row)
    names = list(dict.fromkeys(name for row in rows for name in row))
    return [names, *([row.get(name, "-") for name in names] for row in rows)]


def interval(row: Mapping[str, Any]) -> str:
    """A mean and its interval.

    Example:
        >>> interval({"mean": 14.2, "low": 12.0, "high": 16.0})
        '14 (12 to 16)'
    """
    if row.get("mean") is None:
        return "-"
    return f"{row['mean']:.0f} ({row['low']:.0f} to {row['high']:.0f})"


def number(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f}"


def write_results(results: Sequence[Mapping[str, Any]], out: Path) -> None:
    """results.json, and table.md with systems as columns."""
    (out / "results.json").write_text(json.dumps({"machine": machine(), "results": results}))
    across = list(zip(*table(results), strict=True))
    lines = [across[0], ["---"] * len(across[0]), *across[1:]]
    text = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    words = "† of other levels than the others': not to be compared. In brackets the limit."
    (out / "table.md").write_text(f"{text}\n\n{words}\n", encoding="utf-8")


def picture(data: Path, results: Sequence[Mapping[str, Any]], out: Path) -> None:
    """Spectrograms: the piece, and the first stream of each system."""
    import soundfile

    from keras_rawaudio.plots import spectrogram_figure

    test, rate = soundfile.read(data / "test.wav", dtype="float32")
    samples = round(SHOWN_SECONDS * rate)
    panels = [("the piece, test part", test[:samples])]
    for result in results:
        audio, _ = soundfile.read(Path(result["folder"]) / "stream-1.wav", samples, dtype="float32")
        panels.append((result["asked"]["system"], audio))
    spectrogram_figure(panels, rate, out / f"{data.name}.png")


if __name__ == "__main__":
    sys.exit(run_main(arguments(), main))
