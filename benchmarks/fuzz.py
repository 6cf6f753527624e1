"""Fuzz the readers of what comes from outside. One JSON line.

pip install -e '.[fuzz]'
python benchmarks/fuzz.py --minutes 60
python benchmarks/fuzz.py --minutes 5 --only log audio

Atheris changes the files of a tiny run, its export, the shipped recipes and a little audio, and
gives them to one reader at a time, each in a process of its own. A reader may refuse a file by its
one error. What else it raises, a crash, more than two GB of memory or ten seconds end its fuzzing:
the input is kept in --out, and the exit code is 1. Minutes are those of the processor, so that a
busy machine changes nothing.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from common import machine, print_line

MEGABYTES = 2048
LONGEST = 10  # seconds of one input
LABELS = ("night", "day")
READERS = (
    *("recipe", "run", "request", "corpus", "log"),
    *("onnx", "metadata", "audio"),
    *("sweep", "cluster", "curves", "knobs", "music"),
)


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    add = parser.add_argument
    add("--minutes", type=float, default=5.0, help="of the processor, for each reader (5)")
    add("--only", nargs="+", choices=READERS, default=READERS, help="readers to fuzz (all)")
    add("--seed", type=int, default=1, help="of the changes (1)")
    add("--out", type=Path, default=Path("fuzz"), help="where inputs that fail are kept (fuzz)")
    add("--base", type=Path, help=argparse.SUPPRESS)  # the files; a process of one reader has it
    return parser


def main(options: argparse.Namespace) -> int:
    if options.base:
        fuzz(options)
    from abuse import make_base

    from keras_rawaudio.cli.tensorflow_loader import load_tensorflow

    load_tensorflow()
    out, script = options.out.resolve(), Path(__file__).resolve()
    inputs, failed = {}, []
    with tempfile.TemporaryDirectory() as name:
        base = Path(name) / "base"
        os.environ["XDG_CACHE_HOME"] = f"{name}/cache"
        make_base(base)
        for reader, contents in examples(base).items():
            (base / "examples" / reader).mkdir(parents=True)
            for number, content in enumerate(contents):
                (base / "examples" / reader / str(number)).write_bytes(content)
        for reader in options.only:
            words = ["--only", reader, "--base", str(base), "--out", str(out)]
            words += ["--minutes", str(options.minutes), "--seed", str(options.seed)]
            done = subprocess.run([sys.executable, str(script), *words], stderr=subprocess.PIPE)
            printed = done.stderr.decode(errors="replace")
            counted = re.search(r"number_of_executed_units: (\d+)", printed)
            inputs[reader] = int(counted[1]) if counted else None
            if done.returncode:
                failed.append(reader)
                print(printed[-3000:], file=sys.stderr)
    print_line(
        {
            "benchmark": "fuzz",
            "minutes": options.minutes,
            "inputs": inputs,
            "failed": failed,
            "machine": machine(),
        }
    )
    return 1 if failed else 0


def fuzz(options: argparse.Namespace) -> None:
    """Fuzz one reader, and leave."""
    import atheris

    (reader,) = options.only
    base = Path(shutil.copytree(options.base, options.base.parent / reader))
    with atheris.instrument_imports(include=["keras_rawaudio", "keras_rawaudio_serving", "yaml"]):
        read, errors = reader_of(reader, base)
    options.out.mkdir(parents=True, exist_ok=True)

    inputs, end = 0, time.process_time() + 60 * options.minutes

    def attempt(content: bytes) -> None:
        nonlocal inputs
        with contextlib.suppress(*errors):
            read(content)
        inputs += 1
        if time.process_time() >= end:
            # libFuzzer ends by the clock alone, and prints this where an input fails.
            print(f"number_of_executed_units: {inputs}", file=sys.stderr, flush=True)
            os._exit(0)

    flags = {
        "timeout": LONGEST,
        "rss_limit_mb": MEGABYTES,
        "seed": options.seed,
        "artifact_prefix": f"{options.out}/{reader}-",
        "print_final_stats": 1,
        "max_len": 1 << 16,
    }
    words = [f"-{name}={value}" for name, value in flags.items()]
    atheris.Setup([sys.argv[0], *words, str(base / "examples" / reader)], attempt)
    atheris.Fuzz()


def examples(base: Path) -> dict[str, list[bytes]]:
    """Valid inputs of each reader."""
    import onnx
    import soundfile

    import keras_rawaudio.recipes
    from keras_rawaudio.data.corpus.synthesis import synthesise

    run, shipped = base / "run", Path(keras_rawaudio.recipes.__file__).parent
    corpus = Path(json.loads((run / "run.json").read_text())["corpus"])
    model = base / "exported/generator.onnx"
    (metadata,) = (p.value for p in onnx.load(str(model)).metadata_props)
    sounds = []
    for kind in ("WAV", "FLAC", "OGG", "MP3", "AIFF", "AU", "CAF", "W64"):
        soundfile.write(base / "sound", synthesise(0.5, 8000), 8000, format=kind)
        sounds.append((base / "sound").read_bytes())
    sweep = {"audio": "song.wav", "epochs": 1, "trials": 2, "search": {"data.batch": [4, 8]}}
    task = {"cluster": {"worker": ["a:1", "b:2"]}, "task": {"type": "worker", "index": 1}}
    return {
        "recipe": [
            *(path.read_bytes() for path in sorted(shipped.rglob("*.yaml"))),
            (run / "recipe.json").read_bytes(),
        ],
        "run": [(run / "run.json").read_bytes()],
        "request": [(run / "request.json").read_bytes()],
        "corpus": [(corpus / "corpus.json").read_bytes()],
        "log": [(run / "log.csv").read_bytes()],
        "onnx": [model.read_bytes()],
        "metadata": [metadata.encode()],
        "audio": sounds,
        "sweep": [
            json.dumps(sweep).encode(),
            b"audio: [a.wav]\ntrials: 3\nsearch: {data.batch: {low: 1, high: 4}}\n",
        ],
        "cluster": [json.dumps(task).encode()],
        "curves": [b'{"tempo": [[0, 1.0], [30, 2.0]]}', b"seconds,tempo\n0,1\n30,2\n"],
        "knobs": [b'{"tempo": {"cc": 21, "channel": 1}, "level": {"cc": 22}}'],
        "music": [b"night", b"night=0.7,day=0.3"],
    }


def reader_of(
    name: str, base: Path
) -> tuple[Callable[[bytes], object], tuple[type[Exception], ...]]:
    """What reads the bytes of a file, and what it may raise."""
    from keras_rawaudio_serving.control_curves import read_curves
    from keras_rawaudio_serving.errors import ServingError
    from keras_rawaudio_serving.metadata import KEY, Label, parse_metadata
    from keras_rawaudio_serving.midi import read_knobs
    from keras_rawaudio_serving.model_file import read_model
    from keras_rawaudio_serving.music import read_music

    from keras_rawaudio.data.codecs import codec_from_json
    from keras_rawaudio.data.corpus import Corpus, CorpusSettings
    from keras_rawaudio.data.corpus.decoding import decode, open_audio
    from keras_rawaudio.errors import UserError
    from keras_rawaudio.recipes import load_recipe, recipe_from_json
    from keras_rawaudio.sweeps.settings import read_sweep
    from keras_rawaudio.training.csv_log import read_log
    from keras_rawaudio.training.run_folder import RunFolder, damaged_if_wrong
    from keras_rawaudio.training.schedule import Budget
    from keras_rawaudio.training.workers import Cluster

    run = RunFolder(base / "run")
    corpus = Path(run.describe()["corpus"])

    def file(content: bytes, path: Path) -> Path:
        path.write_bytes(content)
        return path

    def json_or(content: bytes, other: str) -> Path:
        """JSON where it begins like it, so that one reader is fuzzed in both of its formats."""
        return file(content, base / f"file.{'json' if content[:1] in (b'{', b'[') else other}")

    def recipe(content: bytes) -> None:
        found = load_recipe(str(json_or(content, "yaml")))
        again = recipe_from_json(json.loads(json.dumps(found.to_json())))
        assert again == found, f"{again} is not {found}"

    def description(content: bytes) -> None:
        values = RunFolder.open(file(content, run.description).parent).describe()
        with damaged_if_wrong(run.description):
            Budget(**values["budget"]), codec_from_json(values["codec"])

    def request(content: bytes) -> None:
        values = RunFolder(file(content, run.request).parent).read_request()
        recipe_from_json(values["recipe"])
        with damaged_if_wrong(run.request):
            Budget(**values["budget"]), CorpusSettings(**values["corpus_settings"])

    def prepared(content: bytes) -> None:
        found = Corpus.open(file(content, corpus / "corpus.json").parent)
        for part in ("train", "validation", "test"):
            found.segments(part), found.starts(part), found.place(part, 0.0)
            found.segment_labels(part), found.longest(part)

    def audio(content: bytes) -> None:
        for block in decode(open_audio(file(content, base / "sound")), 8000):
            assert block.ndim == 1

    def text(content: bytes) -> str:
        return content.decode("utf-8", "surrogateescape")

    readers: dict[str, Callable[[bytes], object]] = {
        "recipe": recipe,
        "run": description,
        "request": request,
        "corpus": prepared,
        "log": lambda content: read_log(file(content, run.log), "minutes", "train_loss"),
        "onnx": lambda content: read_model(file(content, base / "file.onnx")),
        "metadata": lambda content: parse_metadata({KEY: text(content)}, "file.onnx"),
        "audio": audio,
        "sweep": lambda content: read_sweep(json_or(content, "yaml")),
        "cluster": lambda content: Cluster(text(content)),
        "curves": lambda content: read_curves([], str(json_or(content, "csv"))),
        "knobs": lambda content: read_knobs(file(content, base / "file.json"), ["tempo", "level"]),
        "music": lambda content: read_music([text(content)], [Label(n, 0.5) for n in LABELS]),
    }
    return readers[name], (UserError, ServingError, UserWarning)


if __name__ == "__main__":
    sys.exit(main(arguments().parse_args()))
