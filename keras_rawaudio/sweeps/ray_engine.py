"""The search by Ray Tune, on as many workers as its cluster has."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from keras_rawaudio.errors import UserError
from keras_rawaudio.sweeps.settings import Range, SweepSettings

EXPERIMENT = "ray"


def search(settings: SweepSettings, out: Path) -> None:
    """Train trials side by side, one per worker; what an earlier call left undone goes on.

    Optuna's TPE sampler chooses; Ray's median rule prunes. `RAY_ADDRESS` names a cluster, whose
    machines must all see `out`; without it, Ray uses this machine's cores, one per trial.

    Args:
        settings: the sweep's.
        out: holds Ray's state and `runs/`.

    Raises:
        UserError: Ray is not installed.
        KeyboardInterrupt: after Ctrl-C; the same call goes on.

    Reference:
        Liaw et al. 2018, "Tune: A Research Platform for Distributed Model Selection and Training".
    """
    os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")
    try:
        from ray import tune
        from ray.tune.schedulers import MedianStoppingRule
        from ray.tune.search.optuna import OptunaSearch
    except ImportError:
        raise UserError(
            "--engine ray needs Ray Tune, which is not installed; pip install '.[sweep,ray]'"
        ) from None
    out = out.resolve()

    def trainable(values: dict[str, Any]) -> None:
        from keras_rawaudio.sweeps.trial import run_trial

        name = f"trial-{tune.get_context().get_trial_name()}"
        score = run_trial(
            settings,
            out / "runs" / name,
            values,
            lambda score, number: tune.report({"score": score, "validation": number}),
        )
        tune.report({"score": score})

    if tune.Tuner.can_restore(out / EXPERIMENT):
        tuner = tune.Tuner.restore(str(out / EXPERIMENT), trainable, resume_unfinished=True)
    else:
        tuner = tune.Tuner(
            tune.with_resources(trainable, {"cpu": 1}),
            param_space={key: _space(axis) for key, axis in settings.search.items()},
            tune_config=tune.TuneConfig(
                metric="score",
                mode="min",
                num_samples=settings.trials,
                search_alg=OptunaSearch(seed=settings.seed),
                scheduler=MedianStoppingRule(time_attr="training_iteration", grace_period=1),
            ),
            run_config=tune.RunConfig(name=EXPERIMENT, storage_path=str(out), verbose=1),
        )
    tuner.fit()


def _space(axis: Range | list[Any]) -> Any:
    """A range or choices as Ray Tune writes them."""
    from ray import tune

    if isinstance(axis, list):
        return tune.choice(axis)
    if axis.whole:
        low, high = int(axis.low), int(axis.high)  # Ray's upper bounds are not included
        if axis.log:
            return tune.lograndint(low, high + 1)
        return (
            tune.qrandint(low, high, int(axis.step)) if axis.step else tune.randint(low, high + 1)
        )
    if axis.log:
        return tune.loguniform(axis.low, axis.high)
    if axis.step:
        return tune.quniform(axis.low, axis.high, axis.step)
    return tune.uniform(axis.low, axis.high)
