"""How fast an exported generator plays: a JSON line for each setting, a table on stderr.

python benchmarks/generation.py --tiers 64 16 --width 256 --streams 1 --threads 1 --seconds 5
python benchmarks/generation.py --recipe raw --streams 1 4 16 --threads 1 2 --plot speed.png
python benchmarks/generation.py --model generator.onnx --streams 16 256 --provider cpu cuda
"""

from __future__ import annotations

import argparse
import contextlib
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

from common import (
    ROOT,
    export_fresh,
    generation_speed,
    load_sample_recipe,
    machine,
    nested_graphs,
    plain_recipe,
    print_line,
    print_table,
    reshaped,
    run_main,
    say,
)

FIRST_AUDIO_SECONDS = 0.1
COLUMNS = (
    "what",
    "provider",
    "streams",
    "threads",
    "us_per_sample",
    "us_per_sample_best",
    "cpu_us_per_sample",
    "realtime_factor",
    "block_p999",
    "nodes_per_sample",
    "first_audio_seconds",
    "peak_memory_mb",
)


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    add = parser.add_argument
    add("--model", type=Path, nargs="+", metavar="FILE", help="exported files; else fresh weights")
    add("--recipe", help="fresh weights of a recipe (else of --head)")
    add("--head", choices=("categorical", "predictive", "regression"), default="categorical")
    add("--tiers", type=int, nargs="+", help="their frames, slowest first (64 16; or the recipe's)")
    add("--width", type=int, nargs="+", help="of all layers, one or more (256; or the recipe's)")
    add("--levels", type=int, nargs="+", default=[256], help="of the categorical head (256)")
    add(
        "--arithmetic",
        choices=("float32", "int8"),
        nargs="+",
        help="of fresh weights: as export.py writes them, or with its --int8 (the faster one: "
        "int8 for categorical heads)",
    )
    add("--sample-rate", type=int, default=16_000, help="of fresh weights (16000)")
    add("--streams", type=int, nargs="+", default=[1])
    add("--threads", type=int, nargs="+", default=[1])
    add("--provider", nargs="+", default=["cpu"], choices=("cpu", "cuda"))
    add("--seconds", type=float, default=5.0, help="of audio, for each setting (5)")
    add("--plot", type=Path, metavar="FILE", help="draw speed over what is varied")
    return parser


def main(options: argparse.Namespace) -> None:
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for what, path in files(options, Path(folder)):
            nodes = count_nodes(path)
            ways = product(options.provider, options.threads, options.streams)
            for provider, threads, streams in ways:
                say(f"{what['what']}: {streams} streams, {threads} threads, {provider}")
                speed = generation_speed(path, streams, threads, options.seconds, provider)
                cold = cold_start(path, speed)
                row = {"benchmark": "generation", **what, **speed, **cold, **nodes}
                rows.append(row | {"machine": machine()})
                print_line(rows[-1])
    print_table(rows, COLUMNS)
    if options.plot:
        plot(rows, options.plot)


def files(options: argparse.Namespace, folder: Path) -> list[tuple[dict[str, Any], Path]]:
    """What to measure: a description and an ONNX file of each."""
    if options.model:
        return [({"what": path.name, "model": str(path)}, path) for path in options.model]
    from keras_rawaudio.models.heads import head_layer

    found: list[tuple[dict[str, Any], Path]] = []
    widths = options.width or ([None] if options.recipe else [256])
    for width, levels in product(widths, [256] if options.recipe else options.levels):
        if options.recipe:
            recipe = reshaped(load_sample_recipe(options.recipe), options.tiers, width)
            name = recipe.name + (f" x{width}" if width else "")
        else:
            recipe = plain_recipe(options.head, options.tiers or (64, 16), width, levels)
            name = recipe.name + (f" {levels} levels" if len(options.levels) > 1 else "")
        what = {
            "head": recipe.head.kind,
            "tiers": [tier.frame_size for tier in recipe.tiers],
            "width": width,
            "levels": getattr(recipe.codec, "levels", None),
        }
        faster = "int8" if head_layer(recipe.head.kind).quantizable else "float32"
        for arithmetic in options.arithmetic or [faster]:
            place, int8 = folder / str(len(found)), arithmetic == "int8"
            place.mkdir()
            own = {"what": f"{name} {arithmetic}", **what, "arithmetic": arithmetic}
            found.append((own, export_fresh(recipe, place, options.sample_rate, int8)))
    return found


