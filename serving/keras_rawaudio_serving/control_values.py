"""What the controls of a file are set to, for each stream."""

from collections.abc import Iterator, Sequence

import numpy as np

from .errors import ServingError
from .metadata import MUSIC, Metadata
from .music import read_music


class ControlValues:
    """Values that outlive the state they are put into.

    Args:
        metadata: of the file.
        streams: how many.
        music: which one, as of `Sampler`; None: unnamed.

    Attributes:
        known: the controls by name.
        music: float32 (streams, labels), the weights of the music that was named; None: unnamed.
    """

    def __init__(
        self, metadata: Metadata, streams: int, music: Sequence[str] | None = None
    ) -> None:
        self.labels, self.streams = metadata.labels, streams
        recipe = metadata.raw.get("recipe")
        self._recipe = recipe.get("name") if isinstance(recipe, dict) else None
        self.known = {control.name: control for control in metadata.controls}
        self._values: dict[str, np.ndarray] = {}
        self.music: np.ndarray | None = None
        if music:
            self.music = self._each_stream(MUSIC, read_music(music, self.labels))

    def check(self, name: str, values: Sequence[float] | np.ndarray) -> np.ndarray:
        """Float32 (streams,) of one value for all streams, or one per stream.

        Raises:
            ServingError: no such control, a wrong number of values, or one out of range.
        """
        if name not in self.known:
            kind, slash, piece = name.partition("/")
            if slash and kind == MUSIC:
                read_music([piece], self.labels)
            known = ", ".join(c for c in self.known if "/" not in c) or "none"
            origin = f" (recipe {self._recipe!r:.40})" if self._recipe else ""
            raise ServingError(f"no control {name!r:.40}: this file has {known}{origin}")
        self.known[name].check(values)  # before it is a float32, which 1e300 does not fit into
        return self._each_stream(name, np.asarray(values, np.float32))

    def set(self, name: str, values: np.ndarray) -> None:
        """Set a control, `music/<label>` among them, to what `check` returned."""
        if "/" not in name:
            self._values[name] = values
            return
        names = [label.name for label in self.labels]
        if self.music is None:
            self.music = np.zeros((self.streams, len(names)), np.float32)
        self.music[:, names.index(name.partition("/")[2])] = values

    def get(self, name: str) -> np.ndarray:
        """Float32 (streams,) of a known control: as set last, else its default."""
        if name in self._values:
            return self._values[name]
        return np.full(self.streams, self.known[name].default, np.float32)

    def states(self) -> Iterator[tuple[str, np.ndarray]]:
        """Name and value of each state that was set."""
        if self.music is not None:
            yield MUSIC, self.music
        for name, values in self._values.items():
            yield name, values[:, None]

    def _each_stream(self, name: str, values: np.ndarray) -> np.ndarray:
        if len(values) not in (1, self.streams):
            commas = ", weights of one joined by commas" if name == MUSIC else ""
            raise ServingError(
                f"{name}: {len(values)} values for {self.streams} streams: give one or one per "
                f"stream{commas}"
            )
        return np.array(np.broadcast_to(values, (self.streams, *values.shape[1:])))
