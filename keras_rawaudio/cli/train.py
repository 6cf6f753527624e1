"""Train a generator on audio files and folders."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_rawaudio.cli.arguments import SET, whole
from keras_rawaudio.cli.tensorflow_loader import gpu_names, load_tensorflow
from keras_rawaudio.errors import UserError, one_line

if TYPE_CHECKING:
    from keras_rawaudio.training.schedule import Budget
    from keras_rawaudio.training.workers import Cluster

# Trains with callbacks and a strategy, and returns whether the training came to its end.
Start = Callable[[list[Any], Any], bool]
DEFAULT_MINUTES = 10.0
# Flags that lay one value over the recipe: flag, key, type, words.
OVERRIDES: tuple[tuple[str, str, Any, str], ...] = (
    ("--batch", "data.batch", int, "rows in a batch"),
    (
        "--window",
        "data.length",
        int,
        "samples (of `default`: codes) that a row predicts in one step of training",
    ),
    ("--learning-rate", "training.learning_rate", float, "learning rate at the start"),
    ("--optimizer", "training.optimizer", str, "adam, rmsprop or sgd"),
    ("--sample-seconds", "training.sample_seconds", float, "seconds generated at a validation"),
    ("--validate-every", "training.validate_every", float, "minutes between validations"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of `train`."""
    parser.add_argument(
        "--audio", nargs="+", action="extend", metavar="PATH", help="audio files and folders"
    )
    parser.add_argument("--run", required=True, metavar="FOLDER", help="the run folder to make")
    parser.add_argument("--recipe", help="recipe name or YAML file (default)")
    parser.add_argument(
        "--minutes", type=float, help="minutes of training steps (10; with --resume: the run's own)"
    )
    parser.add_argument("--epochs", type=int, help="passes over the data instead of minutes")
    parser.add_argument("--resume", action="store_true", help="go on with the run in --run")
    parser.add_argument("--shift", help="samples between a batch's rows, or lanes, random")
    for flag, key, kind, words in OVERRIDES:
        parser.add_argument(flag, type=kind, dest=key, help=f"{words} ({key})")
    parser.add_argument("--set", **SET)
    parser.add_argument(
        "--sample-rate",
        type=int,
        help="hertz (default: the files' own, up to what the recipe takes)",
    )
    parser.add_argument("--mono", action="store_true", help="mix stereo to mono")
    parser.add_argument("--no-trim", action="store_true", help="keep silent heads and tails")
    parser.add_argument("--cache", type=Path, metavar="FOLDER", help="where prepared audio is kept")
    parser.add_argument(
        "--live",
        nargs="?",
        type=whole(0, 65535),
        const=0,
        metavar="PORT",
        help="show curve, last sample and verdict on a page of this machine, at any free port",
    )
    parser.add_argument(
        "--track", metavar="SERVICE", help="mlflow or wandb, beside TensorBoard's files"
    )
    parser.add_argument(
        "--workers",
        type=whole(1, 256),
        metavar="N",
        help="replicas on this machine: N GPUs, or N processes where there is none",
    )
    parser.add_argument(
        "--random-seed", type=whole(0, 2**32 - 1), help="of weights and data order (0)"
    )


def run(options: argparse.Namespace) -> int:
    """Check what can be checked at once, then train."""
    from keras_rawaudio.training.workers import cluster_of_environment, train_here

    cluster = cluster_of_environment()
    chief = not cluster or cluster.number == 0
    processes, gpus = _replicas(options, cluster)
    start = _check_resume(options) if options.resume else _check_new(options, chief)
    if processes:
        return train_here(processes, options.arguments)
    strategy = _strategy(cluster, gpus)
    ended = start(_callbacks(options, chief), strategy)
    return _leave(options.run, chief) if ended else 130


def _replicas(options: argparse.Namespace, cluster: Cluster | None) -> tuple[int, list[str]]:
    """The processes to start, 0 for none, and the GPUs to train on in this process."""
    workers = options.workers or 1
    if workers == 1:
        return 0, []
    if cluster:
        raise UserError("--workers is for one machine; TF_CONFIG is set: leave one of them out")
    gpus = gpu_names()[:workers]
    if gpus and len(gpus) < workers:
        raise UserError(f"--workers {workers}: TensorFlow sees {len(gpus)} GPUs; ask for fewer")
    return 0 if gpus else workers, gpus


