"""Labels whose audio is too short for a window: nothing is learned of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from keras_rawaudio.data.windows import WindowPlan
from keras_rawaudio.models import SpectralModel

MOST = 3  # that a note names


def leave_out_unlearned(
    model: SpectralModel, plan: WindowPlan, labels: Sequence[int]
) -> str | None:
    """Let no stream begin in a label that no window holds.

    Args:
        model: its `label_shares` are changed.
        plan: what the rows of training read.
        labels: of each segment of the train part.

    Returns:
        A note that names them; `None` where every label is learned.
    """
    learned = np.isin(np.arange(len(model.labels)), np.asarray(labels)[plan.usable])
    if learned.all():
        return None
    shares = np.asarray(model.label_shares) * learned
    model.label_shares.assign(shares / shares.sum())
    names = [name for name, one in zip(model.labels, learned, strict=True) if not one]
    listed = ", ".join(names[:MOST]) + (", ..." if len(names) > MOST else "")
    return (
        f"{len(names)} of {len(learned)} labels are shorter than a window of training: nothing is "
        f"learned of {listed}; join such files, or use longer ones"
    )
