"""Controls that change while the sampler runs."""

from collections.abc import Sequence

import numpy as np

from .metadata import MUSIC
from .sampler import Sampler


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
        self.known = sampler.controls
        self.values = {name: sampler.control(name) for name in self.known}
        if sampler.music is not None:
            weights = zip(sampler.metadata.labels, sampler.music.T, strict=True)
            self.values |= {f"{MUSIC}/{label.name}": values for label, values in weights}
        self._pending: dict[str, np.ndarray] = {}

    def check(self, name: str, values: Sequence[float]) -> np.ndarray:
        """As `Sampler.check_control`."""
        return self._sampler.check_control(name, values)

    def set(self, name: str, values: Sequence[float]) -> None:
        """Ask for values, see `check`."""
        self.values[name] = self._pending[name] = self.check(name, values)

    def apply(self) -> None:
        """Hand the sampler what was asked for since the last call."""
        while self._pending:
            name, values = self._pending.popitem()
            self._sampler.set_control(name, values)
