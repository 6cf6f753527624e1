"""The gallery: trains, plays by real command lines, draws, and writes docs/research/gallery.md.

python benchmarks/gallery.py --audio cold_day.flac --minutes 10 --credit "..."

Runs that are in the working folder already are taken as they are, so the page can be made again.
"""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common import ROOT, run_main, say

PICTURE_BYTES = 150_000
COLOURS, WIDTH = (64, 32, 16), 900
SHOWN_WORK = "runs/gallery"  # as the page names the working folder


OPENING = """# Gallery

From real runs on `{song}`{credit}. The repository holds no audio of this piece: the command under
each picture makes it. All of this page, pictures and figures included, is made by

```
python benchmarks/gallery.py --audio {song} --minutes {minutes}{flag}
```

What the figures mean: [the glossary](../reference/glossary.md). The generators come from

```
python train.py --audio {song} --run {work}/default --recipe default --minutes {minutes}
python export.py --run {work}/default --out {work}/default/exported
```

and likewise for the other recipes.

| recipe | minutes to that score | score on held-out audio, and what costs nothing |
|---|---|---|
{rows}
"""


@dataclass(frozen=True)
class Show:
    """One picture of the page, the command that makes what is in it, and what to say of it.

    `flags` are those of `serving/generate.py`; `titles` name the files that it leaves, in order.
    """

    name: str
    heading: str
    words: str
    recipe: str
    flags: str
    titles: tuple[str, ...]
    seconds: int = 12


SEEDED = "--seed-audio {song} --seed-start {start} --seed-seconds 1 --keep-seed --random-seed 1"
SHOWS = (
    Show(
        "continued",
        "A second of the piece, and on",
        "Above the piece, below the model: it reads one second, then nothing but its own audio.",
        "default",
        SEEDED,
        ("default, after one second of seed",),
        20,
    ),
    Show(
        "kept",
        "Make many, keep the best",
        "Sixteen streams from nothing, ranked while they are made. Two are kept; the program says "
        "why, and what was wrong with the others.",
        "default",
        "--streams 16 --keep 2 --threads 2 --random-seed 1",
        ("the best of 16", "the second best"),
    ),
    Show(
        "temperature",
        "Cooler and hotter",
        "The same random numbers at three temperatures.",
        "default",
        "--streams 3 --temperature 0.8,1,1.2 --random-seed 1",
        ("temperature 0.8", "temperature 1", "temperature 1.2"),
        8,
    ),
    Show(
        "categorical",
        "The classical sample-level model",
        "A softmax over 256 mu-law levels, same seed, same minutes of training.",
        "categorical",
        SEEDED,
        ("categorical, after one second of seed",),
    ),
    Show(
        "noisy-lstm",
        "As in 2016",
        "Frames of 250 samples by squared error: what this began with. Same seed, same minutes.",
        "noisy-lstm",
        SEEDED,
        ("noisy-lstm, after one second of seed",),
    ),
)


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    add = parser.add_argument
    add("--audio", type=Path, required=True, help="the piece")
    add("--minutes", type=float, default=10.0, help="of training, for each recipe (10)")
    add("--start", type=float, default=60.0, help="second of the piece that seeds begin at (60)")
    add("--credit", default="", help="whose piece it is, and its licence")
    add("--work", type=Path, default=ROOT / SHOWN_WORK, help="runs and audio (runs/gallery)")
    add("--docs", type=Path, default=ROOT / "docs" / "research", help="of gallery.md, img/")
    add("--cache", type=Path, metavar="FOLDER", help="where prepared audio is kept")
    return parser


def main(options: argparse.Namespace) -> None:
    options.work.mkdir(parents=True, exist_ok=True)
    recipes = list(dict.fromkeys(show.recipe for show in SHOWS))
    for recipe in recipes:
        train(options, recipe)
    references = {recipe: reference_of(options.work / recipe) for recipe in recipes}
    sections = [section(options, show, references[show.recipe]) for show in SHOWS]
    page = "\n".join([opening(options, recipes), *sections])
    (options.docs / "gallery.md").write_text(page)
    say(f"wrote {options.docs / 'gallery.md'}")


def train(options: argparse.Namespace, recipe: str) -> None:
    """Train and export, by the commands of the page."""
    run = options.work / recipe
    if not run.exists():
        say(f"training {recipe}")
        words = ["--audio", str(options.audio), "--run", str(run), "--recipe", recipe]
        words += ["--minutes", str(options.minutes)]
        cache = ["--cache", str(options.cache)] if options.cache else []
        call("train.py", *words, *cache)
    if not (run / "exported").exists():
        call("export.py", "--run", str(run), "--out", str(run / "exported"))


