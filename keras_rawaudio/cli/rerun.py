"""Train again as a run was trained, and say whether data, versions and result agree."""

from __future__ import annotations

import argparse

from keras_rawaudio.cli.tensorflow_loader import load_tensorflow


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of `rerun`."""
    parser.add_argument("run", metavar="RUN", help="a run folder")
    parser.add_argument("--out", metavar="FOLDER", help="the run folder to make (RUN-rerun)")


def run(options: argparse.Namespace) -> int:
    """Train, and print a line each for data, versions and result."""
    from keras_rawaudio.training.run_folder import RunFolder

    run = RunFolder.open(options.run)
    run.read_request()  # refuse at once, before TensorFlow is loaded
    # A run that is named `.` has its rerun beside it, too.
    folder = run.path.resolve() if run.path.name in ("", "..") else run.path
    out = options.out or str(folder.with_name(f"{folder.name}-rerun"))
    RunFolder.check_new(out)
    load_tensorflow()

    from keras_rawaudio.training.rerun import rerun

    compared = rerun(options.run, out)
    if compared is None:
        return 130
    print(*compared, sep="\n")
    return 0