def _budget(options: argparse.Namespace) -> Budget | None:
    """The budget that was given, if any."""
    from keras_rawaudio.training.schedule import Budget

    given = options.minutes is not None or options.epochs is not None
    return Budget(options.minutes, options.epochs) if given else None


def _check_resume(options: argparse.Namespace) -> Start:
    """Check the flags and the run folder before TensorFlow is loaded."""
    from keras_rawaudio.training.run_folder import RunFolder

    budget = _budget(options)
    own = ("audio", "recipe", "sample_rate", "cache", "random_seed")
    other = overrides(options)
    learning_rate = other.pop("training.learning_rate", None)
    named = any(getattr(options, name) is not None for name in own)
    if options.mono or options.no_trim or other or named:
        raise UserError(
            "--resume goes on with the run's own audio, recipe and settings; give it --run, "
            "and if you like --minutes or --epochs for the whole run, or --learning-rate"
        )
    if not RunFolder(options.run).can_start_over():
        RunFolder.open(options.run)

    def start(callbacks: list[Any], strategy: Any) -> bool:
        from keras_rawaudio.training.resume import resume

        return resume(options.run, budget, options.live, learning_rate, callbacks, strategy)

    return start


def _check_new(options: argparse.Namespace, chief: bool) -> Start:
    """Check the flags, the recipe and the paths before TensorFlow is loaded."""
    from keras_rawaudio.data.corpus import CorpusSettings
    from keras_rawaudio.recipes import load_recipe
    from keras_rawaudio.training.run_folder import RunFolder
    from keras_rawaudio.training.schedule import Budget
    from keras_rawaudio.training.workers import refuse_remainder

    budget = _budget(options) or Budget(DEFAULT_MINUTES)
    if not options.audio:
        raise UserError("--audio is missing: name the files or folders to learn from")
    if chief:
        RunFolder.check_new(options.run)
    recipe = load_recipe(options.recipe or "default", overrides(options))
    refuse_remainder(recipe.data.batch, options.workers or 1)
    for path in options.audio:
        if "://" not in path and not Path(path).exists():
            raise UserError(f"no such file or folder: {path}; check --audio")
    settings = CorpusSettings(
        sample_rate=options.sample_rate,
        channels=1 if options.mono else None,
        trim=not options.no_trim,
    )

    def start(callbacks: list[Any], strategy: Any) -> bool:
        from keras_rawaudio.training.train import train

        return train(
            options.audio,
            options.run,
            recipe,
            budget,
            settings,
            options.cache,
            options.random_seed or 0,
            options.live,
            callbacks,
            strategy,
        )

    return start


def _strategy(cluster: Cluster | None, gpus: list[str]) -> Any:
    """Load TensorFlow, and give the strategy to train by: None for one replica."""
    strategy = load_tensorflow(cluster.size if cluster else 1)
    if not gpus:
        return strategy
    import tensorflow as tf

    return tf.distribute.MirroredStrategy(gpus)


def _leave(run: str, chief: bool) -> int:
    """Leave a page to look at and to listen to; what goes wrong there is no failed training."""
    if not chief:
        return 0
    try:
        from keras_rawaudio.reports.report import write_report

        print(f"look and listen: {write_report(run)}", file=sys.stderr)
    except (Exception, KeyboardInterrupt) as error:
        stopped = isinstance(error, KeyboardInterrupt)
        reason = "stopped" if stopped else one_line(error) or type(error).__name__
        words = f"keras-rawaudio report --run {run} tries again"
        with suppress(OSError):  # it may be stderr that cannot be written
            note = f"note: the training is complete, but no page: {reason}; {words}"
            print(note, file=sys.stderr)
    return 0


def _callbacks(options: argparse.Namespace, chief: bool) -> list[Any]:
    from keras_rawaudio.training.trackers import tracker

    return [tracker(options.track, options.run)] if options.track and chief else []


def overrides(options: argparse.Namespace) -> dict[str, Any]:
    """What flags say over the recipe, by dotted key."""
    from keras_rawaudio.recipes import parse_overrides, parse_value

    values = {key: getattr(options, key) for _, key, _, _ in OVERRIDES}
    values = {key: value for key, value in values.items() if value is not None}
    if options.shift is not None:
        values["data.shift"] = parse_value("--shift", options.shift)
    given = parse_overrides(options.set)
    if both := sorted(values.keys() & given.keys()):
        raise UserError(f"{both[0]} is given twice: by --set and by a flag of its own; keep one")
    return values | given
