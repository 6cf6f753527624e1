"""Loss, gradient norm and speed of the recent steps."""

from __future__ import annotations

import time
from collections import deque
from typing import Any

import numpy as np

from keras_rawaudio.training.replicas import Replicas

# Seconds between two looks at the loss: looking waits for the steps in hand to end.
LOOK_EVERY = 0.5
# Seconds of training: a benchmark on a busy machine puts another clock here.
CLOCK = time.perf_counter
# The mean is over the last steps that are not longer ago than this many.
RECENT_STEPS = 200


class ThroughputMeter:
    """Collects losses as tensors and reads them seldom, because reading waits for the steps.

    The first step is not timed: it compiles. Several processes look after the same step, and the
    time that counts is the chief's.

    Args:
        samples_per_step: samples that a step learns from.
        replicas: says which process this is; `None`: the only one.

    Attributes:
        loss: mean over the recent steps.
        norm: the last gradient's.
        speed: samples per second between the last two looks.
    """

    def __init__(self, samples_per_step: int, replicas: Replicas | None = None) -> None:
        self.samples_per_step, self.replicas = samples_per_step, replicas or Replicas()
        self.loss = self.norm = float("nan")
        self.speed = 0.0
        self._recent: deque[float] = deque(maxlen=RECENT_STEPS)
        self._losses: list[Any] = []
        self._norm: Any = None
        self._timed = 0
        self._started = False
        self._steps = self._next_look = 0  # of several processes

    def add(self, loss: Any, norm: Any) -> None:
        """Take a step's loss and norm: tensors that may still be in the making."""
        self._losses.append(loss)
        self._norm = norm
        self._steps += 1
        if self._started:
            self._timed += 1
        else:
            float(loss)
            self._started = True
            self.restart()

    def restart(self) -> None:
        """Start the clock again after something that is not training."""
        self._mark, self._timed = CLOCK(), 0

    def due(self) -> bool:
        """Whether it is time to look."""
        if self.replicas.workers > 1:
            return self._steps >= self._next_look
        return CLOCK() - self._mark >= LOOK_EVERY

    def look(self) -> float:
        """Work the figures out.

        Returns:
            Seconds of training since the last look.
        """
        self._recent.extend(float(loss) for loss in self._losses)
        self._losses.clear()
        self.loss, self.norm = float(np.mean(self._recent)), float(self._norm)
        seconds = CLOCK() - self._mark
        if self._timed:
            self.speed = self._timed * self.samples_per_step / seconds
        else:
            seconds = 0.0
        self.restart()
        pause = max(1.0, LOOK_EVERY * self.speed / self.samples_per_step)
        seconds, pause = self.replicas.from_chief([seconds, pause])
        self._next_look = self._steps + int(pause)
        return seconds

    def forget(self) -> None:
        """Begin a new mean, with the clock started again."""
        self._recent.clear()
        self.restart()
