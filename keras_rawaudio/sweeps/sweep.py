"""From a sweep's file to a folder of runs and a page that compares them."""

from __future__ import annotations

import contextlib
import json
import shutil
from pathlib import Path

from keras_rawaudio.errors import UserError
from keras_rawaudio.files import PARTIAL, replacing, write_errors
from keras_rawaudio.locks import LOCK, exclusive
from keras_rawaudio.reports.compare import compare
from keras_rawaudio.sweeps import optuna_engine, ray_engine
from keras_rawaudio.sweeps.settings import read_sweep
from keras_rawaudio.sweeps.trial import budget, prepare_audio
from keras_rawaudio.training.json_files import read_json

ENGINES = {"optuna": optuna_engine.search, "ray": ray_engine.search}
BEGUN = "sweep.json"
PAGE = "compare.html"


def sweep(path: str | Path, out: str | Path, engine: str = "optuna") -> str:
    """Train the trials of a sweep; the same call goes on with one that was cut off.

    Args:
        path: the sweep's YAML file.
        out: the folder to make: `runs/`, `compare.html`, and the engine's own state.
        engine: `"optuna"` in this process, or `"ray"` on Ray's workers.

    Returns:
        The tables of `compare` over the runs, best first.

    Raises:
        UserError: a setting or audio that does not fit, an engine that is not installed, or `out`
            holds another sweep.
        KeyboardInterrupt: after Ctrl-C, once the run under way is saved.

    Example:
        >>> print(sweep("sweep.yaml", "sweeps/song"))  # doctest: +SKIP
    """
    out = Path(out)
    settings = read_sweep(path)
    budget(settings)  # refuse before anything is made
    with exclusive(out), write_errors(out):
        # Of Optuna more trials may be asked for later; all else stays as it was begun.
        new = not (out / BEGUN).is_file()
        if new and _held(out):
            raise UserError(f"{out} is not empty and holds no sweep; choose another --out")
        later = {"trials"} if engine == "optuna" else set()
        begun = {"engine": engine, **settings.model_dump(mode="json", exclude=later)}
        if not new and read_json(out / BEGUN) != begun:
            raise UserError(f"{out} holds a sweep of another file or engine; choose another --out")
        prepare_audio(settings)
        with replacing(out / BEGUN) as partial:
            partial.write_text(json.dumps(begun, indent=2) + "\n", encoding="utf-8")
        try:
            ENGINES[engine](settings, out)
            return _compare(out)
        except KeyboardInterrupt:
            with contextlib.suppress(UserError):  # there may be no run yet
                _compare(out)
            raise
        except Exception:
            if new and not _runs(out):  # there is nothing to go on with
                _remove_state(out)
            raise


def _held(out: Path) -> set[str]:
    """Names in a folder, without locks and what a killed process left half-made."""
    names = {path.name for path in out.iterdir()}
    return {name for name in names if not name.startswith((PARTIAL, LOCK))}


def _remove_state(out: Path) -> None:
    """Remove what this module and the engines write beside the runs."""
    shutil.rmtree(out / ray_engine.EXPERIMENT, ignore_errors=True)
    for path in (out / BEGUN, *out.glob(f"{optuna_engine.STUDY}*")):
        path.unlink(missing_ok=True)


def _runs(out: Path) -> list[Path]:
    return sorted((out / "runs").glob("trial-*"))


def _compare(out: Path) -> str:
    if not (runs := _runs(out)):
        raise UserError(
            f"{out} holds no run: no trial could be trained, or they are gone; "
            "search other values, and choose another --out"
        )
    return compare(runs, out / PAGE)[0]