def count_nodes(path: Path) -> dict[str, Any]:
    """Nodes of each loop of the exported graph that draws, as written and as ONNX Runtime runs it.

    Returns:
        `nodes_by_loop` and `optimized_nodes_by_loop` (nodes of each loop's body, outermost
        first), and `nodes_per_sample`: those that ONNX Runtime runs for one sample, those of
        slower loops divided among the samples that they serve.
    """
    import onnx
    import onnxruntime

    with tempfile.TemporaryDirectory() as folder:
        options = onnxruntime.SessionOptions()
        options.optimized_model_filepath = str(Path(folder) / "optimized.onnx")
        options.log_severity_level = 4
        onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        optimized = onnx.load(options.optimized_model_filepath)
    proto = onnx.load(path)
    tiers = _tiers(proto)
    loops = _drawing_loops(optimized.graph)
    # One loop for each tier, and one for the sample where the head draws sample by sample.
    samples = [*tiers, *[1] * len(loops)]
    per_sample = sum(n / s for n, s in zip(loops.values(), samples, strict=False))
    return {
        "nodes_per_sample": round(per_sample, 2),
        "nodes_by_loop": _drawing_loops(proto.graph),
        "optimized_nodes_by_loop": loops,
    }


def _tiers(proto: Any) -> list[int]:
    import json

    words = {p.key: p.value for p in proto.metadata_props}
    tiers: list[int] = json.loads(words["keras_rawaudio"])["tiers"]
    return tiers


def _drawing_loops(graph: Any) -> dict[str, int]:
    """Nodes in the bodies of the loops, outermost first, with the branch in them that draws."""
    found: dict[str, int] = {}
    for node, inner in nested_graphs(graph):
        if node.op_type == "Scan":
            branches = [
                g for n, g in nested_graphs(inner) if n.op_type == "If" and g.name == "draw"
            ]
            found[inner.name] = len(inner.node) + sum(len(g.node) for g in branches)
        found |= _drawing_loops(inner)
    return found


def cold_start(path: Path, speed: dict[str, Any]) -> dict[str, Any]:
    """Run the sampler's own script into a pipe: time to its first 0.1 s of audio, and its memory.

    Args:
        path: the file.
        speed: what `generation_speed` returned: the streams, threads and seconds to play.

    Returns:
        `first_audio_seconds`, from the start of the process, and `peak_memory_mb` while it plays
        `seconds` (None where the system has no /proc).
    """
    streams, threads, seconds = speed["streams"], speed["threads"], speed["seconds"]
    command = [sys.executable, str(ROOT / "serving" / "generate.py"), str(path), "--out", "-"]
    command += ["--streams", str(streams), "--threads", str(threads), "--quiet"]
    command += ["--provider", speed["provider"], "--random-seed", "0"]
    _play([*command, "--seconds", "0.1"], 1)  # the files are in memory after this
    size = 2 * streams * round(min(seconds, FIRST_AUDIO_SECONDS) * speed["sample_rate"])
    first, memory = _play([*command, "--seconds", str(seconds)], size)
    return {"first_audio_seconds": round(first, 3), "peak_memory_mb": memory}


def _play(command: Sequence[str], first_bytes: int) -> tuple[float, float | None]:
    begin, first, memory, read = time.perf_counter(), None, None, 0
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        while chunk := process.stdout.read1(1 << 16):  # type: ignore[attr-defined]
            read += len(chunk)
            if first is None and read >= first_bytes:
                first = time.perf_counter() - begin
            memory = peak_memory(process.pid) or memory
    if process.returncode or first is None:
        raise SystemExit(f"{' '.join(command)} failed")
    return first, memory


def peak_memory(pid: int) -> float | None:
    # Not resource usage: that of a child begins at what its parent had.
    with contextlib.suppress(OSError):
        if found := re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text()):
            return round(int(found[1]) / 1024, 1)
    return None


def plot(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Speed over what was varied: streams, threads, width or levels."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    varied = [
        k
        for k in ("streams", "threads", "width", "levels")
        if len({row.get(k) for row in rows}) > 1
    ]
    x, others = (varied or ["streams"])[0], ["what", *varied[1:]]
    figure = Figure(figsize=(10, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        if x in ("width", "levels"):
            key = f"{row['head']}, frames {row['tiers']}, {row['arithmetic']}"
        else:
            key = ", ".join(str(row["what"]) if k == "what" else f"{row[k]} {k}" for k in others)
        groups.setdefault(key, []).append(row)
    for label, group in groups.items():
        places = [row[x] for row in group]
        left.plot(places, [row["cpu_us_per_sample"] for row in group], "o-", label=label)
        right.plot(places, [row["realtime_factor"] for row in group], "o-", label=label)
    for axes, words in (
        (left, "us of processor time a sample"),
        (right, "times real time, in sum"),
    ):
        axes.set(xlabel=x, ylabel=words, ylim=(0, None), xscale="log")
        places = sorted({row[x] for row in rows})
        axes.set_xticks(places, [str(place) for place in places])
        axes.set_xticks([], minor=True)
        axes.grid(alpha=0.3)
    left.legend(fontsize=8)
    figure.suptitle(f"{machine()['cpu']}, {rows[0]['sample_rate']} Hz", fontsize=9)
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    sys.exit(run_main(arguments(), main))
