"""Many pieces, one recipe: trains, exports, generates and measures each, and writes a page of all.

python benchmarks/music.py --audio music --out runs/music --minutes 30
python benchmarks/music.py --audio music --out runs/music-report --minutes 30 --pieces report

`--audio` names folders that hold the pieces, anywhere below; there is no music in the repository.
Half of the streams go on from 1 s of the validation part, half begin with nothing. Leaves in
`--out`: NAME.json of each piece (what `quality.py` measures, the distances with their brackets),
table.md and page.html. Started again it goes on where it was: pieces that have a JSON are not run
again, and a run that was stopped is resumed.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from common import ROOT, machine, plain, run_main, say
from music_bars import table

DEVELOPMENT = (
    "cold_day",
    "the_simplicity",
    "blupi_004",
    "music004",
    "music007",
    "battle",
    "elvish-theme",
    "northerners",
    "speech",
)
# Looked at only when choices are made. Drawn before any was: random.Random(0).sample(names, 4),
# `names` the sorted stems of the ten pieces of `long` and the 41 of `orchestra` that are not above.
REPORT = ("music009", "nunc_dimittis", "casualties_of_war", "main_menu")
SETS = {"development": DEVELOPMENT, "report": REPORT}
SUFFIXES = (".flac", ".wav", ".ogg", ".mp3", ".aiff", ".aif")
SHOWN_SECONDS = 15.0  # of two streams of each piece, so that the page stays some tens of megabytes


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    add = parser.add_argument
    add("--audio", nargs="+", type=Path, required=True, metavar="FOLDER", help="hold the pieces")
    add("--out", type=Path, required=True, metavar="FOLDER", help="where results are kept")
    add(
        "--pieces",
        nargs="+",
        default=["development"],
        metavar="NAME",
        help="development, report, or names of files and folders (development)",
    )
    add("--recipe", default="default")
    add("--minutes", type=float, default=30.0, help="of training steps, each piece (30)")
    add("--streams", type=int, default=4, help="from a seed, and as many from nothing (4)")
    add("--generate-seconds", type=float, default=60.0, help="of each stream (60)")
    add("--sample-rate", type=int, help="hertz (default: as train.py)")
    add("--random-seed", type=int, default=0, help="of weights, data order and draws (0)")
    add("--set", nargs="+", default=[], metavar="KEY=VALUE", help="recipe values")
    return parser


def main(options: argparse.Namespace) -> None:
    names = [n for name in options.pieces for n in SETS.get(name, (name,))]
    paths = {name: locate(options.audio, name) for name in names}  # all, before any is trained
    results = []
    for name, path in paths.items():
        file = options.out / f"{name}.json"
        if file.is_file():
            result = known(file, options)
        else:
            result = one_piece(name, path, options)
            file.parent.mkdir(parents=True, exist_ok=True)
            partial = file.with_suffix(".partial")
            partial.write_text(json.dumps(plain(result), indent=1, allow_nan=False))
            partial.replace(file)
        results.append(result)
        write_results(results, options)


def locate(folders: Sequence[Path], name: str) -> Path:
    """The file or folder of this name; a file by its name without the suffix.

    Raises:
        UserError: there is none.
    """
    from keras_rawaudio.errors import UserError

    for folder in folders:
        inside = sorted(folder.rglob("*"))
        files = [p for p in inside if p.stem == name and p.suffix.lower() in SUFFIXES]
        folders_named = [p for p in (folder, *inside) if p.is_dir() and p.name == name]
        if files or folders_named:
            return (files or folders_named)[0]
    searched = ", ".join(map(str, folders))
    raise UserError(f"no piece {name} in {searched}; --audio names the folders that hold the music")


def settings(options: argparse.Namespace) -> dict[str, Any]:
    """What a result depends on: results of others are not taken for these."""
    kept = ("recipe", "minutes", "streams", "generate_seconds", "sample_rate", "random_seed", "set")
    return {key: getattr(options, key) for key in kept}


def known(file: Path, options: argparse.Namespace) -> dict[str, Any]:
    """A result that is there already.

    Raises:
        UserError: it was made with other settings.
    """
    from keras_rawaudio.errors import UserError

    result: dict[str, Any] = json.loads(file.read_text())
    other = [k for k, v in settings(options).items() if result["settings"].get(k) != v]
    if other:
        raise UserError(f"{file} was made with another {', '.join(other)}; give another --out")
    say(f"{result['piece']}: known")
    return result


def one_piece(name: str, path: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Train, or go on with, a run of one piece, and measure it."""
    from keras_rawaudio.errors import UserError
    from keras_rawaudio.files import replacing

    work = options.out / name
    run, begun = work / "run", work / "settings.json"
    before = json.loads(begun.read_text()) if begun.is_file() else None
    if (before or run.exists()) and before != settings(options):
        raise UserError(f"{run} was begun with other settings; give another --out")
    work.mkdir(parents=True, exist_ok=True)
    with replacing(begun) as partial:
        partial.write_text(json.dumps(settings(options)))
    say(f"{name}: training for {options.minutes:g} minutes")
    if (run / "run.json").is_file():
        call("train.py", "--resume", "--run", run)
    else:
        words = ["--audio", path, "--run", run, "--cache", options.out / "cache"]
        words += ["--recipe", options.recipe, "--minutes", options.minutes]
        words += ["--random-seed", options.random_seed, "--sample-seconds", 0]
        words += ["--sample-rate", options.sample_rate] if options.sample_rate else []
        words += ["--set", *options.set] if options.set else []
        call("train.py", *words)
    words = ["--run", run, "--work", work, "--streams", options.streams]
    words += ["--generate-seconds", options.generate_seconds]
    words += ["--random-seed", options.random_seed]
    line = call("benchmarks/quality.py", *words).splitlines()[-1]
    return {"piece": name, "settings": settings(options), **json.loads(line)}


