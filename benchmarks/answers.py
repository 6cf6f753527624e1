"""The questions of 2016, asked again: trains, measures and draws each system, and writes the page.

python benchmarks/answers.py --audio cold_day.flac                       # all rows
python benchmarks/answers.py --audio cold_day.flac --row shifts noise    # these
python benchmarks/answers.py --render                                    # the page alone, once more

Seconds are the processor's: 30 of them on two cores are 60 s of processor time, however much else
the machine does. Questions, systems and the words of the answers stand in answers.yaml; figures in
answers.json, from where the page takes them. A system that two rows name is trained once, and with
a --work of an earlier call, what was done then is not done again.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import shutil
import sys
import time
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from common import ROOT, machine, plain, print_line, run_main, say
from quality import read_log, train

SEED_SECONDS = 1.0
GENERATED_SECONDS = 20.0
MOMENTS = (1, 5, 20)  # the second that ends here is measured
FIGURES, SOUND = "figures.json", "seed-and-generated.wav"
PANEL_INCHES, DOTS = (7.6, 1.1), 100
COLOURS = 64
UNITS = {"variance_unexplained": "of variance unexplained", "bits_per_sample": "bits per sample"}


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    add = parser.add_argument
    add("--audio", nargs="+", help="files and folders to learn from")
    add("--row", nargs="+", metavar="NAME", help="questions to answer (all)")
    add("--seconds", type=float, default=30.0, help="of training steps, for each system (30)")
    add("--render", action="store_true", help="write the page from what is known; train nothing")
    add("--questions", type=Path, default=Path(__file__).with_name("answers.yaml"), metavar="FILE")
    add("--out", type=Path, default=ROOT / "docs/research", metavar="FOLDER", help="of the page")
    add("--work", type=Path, metavar="FOLDER", help="of runs and audio (a new one in runs/)")
    add("--cache", type=Path, metavar="FOLDER", help="where prepared audio is kept")
    add("--random-seed", type=int, default=0, help="of weights, data order and draws (0)")
    return parser


def main(options: argparse.Namespace) -> None:
    from keras_rawaudio.errors import UserError, nearest

    rows = read_questions(options.questions)
    names = [row["name"] for row in rows]
    for name in options.row or []:
        if name not in names:
            raise UserError(f"no row {name!r}; {nearest(name, names)}")
    if not options.render:
        if not options.audio:
            raise UserError("--audio is missing: name the files or folders to learn from")
        work = options.work or Path("runs") / time.strftime("answers-%Y%m%d-%H%M%S")
        answer([r for r in rows if r["name"] in (options.row or names)], options, work)
    known = read_results(options.out)
    (options.out / "answers.md").write_text(page(rows, known))


def read_questions(path: Path) -> list[dict[str, Any]]:
    import yaml

    return list(yaml.safe_load(path.read_text()))


def read_results(out: Path) -> dict[str, Any]:
    """What is known so far, by the systems' keys."""
    path = out / "answers.json"
    return dict(json.loads(path.read_text())) if path.is_file() else {}


def key(system: dict[str, Any]) -> str:
    """The words that make a system: what one would give to train.py."""
    return " ".join([system["recipe"], *system.get("set", [])])


def answer(rows: Sequence[dict[str, Any]], options: argparse.Namespace, work: Path) -> None:
    """Train what the rows name, and write figures and pictures as they come."""
    import keras
    import soundfile

    from keras_rawaudio.training import throughput

    cores = os.cpu_count() or 1
    throughput.CLOCK = lambda: time.process_time() / cores
    (options.out / "img" / "answers").mkdir(parents=True, exist_ok=True)
    for row in rows:
        panels = []
        for label, system in row["systems"].items():
            name = key(system)
            folder = work / f"{options.seconds:g}s" / re.sub(r"[^\w.=-]+", "-", name)
            if not (folder / FIGURES).is_file():
                say(f"{row['name']}, {label}: {name}")
                shutil.rmtree(folder, ignore_errors=True)  # begun, and not ended
                measure_system(system, options, folder)
                keras.backend.clear_session()
            figures = json.loads((folder / FIGURES).read_text())
            keep(options.out, name, figures)
            print_line({"system": name, **figures})
            audio, rate = soundfile.read(folder / SOUND)
            panels.append((system["words"], audio))
        draw(panels, rate, options.out / "img" / "answers" / f"{row['name']}.png")


def keep(out: Path, name: str, figures: dict[str, Any]) -> None:
    known = read_results(out) | {name: figures}
    text = json.dumps(dict(sorted(known.items())), indent=1)
    (out / "answers.json").write_text(text + "\n")


