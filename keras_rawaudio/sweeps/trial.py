"""One trial of a sweep: a run, trained or gone on with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras

from keras_rawaudio.data.corpus import CorpusSettings, prepare
from keras_rawaudio.errors import UserError, is_out_of_memory
from keras_rawaudio.sweeps.settings import SweepSettings
from keras_rawaudio.training.csv_log import compared_row, read_log
from keras_rawaudio.training.resume import resume
from keras_rawaudio.training.run_folder import RunFolder
from keras_rawaudio.training.schedule import Budget
from keras_rawaudio.training.train import train

DEFAULT_MINUTES = 10.0
ADVICE = "choose another cache by XDG_CACHE_HOME on Linux"  # a sweep has no flag for it


class Validations(keras.callbacks.Callback):
    """Hands each validation's score to a search engine.

    Args:
        run: the run folder that is trained into.
        report: takes the score, where less is better, and the number of the validation from 0.
    """

    def __init__(self, run: RunFolder, report: Callable[[float, int], None]) -> None:
        super().__init__()
        self.run, self.report = run, report

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Report what the run's log holds by now."""
        rows = read_log(self.run.log)
        self.report(rows[-1][self.run.describe()["measure"]], len(rows) - 1)


def run_trial(
    settings: SweepSettings,
    run: Path,
    values: dict[str, Any],
    report: Callable[[float, int], None],
) -> float:
    """Train a run, or go on with one that was cut off.

    Args:
        settings: the sweep's.
        run: the run folder.
        values: what the search chose, by dotted key.
        report: as in `Validations`; what it raises ends the run, which stays as it is.

    Returns:
        The score that runs are compared by, in the unit of the model's measure; less is better.

    Raises:
        UserError: these settings cannot be trained.
        KeyboardInterrupt: after Ctrl-C, once the run is saved.
    """
    folder = RunFolder(run)
    callbacks = [Validations(folder, report)]
    keras.backend.clear_session()  # what the trial before has left
    try:
        if folder.request.is_file():
            ended = resume(run, callbacks=callbacks)
        else:
            ended = train(
                settings.audio,
                run,
                settings.load_recipe(values),
                budget(settings),
                corpus_settings(settings),
                seed=settings.seed,
                callbacks=callbacks,
            )
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        raise UserError(
            f"{run.name} takes more memory than there is; search smaller ones"
        ) from None
    if not ended:
        raise KeyboardInterrupt
    measure = folder.describe()["measure"]
    return float(compared_row(read_log(folder.log, measure), measure)[measure])


def prepare_audio(settings: SweepSettings) -> None:
    """Prepare the audio, or find it prepared.

    Raises:
        UserError: it cannot be read, or the cache cannot be written.
    """
    corpus = settings.load_recipe({}).data.corpus(corpus_settings(settings))
    prepare(settings.audio, settings=corpus, advice=ADVICE)


def budget(settings: SweepSettings) -> Budget:
    """How long a trial lasts.

    Raises:
        UserError: two budgets, or one out of its range.
    """
    if settings.minutes is None and settings.epochs is None:
        return Budget(DEFAULT_MINUTES)
    return Budget(settings.minutes, settings.epochs)


def corpus_settings(settings: SweepSettings) -> CorpusSettings:
    """Rate and channels of a sweep's audio."""
    return CorpusSettings(sample_rate=settings.sample_rate, channels=1 if settings.mono else None)
