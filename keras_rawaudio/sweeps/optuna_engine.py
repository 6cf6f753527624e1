"""The search by Optuna, in this process, with its study in an SQLite file."""

from __future__ import annotations

import functools
import sqlite3
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_rawaudio.errors import UserError
from keras_rawaudio.sweeps.settings import Range, SweepSettings
from keras_rawaudio.sweeps.trial import prepare_audio, run_trial

if TYPE_CHECKING:
    import optuna

STUDY = "study.db"
FAILED = "failed"  # the attribute of a trial that could not be trained: why


def search(settings: SweepSettings, out: Path) -> None:
    """Train trials until there are as many as asked for; those of an earlier call count.

    The TPE sampler chooses; a trial whose score is above the median of the others' at the same
    validation is pruned. A trial that was cut off goes on in its run folder.

    Args:
        settings: the sweep's.
        out: holds the study and `runs/`.

    Raises:
        UserError: Optuna is not installed, another version of it began the study, or the audio can
            no longer be read: then the trial under way is not counted.
        KeyboardInterrupt: after Ctrl-C; the same call goes on.

    Reference:
        Akiba et al. 2019, "Optuna: A Next-generation Hyperparameter Optimization Framework".
    """
    try:
        import optuna
    except ImportError:
        raise UserError(
            "a sweep needs Optuna, which is not installed; pip install '.[sweep]'"
        ) from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    # Not by an address: `?` and `%` of a folder's name would mean something else there.
    connect = functools.partial(sqlite3.connect, out.resolve() / STUDY)
    try:
        storage = optuna.storages.RDBStorage("sqlite://", engine_kwargs={"creator": connect})
        study = optuna.create_study(storage=storage, study_name="sweep", load_if_exists=True)
    except RuntimeError as error:  # it was written by another version of Optuna
        reason = " ".join(str(error).split())
        raise UserError(f"cannot read {out / STUDY}: {reason}") from None
    # Another seed after each trial: a sweep that goes on does not draw the same values again.
    study.sampler = optuna.samplers.TPESampler(seed=(settings.seed + len(study.trials)) % 2**32)
    _enqueue_cut_off(study)
    while (done := _count_done(study)) < settings.trials:
        trial = study.ask()
        values = {key: _suggest(trial, key, axis) for key, axis in settings.search.items()}
        run = trial.user_attrs.get("run", f"trial-{trial.number:04d}")
        trial.set_user_attr("run", run)
        words = ", ".join(f"{key}={value}" for key, value in values.items())
        print(f"trial {done + 1} of {settings.trials}, {run}: {words}", file=sys.stderr)

        def report(score: float, number: int, trial: optuna.Trial = trial) -> None:
            trial.report(score, number)
            if trial.should_prune():
                raise optuna.TrialPruned

        try:
            study.tell(trial, run_trial(settings, out / "runs" / run, values, report))
        except optuna.TrialPruned:
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)
            print(f"{run}: pruned, above the median", file=sys.stderr)
        except UserError as error:
            prepare_audio(settings)  # else all others would fail, too, and count
            trial.set_user_attr(FAILED, str(error))
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
            print(f"{run}: failed: {error}", file=sys.stderr)


def _suggest(trial: optuna.Trial, key: str, axis: Range | list[Any]) -> Any:
    if isinstance(axis, list):
        return trial.suggest_categorical(key, axis)
    if axis.whole:
        low, high, step = int(axis.low), int(axis.high), int(axis.step or 1)
        return trial.suggest_int(key, low, high, step=step, log=axis.log)
    return trial.suggest_float(key, axis.low, axis.high, step=axis.step, log=axis.log)


def _enqueue_cut_off(study: optuna.Study) -> None:
    """Let trials that a killed process left come next, with their values and run folders."""
    import optuna

    for trial in study.get_trials(states=(optuna.trial.TrialState.RUNNING,)):
        if "run" in trial.user_attrs:
            attributes = {"run": trial.user_attrs["run"]}
            study.enqueue_trial(trial.params, user_attrs=attributes)
        study.tell(trial.number, state=optuna.trial.TrialState.FAIL)


def _count_done(study: optuna.Study) -> int:
    import optuna

    ended = (optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.PRUNED)
    return sum(trial.state in ended or FAILED in trial.user_attrs for trial in study.trials)
