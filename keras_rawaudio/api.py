"""The Python API: train, export, evaluate and load, each as one call. Light to import."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from keras_rawaudio.generation import Generator


def train(
    audio: str | Path | Sequence[str | Path],
    run: str | Path,
    recipe: str = "default",
    minutes: float = 10.0,
    *,
    sample_rate: int | None = None,
    mono: bool = False,
    seed: int = 0,
    track: str | None = None,
    **overrides: Any,
) -> Path:
    """Train a generator on audio files.

    Args:
        audio: a file, a folder, or several of them.
        run: the folder to make; it must not hold a run yet.
        recipe: the name of a shipped recipe (`recipes.recipe_names()`), or a YAML file.
        minutes: how long to train; preparing and validating come on top.
        sample_rate: in Hz; `None`: the files' own, up to what the recipe takes.
        mono: mix stereo to mono, where the recipe takes both.
        seed: of the weights and of the order of the data.
        track: `"mlflow"` or `"wandb"`: an experiment tracker beside TensorBoard's files.
        **overrides: recipe values by dotted key, such as `**{"data.batch": 16}`.

    Returns:
        The run folder.

    Raises:
        UserError: audio that cannot be used, a recipe value that does not fit, or a folder that
            cannot be written.
        KeyboardInterrupt: after an interrupt, once the run is saved.

    Example:
        >>> import keras_rawaudio
        >>> run = keras_rawaudio.train("song.flac", "runs/song", minutes=10)  # doctest: +SKIP
        >>> audio, rate = keras_rawaudio.load(run).generate(seconds=10)  # doctest: +SKIP
    """
    from keras_rawaudio.data.corpus import CorpusSettings
    from keras_rawaudio.recipes import load_recipe
    from keras_rawaudio.training import train as training
    from keras_rawaudio.training.schedule import Budget
    from keras_rawaudio.training.trackers import tracker

    sources = [audio] if isinstance(audio, (str, Path)) else list(audio)
    settings = CorpusSettings(sample_rate=sample_rate, channels=1 if mono else None)
    budget = Budget(minutes=minutes)
    callbacks = [tracker(track, run)] if track else []
    ended = training.train(
        sources,
        run,
        load_recipe(recipe, overrides),
        budget,
        settings,
        seed=seed,
        callbacks=callbacks,
    )
    if not ended:
        raise KeyboardInterrupt(f"stopped and saved in {run}")
    return Path(run)


def export(
    run: str | Path,
    out: str | Path,
    checkpoint: str = "best",
    int8: bool = False,
    web: bool = False,
    overlap: int = 1,
    triton: bool = False,
) -> Path:
    """Export a run as `generator.onnx` and `saved_model/`.

    A refiner becomes `refiner.onnx` and `refiner_saved_model/`.

    Args:
        run: a run folder.
        out: the folder to write into.
        checkpoint: `"best"` or `"last"`.
        int8: wide layers in 8 bits.
        web: also `generator.html`, a page that plays the model in a browser.
        overlap: predictions whose mean each sample is; above 1 for frames of samples alone.
        triton: also `triton/`, a model repository for the Triton inference server.

    Returns:
        The path of the ONNX file.

    Raises:
        UserError: not a run folder, or a folder that cannot be written.

    Example:
        >>> import keras_rawaudio
        >>> keras_rawaudio.export("runs/song", "exported/song")  # doctest: +SKIP
        PosixPath('exported/song/generator.onnx')
    """
    from keras_rawaudio.exporters.export import export as export_run

    return export_run(run, out, checkpoint, int8, web, overlap, triton)


def evaluate(run: str | Path, split: str = "test", checkpoint: str = "best") -> dict[str, Any]:
    """Score a run on a part of its audio, beside trivial baselines.

    Args:
        run: a run folder.
        split: `"train"`, `"validation"` or `"test"`.
        checkpoint: `"best"` or `"last"`.

    Returns:
        The score under the name of its unit: `bits_per_code` of `default`, `quick` and `large`,
        `bits_per_sample` of `raw` and other recipes that draw samples, `variance_unexplained` of
        recipes that predict frames. Also `baselines` in the same unit, and `samples`, how many
        codes or samples were scored.

    Raises:
        UserError: not a run folder, or its audio is gone.

    Example:
        >>> import keras_rawaudio
        >>> keras_rawaudio.evaluate("runs/song")["bits_per_code"]  # doctest: +SKIP
        3.52
    """
    from keras_rawaudio.training.run_scores import evaluate as evaluate_run

    return evaluate_run(run, split, checkpoint)


def load(run: str | Path, checkpoint: str = "best", overlap: int = 1) -> Generator:
    """Load the trained model of a run.

    Args:
        run: a run folder.
        checkpoint: `"best"` or `"last"`.
        overlap: predictions whose mean each sample is; above 1 for frames of samples alone.

    Returns:
        The trained generator: `generate(seconds, prompt=None, temperature=1.0, seed=0)` makes
        audio, `model` is the Keras model (a `SpectralModel` for `default`, `quick` and `large`,
        else an `AudioModel`), `sample_rate` its rate in Hz.

    Raises:
        UserError: not a run folder, it has no checkpoint yet, or it is a refiner's; or an `overlap`
            that its model does not take.

    Example:
        >>> import keras_rawaudio
        >>> song = keras_rawaudio.load("runs/song")  # doctest: +SKIP
        >>> audio, rate = song.generate(seconds=10, temperature=0.9)  # doctest: +SKIP
    """
    from keras_rawaudio.errors import UserError
    from keras_rawaudio.generation import Generator
    from keras_rawaudio.generation.overlapping import overlapping
    from keras_rawaudio.models import Refiner
    from keras_rawaudio.training.model_files import load_model
    from keras_rawaudio.training.run_folder import RunFolder

    folder = RunFolder.open(run)
    model = load_model(folder, checkpoint)
    if isinstance(model, Refiner):
        raise UserError(f"{run} is a refiner's run: it revises audio and generates none")
    model = overlapping(model, overlap)
    return Generator(model, folder.describe()["sample_rate"])
