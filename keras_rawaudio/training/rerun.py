"""Train again as a run was trained, and compare data, versions and result."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from keras_rawaudio.training.checkpoint import DAMAGE
from keras_rawaudio.training.csv_log import read_log
from keras_rawaudio.training.resume import requested
from keras_rawaudio.training.run_folder import RunFolder
from keras_rawaudio.training.train import train


@dataclass(frozen=True)
class Agreement:
    """One line of a comparison.

    Attributes:
        name: what is compared.
        agrees: whether it is the same in both runs.
        text: how it differs, or what was compared.
    """

    name: str
    agrees: bool
    text: str

    def __str__(self) -> str:
        return f"{self.name}: {'agree' if self.agrees else 'differ'}; {self.text}"


def rerun(run: str | Path, out: str | Path) -> list[Agreement] | None:
    """Train into another folder what a run was asked for.

    Args:
        run: the run to repeat.
        out: the run folder to make.

    Returns:
        Data, versions and result, compared; `None` after Ctrl-C.

    Raises:
        UserError: not a run folder, audio that is gone, or as `train`.
    """
    first = RunFolder.open(run)
    if not train(run=out, **requested(first)):
        return None
    return compare_runs(first, RunFolder.open(out))


def compare_runs(first: RunFolder, second: RunFolder) -> list[Agreement]:
    """Compare the data, the versions and the result of two runs of one request."""
    old, new = first.describe(), second.describe()
    same = old.get("samples_sha256") == new["samples_sha256"]
    data = Agreement("data", same, f"SHA-256 of the samples: {new['samples_sha256'][:12]}")
    before = {**old["versions"], "revision": old["git_revision"]}
    now = {**new["versions"], "revision": new["git_revision"]}
    names = [name for name in now | before if before.get(name) != now.get(name)]
    changes = [f"{name} {before.get(name)} then, {now.get(name)} now" for name in names]
    versions = Agreement("versions", not changes, ", ".join(changes) or "Python, packages, code")
    return [data, versions, _compare_results(first, second, old["measure"])]


def _compare_results(first: RunFolder, second: RunFolder, measure: str) -> Agreement:
    pair = (first.training_state, second.training_state)
    with suppress(*DAMAGE):  # a damaged checkpoint counts as different
        if all(path.is_file() for path in pair) and _equal(*pair):
            return Agreement("result", True, "weights and optimizer are equal bit for bit")
    best = [
        min((row[measure] for row in read_log(run.log, measure)), default=None)
        for run in (first, second)
    ]
    text = f"best {measure} {best[0]} then, {best[1]} now"
    if first.describe()["budget"].get("epochs") is None:
        text += "; a budget in minutes takes another number of steps each time"
    return Agreement("result", False, text)


def _equal(first: Path, second: Path) -> bool:
    """Whether two checkpoints hold the same arrays."""
    with np.load(first) as one, np.load(second) as two:
        names = set(one.files) - {"progress"}
        return names == set(two.files) - {"progress"} and all(
            one[name].tobytes() == two[name].tobytes() for name in names
        )
