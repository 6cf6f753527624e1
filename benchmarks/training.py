"""How fast the model learns, without the input pipeline: one JSON line.

python benchmarks/training.py --recipe raw
python benchmarks/training.py --recipe categorical --tiers 64 16 --width 256 --steps 50
"""

from __future__ import annotations

import argparse
import sys
import time

import numpy as np
from common import fresh_model, load_sample_recipe, machine, print_line, reshaped, run_main


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--recipe", default="raw")
    parser.add_argument("--tiers", type=int, nargs="+", help="frames, slowest first")
    parser.add_argument("--width", type=int, help="of all layers")
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--set", nargs="+", default=[], metavar="KEY=VALUE", help="recipe values")
    return parser


def main(options: argparse.Namespace) -> None:
    from keras_rawaudio.recipes import parse_overrides
    from keras_rawaudio.training.build import build_optimizer
    from keras_rawaudio.training.step import TrainingStep

    recipe = load_sample_recipe(options.recipe, parse_overrides(options.set))
    recipe = reshaped(recipe, options.tiers, options.width)
    model = fresh_model(recipe)
    rows, window = recipe.data.batch, recipe.data.length
    settings = recipe.training
    optimizer = build_optimizer(settings)
    step = TrainingStep(model, optimizer, rows, settings.clip_norm, settings.jit_compile)
    random = np.random.default_rng(0)
    audio = random.normal(size=(rows, model.context + window + 1)).astype(np.float32) / 10
    values = model.codec.encode(audio)
    batch = {"x": values[:, :-1], "y": values[:, -window:], "reset": np.zeros(rows, bool)}
    batch["position"] = np.zeros(rows, np.int64)

    begin = time.perf_counter()
    float(step(batch, 1e-4)[0])
    compiling = time.perf_counter() - begin
    for _ in range(3):
        float(step(batch, 1e-4)[0])
    begin = time.perf_counter()
    for _ in range(options.steps):
        loss, _ = step(batch, 1e-4)
    float(loss)
    seconds = (time.perf_counter() - begin) / options.steps
    print_line(
        {
            "benchmark": "training",
            "recipe": recipe.name,
            "head": recipe.head.kind,
            "tiers": [tier.frame_size for tier in recipe.tiers],
            "units": [tier.units for tier in recipe.tiers],
            "batch": rows,
            "window": window,
            "steps": options.steps,
            "samples_per_second": round(rows * window / seconds),
            "milliseconds_per_step": round(1e3 * seconds, 2),
            "compile_seconds": round(compiling - seconds, 2),
            "parameters": model.count_params(),
            "machine": machine(),
        }
    )


if __name__ == "__main__":
    sys.exit(run_main(arguments(), main))