def measure_system(system: dict[str, Any], options: argparse.Namespace, work: Path) -> None:
    """Train, score, export, run free; leaves `SOUND`, the seed and what followed, and `FIGURES`."""
    import soundfile
    from keras_rawaudio_serving import Sampler

    from keras_rawaudio.data.corpus import Corpus
    from keras_rawaudio.exporters.export import export
    from keras_rawaudio.metrics.collapse import verdict
    from keras_rawaudio.training.evaluate import evaluate
    from keras_rawaudio.training.run_folder import RunFolder

    how = argparse.Namespace(**vars(options), sample_rate=None)
    how.recipe, how.set = system["recipe"], system.get("set", [])
    run = RunFolder.open(train(how, work / "run"))
    scores = evaluate(run.path, "test")
    described = run.describe()
    corpus = Corpus.open(Path(described["corpus"]))
    rate = corpus.sample_rate
    sampler = Sampler.load(
        export(run.path, work / "exported"), random_seed=options.random_seed, provider="cpu"
    )
    heldout = max(corpus.segments("validation"), key=len).astype(np.float32) / 32768
    seed = heldout[: round(SEED_SECONDS * rate)]
    sampler.prime(seed)
    audio = np.clip(sampler.generate(GENERATED_SECONDS)[0], -1, 1)
    soundfile.write(work / SOUND, np.concatenate([seed, audio]), rate, "PCM_16")
    seconds, learned = read_log(run)
    measure = described["measure"]
    figures = {
        "measure": measure,
        "score": scores[measure],
        "baselines": scores["baselines"],
        "audio": [Path(source["path"]).name for source in described["data"]["sources"]],
        "seconds": round(seconds, 1),
        "samples_per_second": round(learned),
        "parameters": described["parameters"],
        "frame": sampler.frame,
        "moments": moments(audio, rate),
        "piece": moments(heldout[len(seed) :], rate),
        "verdict": str(verdict(audio, rate, reference_of(corpus.folder))),
        "git_revision": described["git_revision"],
        "machine": machine(),
    }
    (work / FIGURES).write_text(json.dumps(plain(figures)))


@cache
def reference_of(folder: Path) -> Any:
    """What the piece itself scores: the same for all systems."""
    from keras_rawaudio.data.corpus import Corpus
    from keras_rawaudio.metrics.reference import Reference

    corpus = Corpus.open(folder)
    return Reference.from_segments(corpus.segments("train"), [], corpus.sample_rate)


def moments(audio: np.ndarray, rate: int) -> dict[str, dict[str, float]]:
    """Tone and level, in dB, of the seconds that end at `MOMENTS`."""
    from keras_rawaudio.metrics.tonal_prominence import tonal_prominence

    found = {}
    for end in MOMENTS:
        second = audio[(end - 1) * rate : end * rate]
        level = 10 * np.log10(float(np.mean(np.square(second, dtype=np.float64))) + 1e-12)
        found[str(end)] = {"tone": tonal_prominence(second, rate), "level": level}
    return found


def draw(panels: Sequence[tuple[str, np.ndarray]], rate: int, path: Path) -> None:
    """A small spectrogram of each system, one under the other, the seed's end marked."""
    from io import BytesIO

    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from PIL import Image

    from keras_rawaudio.plots import RANGE_DECIBELS, spectrogram

    width, height = PANEL_INCHES
    figure = Figure(figsize=(width, 0.35 + height * len(panels)), dpi=DOTS, layout="constrained")
    FigureCanvasAgg(figure)
    images = [spectrogram(audio, rate) for _, audio in panels]
    top = max(float(image.max()) for image in images)
    axes = figure.subplots(len(panels), sharex=True, squeeze=False)[:, 0]
    for axis, (words, audio), image in zip(axes, panels, images, strict=True):
        axis.imshow(
            image.T,
            origin="lower",
            aspect="auto",
            extent=(-SEED_SECONDS, len(audio) / rate - SEED_SECONDS, 0, rate / 2000),
            vmin=top - RANGE_DECIBELS,
            vmax=top,
            cmap="magma",
        )
        axis.axvline(0, color="white", linewidth=1, linestyle="--")
        axis.set_title(words, loc="left", fontsize=8, pad=2)
        axis.tick_params(labelsize=7)
        axis.set_ylabel("kHz", fontsize=7)
    axes[-1].set_xlabel("seconds since the seed's end", fontsize=7)
    buffer = BytesIO()
    figure.savefig(buffer, format="png")
    Image.open(buffer).convert("RGB").quantize(COLOURS).save(path, optimize=True)