def call(script: str, *words: str) -> str:
    """Run a script of the checkout; returns what it wrote on stderr."""
    done = subprocess.run(
        [sys.executable, str(ROOT / script), *words], stderr=subprocess.PIPE, text=True
    )
    if done.returncode:
        raise SystemExit(f"{script} {shlex.join(words)}: {done.stderr}")
    return done.stderr


def reference_of(run: Path) -> Any:
    """What the piece itself scores."""
    from keras_rawaudio.data.corpus import Corpus
    from keras_rawaudio.metrics.reference import Reference
    from keras_rawaudio.training.run_folder import RunFolder

    corpus = Corpus.open(Path(RunFolder.open(run).describe()["corpus"]))
    train, heldout = corpus.segments("train"), corpus.segments("validation")
    return Reference.from_segments(train, heldout, corpus.sample_rate)


def section(options: argparse.Namespace, show: Show, reference: Any) -> str:
    """Play and draw one show; its part of the page."""
    import soundfile
    from keras_rawaudio_serving.audio import read_seed
    from keras_rawaudio_serving.output import output_paths

    from keras_rawaudio.metrics.measure import measure
    from keras_rawaudio.plots import spectrogram_figure

    rate = reference.rate
    seeded = "{song}" in show.flags
    template = f"{{work}}/{show.recipe}/exported/generator.onnx --seconds {show.seconds} "
    template += f"{show.flags} --out {{work}}/{show.name}.wav"
    places = {"song": options.audio, "work": options.work, "start": f"{options.start:g}"}
    notes = call("serving/generate.py", *(w.format(**places) for w in template.split()))
    panels, rows = [], []
    if seeded:
        own = read_seed(options.audio, rate, options.start, 1.0 + show.seconds).audio
        panels.append(("the piece itself", own))
    for path, title in zip(
        output_paths(options.work / f"{show.name}.wav", len(show.titles)), show.titles, strict=True
    ):
        audio, _ = soundfile.read(path, dtype="float32")
        panels.append((title, audio))
        found = measure(audio[rate if seeded else 0 :], rate, reference)
        rows.append(
            f"| {title} | {found['tonal_prominence_db']:.1f} dB "
            f"| {found['beat_strength']:.2f} | {found['verdict']} |"
        )
    picture = options.docs / "img" / f"gallery-{show.name}.png"
    spectrogram_figure(panels, rate, picture, 1.0 if seeded else None)
    shrink(picture)
    shown = {**places, "song": options.audio.name, "work": SHOWN_WORK}
    why = [
        line.split("/")[-1]
        for line in notes.splitlines()
        if ": stream" in line or "dropped" in line
    ]
    own = reference.figures
    lines = [
        f"## {show.heading}",
        "",
        f"![{show.heading}: waveforms and spectrograms](img/{picture.name})",
        "",
        show.words,
        "",
        "```",
        f"python serving/generate.py {template.format(**shown)}",
        *why,
        "```",
        "",
        "| | tone | beat | verdict |",
        "|---|---|---|---|",
        *rows,
        f"| the piece | {own['tonal_prominence_db']:.1f} dB | {own['beat_strength']:.2f} | |",
        "",
    ]
    return "\n".join(lines)


def shrink(path: Path) -> None:
    """Fewer colours, until the picture is small."""
    from PIL import Image

    whole = Image.open(path).convert("RGB")
    whole.thumbnail((WIDTH, whole.height))
    for colours in COLOURS:
        whole.quantize(colours, dither=Image.Dither.NONE).save(path, optimize=True)
        if path.stat().st_size < PICTURE_BYTES:
            return
    raise SystemExit(f"{path} has {path.stat().st_size} bytes even with {COLOURS[-1]} colours")


def opening(options: argparse.Namespace, recipes: list[str]) -> str:
    """The head of the page: how to make all of it, and what each model scored."""
    from keras_rawaudio.training.csv_log import compared_row, read_log
    from keras_rawaudio.training.run_folder import RunFolder

    rows = []
    for recipe in recipes:
        run = RunFolder.open(options.work / recipe)
        measure = run.describe()["measure"]
        kept = compared_row(read_log(run.log, measure), measure)
        beside = ", ".join(
            f"{k.replace('_', ' ')} {v:.2f}" for k, v in run.describe()["baselines"].items()
        )
        unit = measure.replace("_", " ")
        rows.append(f"| `{recipe}` | {kept['minutes']} | {kept[measure]:.3f} {unit} ({beside}) |")
    return OPENING.format(
        song=options.audio.name,
        credit=f" ({options.credit})" if options.credit else "",
        flag=f' --credit "{options.credit}"' if options.credit else "",
        minutes=f"{options.minutes:g}",
        rows="\n".join(rows),
        work=SHOWN_WORK,
    )


if __name__ == "__main__":
    sys.exit(run_main(arguments(), main))
