"""What the peers in PyTorch share: learning on either device, the best weights on validation kept.

Scores and streams are made on the processor afterwards, whatever the system learned on: a recurrent
step per sample is too small for a GPU.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import contract
import torch


def learn(
    module: torch.nn.Module,
    step: Callable[[], int],
    bits: Callable[[], float],
    minutes: float,
    device: str,
) -> dict[str, float | None]:
    """Learn, and leave the module on the processor with its best weights.

    Args:
        module: on the device already.
        step: takes one training step; returns how many samples it learned from.
        bits: per sample of the validation part.
        minutes: of processor time, or of wall time on a GPU.
        device: `"cpu"` or `"cuda"`.
    """
    best: dict[str, Any] = {"bits": math.inf}

    def check() -> float:
        found = bits()
        if found < best["bits"]:
            weights = {name: value.cpu().clone() for name, value in module.state_dict().items()}
            best.update(bits=found, weights=weights)
        return found

    def clock() -> float:
        torch.cuda.synchronize()
        return time.perf_counter()

    learned = contract.learn_by_steps(step, minutes, check, clock if device == "cuda" else None)
    module.to("cpu").load_state_dict(best["weights"])
    return learned