def page(rows: Sequence[dict[str, Any]], known: dict[str, Any]) -> str:
    """The page, from questions and figures."""
    every = list(known.values())
    lines = ["# The questions of 2016, asked again", ""]
    if every:
        audio = shlex.join(sorted({name for figures in every for name in figures["audio"]}))
        seconds = sorted({round(figures["seconds"]) for figures in every})
        budget = " to ".join(map(str, [*seconds[:1], *seconds[-1:]][: len(seconds)]))
        processor = every[-1]["machine"]
        lines += [
            f"Made by `python benchmarks/answers.py --audio {audio} --seconds {seconds[0]}`: each "
            f"system learned for {budget} s of the time of {processor['cpus']} cores of an "
            f"{processor['cpu']}; *learned* says how many million samples it saw. "
            "Figures are in `answers.json`; `--render` writes this page from them.",
            "",
            "**One seed each.** Every system was trained once, at one learning rate, for equal "
            "time and so for unequal steps. Such figures show what fails outright: silence, a "
            "loop, a score no better than a baseline. They do not rank systems that lie within a "
            "tenth of each other, and they say nothing of what a system could do when tuned.",
            "",
            "A score is a share of the test part's variance that the next frame's prediction "
            "leaves unexplained (1: silence does as well), or, for systems that give a "
            "distribution, bits per sample. Then the system runs free for 20 s after 1 s of the "
            "piece: tone (narrow bands over their surroundings; white noise has 7.7 dB) and level "
            "(dB of full scale) in the seconds that end 1, 5 and 20 s after the seed.",
            "",
        ]
    for row in rows:
        lines += [f"## {row['asked']}", ""]
        found = {label: known.get(key(system)) for label, system in row["systems"].items()}
        if None in found.values():
            lines += [f"Not measured yet: `--row {row['name']}`.", ""]
            continue
        fields = {label: fields_of(figures) for label, figures in found.items()}
        if answered := row.get("answer"):
            lines += [answered.strip().format(**fields), ""]
        lines += table(row["systems"], found)
        lines += [f"![Seed and free running of each](img/answers/{row['name']}.png)", ""]
    return "\n".join(lines).rstrip() + "\n"


def fields_of(figures: Any) -> SimpleNamespace:
    """What an answer's words may name: `{gru.score:.2f}`, `{gru.tone_20:.0f}`, `{gru.zero:.2f}`."""
    flat = {k: v for k, v in figures.items() if not isinstance(v, dict)} | figures["baselines"]
    for prefix, of in (("", figures["moments"]), ("piece_", figures["piece"])):
        for end, both in of.items():
            flat |= {f"{prefix}{what}_{end}": number for what, number in both.items()}
    return SimpleNamespace(**flat)


def table(systems: dict[str, Any], found: dict[str, Any]) -> list[str]:
    """A row for each system, and one for the piece itself."""
    head = ["system", "score", "learned", *(f"tone {m} s" for m in MOMENTS)]
    head += [*(f"level {m} s" for m in MOMENTS), "verdict"]
    lines = [head, ["---"] * len(head)]
    for label, system in systems.items():
        figures = found[label]
        learned = figures["samples_per_second"] * figures["seconds"] / 1e6
        score = f"{figures['score']:.3f} {UNITS[figures['measure']]}"
        named = f"{system['words']}<br>`{key(system)}`"
        lines.append([named, score, f"{learned:.1f} M", *cells(figures["moments"])])
        lines[-1].append(figures["verdict"])
    lines.append(["the piece itself", "", "", *cells(found[label]["piece"]), ""])
    baselines: dict[tuple[str, ...], str] = {}
    for figures in found.values():
        words = [f"{k.replace('_', ' ')} {v:.2f}" for k, v in figures["baselines"].items()]
        about = f" (frames of {figures['frame']})" if "copy" in figures["baselines"] else ""
        baselines[tuple(words)] = f"For nothing{about}: {', '.join(words)}."
    return [*("| " + " | ".join(line) + " |" for line in lines), "", *baselines.values(), ""]


def cells(of: dict[str, Any]) -> list[str]:
    """Tones, then levels."""
    return [f"{of[str(m)][what]:.1f}" for what in ("tone", "level") for m in MOMENTS]


if __name__ == "__main__":
    sys.exit(run_main(arguments(), main))
