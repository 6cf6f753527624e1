"""Export a run's generator as generator.onnx and saved_model/, a refiner as refiner.onnx."""

from __future__ import annotations

import argparse
import sys

from keras_rawaudio.cli.tensorflow_loader import load_tensorflow


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of `export`."""
    parser.add_argument("--run", required=True, metavar="FOLDER", help="a run folder")
    parser.add_argument("--out", required=True, metavar="FOLDER", help="the folder to write into")
    parser.add_argument(
        "--checkpoint", choices=("best", "last"), default="best", help="which weights (best)"
    )
    parser.add_argument(
        "--int8",
        action="store_true",
        help="wide layers in 8 bits: faster; measures what it costs on the test part",
    )
    parser.add_argument(
        "--web",
        action="store_true",
        help="also generator.html: one page with the model inside, which plays it in a browser",
    )
    parser.add_argument(
        "--triton",
        action="store_true",
        help="also triton/: a model repository for the Triton inference server",
    )
    parser.add_argument(
        "--overlap",
        type=int,
        default=1,
        metavar="N",
        help="each sample is the mean of N predictions, made N times per frame (1); "
        "for models of one tier that predict frames of samples",
    )


def run(options: argparse.Namespace) -> int:
    """Export, and say where it went."""
    from keras_rawaudio.training.run_folder import RunFolder

    RunFolder.open(options.run)  # refuse at once, before TensorFlow is loaded
    load_tensorflow()

    from keras_rawaudio.exporters.export import export

    path = export(
        options.run,
        options.out,
        options.checkpoint,
        options.int8,
        options.web,
        options.overlap,
        options.triton,
    )
    for each in [path, path.with_suffix(".html")] if options.web else [path]:
        print(f"wrote {each} ({each.stat().st_size / 1e6:.1f} MB)", file=sys.stderr)
    return 0
