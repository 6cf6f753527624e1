"""Score a run on a part of its audio, beside the trivial baselines, as one JSON object."""

from __future__ import annotations

import argparse
import json

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


def run(options: argparse.Namespace) -> int:
    """Evaluate and print."""
    from keras_rawaudio.training.run_folder import RunFolder

    RunFolder.open(options.run)  # refuse at once, before TensorFlow is loaded
    load_tensorflow()

    from keras_rawaudio.training.run_scores import evaluate

    scores = evaluate(options.run, options.split, options.checkpoint, options.diagnose)
    print(json.dumps(scores))
    return 0
