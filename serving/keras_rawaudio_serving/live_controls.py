"""Controls that change while the sampler runs."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from .errors import ServingError
from .sampler import Sampler


class Control(NamedTuple):
    """What may be turned while a model plays: a name, a range, a default, and what it does."""

    name: str
    minimum: float
    maximum: float
    default: float
    unit: str
    description: str


TEMPERATURE = Control("temperature", 0.1, 2.0, 1.0, "ratio", "How far the model strays.")


class LiveControls:
    """Takes values from other threads, and hands them to the sampler between two blocks.

    `set` may be called from any thread, `apply` from the one that runs the sampler. Neither waits
    for the other: a value passes through a dictionary, whose operations are atomic.

    Args:
        sampler: whose controls they are.

    Attributes:
        known: the controls of the sampler's file, by name.
        values: float32 (streams,) of each control, as set last.

    Example:
        >>> live = LiveControls(sampler)     # doctest: +SKIP
        >>> live.set("temperature", [0.9])   # doctest: +SKIP
        >>> live.apply()                     # doctest: +SKIP
    """

    def __init__(self, sampler: Sampler) -> None:
        self._sampler = sampler
        self.known = {TEMPERATURE.name: TEMPERATURE}
        self.values = {TEMPERATURE.name: sampler.temperature}
        self._pending: dict[str, np.ndarray] = {}

    def check(self, name: str, values: Sequence[float]) -> np.ndarray:
        """Float32 (streams,) of one value for all streams, or one per stream.

        Raises:
            ServingError: no such control, a wrong number of values, or one out of range.
        """
        if name not in self.known:
            raise ServingError(f"no control {name:.40}: this file has {', '.join(self.known)}")
        control, streams = self.known[name], self._sampler.streams
        if len(values) not in (1, streams):
            raise ServingError(
                f"{name}: {len(values)} values for {streams} streams: give one or one per stream"
            )
        for value in values:
            if not control.minimum <= value <= control.maximum:
                raise ServingError(
                    f"{name} is {value:g}: it must be {control.minimum:g} to {control.maximum:g}"
                )
        return np.array(np.broadcast_to(np.asarray(values, np.float32), (streams,)))

    def set(self, name: str, values: Sequence[float]) -> None:
        """Ask for values, see `check`."""
        self.values[name] = self._pending[name] = self.check(name, values)

    def apply(self) -> None:
        """Hand the sampler what was asked for since the last call."""
        while self._pending:
            _, values = self._pending.popitem()
            self._sampler.temperature = values
