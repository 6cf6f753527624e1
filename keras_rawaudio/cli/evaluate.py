"""Score a run on a part of its audio, beside the trivial baselines."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from typing import Any

from keras_rawaudio.cli.tensorflow_loader import load_tensorflow


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of `evaluate`."""
    parser.add_argument("--run", required=True, metavar="FOLDER", help="a run folder")
    parser.add_argument(
        "--split", choices=("train", "validation", "test"), default="test", help="which part (test)"
    )
    parser.add_argument(
        "--checkpoint", choices=("best", "last"), default="best", help="which weights (best)"
    )
    parser.add_argument(
        "--diagnose",
        action="store_true",
        help="also the share of saturated gates and activations of each recurrent layer",
    )
    parser.add_argument(
        "--json", action="store_true", help="print one JSON object, for programs, with more figures"
    )


def run(options: argparse.Namespace) -> int:
    """Evaluate and print."""
    from keras_rawaudio.training.run_folder import RunFolder

    RunFolder.open(options.run)  # refuse at once, before TensorFlow is loaded
    load_tensorflow()

    from keras_rawaudio.training.run_scores import evaluate

    scores = evaluate(options.run, options.split, options.checkpoint, options.diagnose)
    print(json.dumps(scores) if options.json else in_words(scores))
    return 0


def in_words(scores: Mapping[str, Any]) -> str:
    """The score of a run beside its baselines, in lines with aligned figures.

    Args:
        scores: as `evaluate` returns them.

    Example:
        >>> print(in_words({"run": "runs/song", "split": "test", "checkpoint": "best",
        ...     "bits_per_sample": 3.5, "baselines": {"order_0": 6.25}, "samples": 8000}))
        runs/song, test part, best checkpoint, 8000 samples
        this model  3.500 bits per sample
        order 0     6.250 bits per sample
    """
    from keras_rawaudio.training.run_folder import UNITS

    measure, unit = next((name, unit) for name, unit in UNITS.items() if name in scores)
    figures = {"this model": scores[measure]} | scores["baselines"]
    width = max(map(len, figures))
    what = "codes" if measure == "bits_per_code" else "samples"
    lines = [
        f"{scores['run']}, {scores['split']} part, {scores['checkpoint']} checkpoint, "
        f"{scores['samples']} {what}"
    ]
    lines += [
        f"{name.replace('_', ' '):{width}}  {figure:.3f} {unit}" for name, figure in figures.items()
    ]
    for name, layer in scores.get("layers", {}).items():
        gates, activations = layer["saturated_gates"], layer["saturated_activations"]
        lines.append(
            f"{name.replace('_', ' ')}: {gates:.0%} of gates and {activations:.0%} of activations "
            "saturated"
        )
    return "\n".join(lines)