def call(script: str, *words: Any) -> str:
    """Run a script of the checkout; what it prints.

    Raises:
        UserError: it failed; its own words are on stderr.
    """
    from keras_rawaudio.errors import UserError

    command = [sys.executable, str(ROOT / script), *map(str, words)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise UserError(f"{script} failed (exit code {done.returncode}); see above")
    return done.stdout


def write_results(results: Sequence[dict[str, Any]], options: argparse.Namespace) -> None:
    """table.md and page.html of the pieces so far."""
    from keras_rawaudio.reports.distances import distances_tables
    from keras_rawaudio.reports.page import Picture, Section, Table, write_page

    header, rows = table(results)
    lines = [header, ["---"] * len(header), *rows]
    words = (
        f"Recipe {options.recipe}, {options.minutes:g} minutes of training each, "
        f"{2 * options.streams} streams of {options.generate_seconds:g} s, half from nothing, "
        f"on {machine()['cpu']}. In brackets the bar."
    )
    text = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    (options.out / "table.md").write_text(f"{words}\n\n{text}\n", encoding="utf-8")
    # On the page measures are rows: a piece is a column.
    across = [list(column) for column in zip(header, *rows, strict=True)]
    sections = [Section("All pieces", words, tables=[Table(across[0], across[1:])])]
    for result in results:
        spectrogram = Picture(Path(result["spectrogram"]).read_bytes(), "From a seed, from nothing")
        sections.append(
            Section(
                result["piece"],
                players=players(result),
                pictures=[spectrogram],
                tables=distances_tables(result["distances"]),
            )
        )
    title = f"{options.recipe} on {len(results)} pieces"
    write_page(options.out / "page.html", title, " ".join(options.pieces), sections)


def players(result: dict[str, Any]) -> list[Any]:
    """The first stream from a seed, and the first from nothing."""
    import soundfile

    from keras_rawaudio.reports.page import Player

    chosen = []
    for seeded in (True, False):
        stream = next(s for s in result["streams"] if s["seeded"] is seeded)
        rate = result["sample_rate"]
        audio = soundfile.read(stream["wav"], round(SHOWN_SECONDS * rate), dtype="float32")[0]
        mixed = np.atleast_2d(audio.T).mean(axis=0)
        name = f"from {'a seed' if seeded else 'nothing'}"
        chosen.append(Player(name, mixed, rate, [stream["verdict"]]))
    return chosen


if __name__ == "__main__":
    sys.exit(run_main(arguments(), main))
