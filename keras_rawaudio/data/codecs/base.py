"""What every codec is: numbers fitted once on the train part, and a formula each way."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from inspect import signature
from typing import Any, ClassVar, Literal, TypeAlias

import numpy as np

from keras_rawaudio.errors import UserError
from keras_rawaudio.settings import Settings

Parts: TypeAlias = Mapping[str, Callable[[], Iterable[np.ndarray]]]
"""Part name ("train", "validation", "test") to a function that starts an iterator of chunks,
each float32 in [-1, 1], `(n,)` or `(n, channels)`. A function, because a fit may have to read more
than once."""

Values: TypeAlias = Literal["codes", "amplitudes", "numbers"]
"""What a codec makes of samples: integer codes in [0, levels); amplitudes in [-1, 1] with silence
at 0, so that bits can be counted on cells; or floats of any scale."""


class CodecSettings(Settings):
    """A codec by name, with its options as `Codec.fit` takes them."""

    name: str


class Codec(ABC):
    """Audio to the values that a model reads, and back.

    A codec is a frozen dataclass: its fields are its whole state, and `to_json` holds exactly
    these. The formulas take `xp`, either `numpy` or `keras.ops`, so that the data pipeline and the
    exported graph share one definition.

    Class attributes:
        name: the codec's name in recipes, in the registry and in JSON.
        values: what samples become, which a head takes or does not.
        settings: what a recipe may set.

    Attributes:
        levels: the number of codes, or None where values are floats.

    Example:
        >>> from keras_rawaudio.data.codecs import MuLaw
        >>> codec = MuLaw(peak=1.0, levels=16)
        >>> codec.encode(np.float32([-1, 0, 1])).tolist(), codec.discrete
        ([0, 8, 15], True)
    """

    name: ClassVar[str]
    values: ClassVar[Values]
    settings: ClassVar[type[CodecSettings]]
    levels: int | None

    @classmethod
    @abstractmethod
    def fit(cls, parts: Parts, *args: Any, **options: Any) -> Codec:
        """Fit on the train part of a whole corpus: one codec for all of its files.

        Args:
            parts: by the name of a part, a function that yields its audio in chunks.
            *args: of the codec.
            **options: of the codec, as a recipe sets them.

        Returns:
            The fitted codec.
        """

    @abstractmethod
    def encode(self, audio: Any, xp: Any = np) -> Any:
        """Audio to values.

        Args:
            audio: in [-1, 1], of any shape.
            xp: `numpy` or `keras.ops`.

        Returns:
            Values of the same shape: int32 codes, or float32.
        """

    @abstractmethod
    def decode(self, values: Any, xp: Any = np) -> Any:
        """Values to audio.

        Args:
            values: of any shape.
            xp: `numpy` or `keras.ops`.

        Returns:
            Float32 audio of the same shape.
        """

    @property
    def discrete(self) -> bool:
        """Whether values are integer codes in [0, levels) or floats."""
        return self.values == "codes"

    @property
    def silence(self) -> float:
        """The value of digital silence."""
        return float(self.encode(np.zeros(1, np.float32))[0])

    def to_json(self) -> dict[str, Any]:
        """The codec as a dictionary of JSON's own types, with its name."""
        return {"name": self.name, **vars(self)}

    @classmethod
    def from_json(cls, description: Mapping[str, Any]) -> Codec:
        """The codec that `to_json` described.

        Args:
            description: the name and the fields of the codec.

        Raises:
            UserError: if the description is another codec's, or has missing or unknown fields.
        """
        values = dict(description)
        name = values.pop("name", None)
        if name != cls.name:
            raise UserError(f"not the description of a '{cls.name}' codec: its name is {name!r}")
        expected = set(signature(cls).parameters)
        if set(values) != expected:
            raise UserError(
                f"a '{cls.name}' codec is described by {', '.join(sorted(expected))}, "
                f"not by {', '.join(sorted(values)) or 'nothing'}"
            )
        return cls(**values)


class Continuous(Codec):
    """A codec whose values are floats."""

    levels = None


def as_floats(values: Any, xp: Any) -> Any:
    """`values` as float32, in numpy or in the Keras backend."""
    return np.asarray(values, np.float32) if xp is np else xp.cast(values, "float32")


def value_range(parts: Parts) -> tuple[float, float]:
    """The least and the greatest sample of the train part, read chunk by chunk.

    Raises:
        UserError: if the part is empty, holds a NaN or an infinity, or never changes (silence).
    """
    low, high = math.inf, -math.inf
    for chunk in parts["train"]():
        if len(chunk) == 0:
            continue
        least, greatest = float(np.min(chunk)), float(np.max(chunk))
        if not math.isfinite(greatest - least):  # Python's min and max would pass over a NaN
            raise UserError("the train part holds samples that are not finite numbers")
        low, high = min(low, least), max(high, greatest)
    if low > high:
        raise UserError("the train part is empty, so no codec can be fitted on it")
    if low == high:
        what = "silent" if low == 0 else f"constant (every sample is {low:g})"
        raise UserError(f"the train part is {what}, so no codec can be fitted on it")
    return low, high


def require_finite(codec: Codec, **numbers: float) -> None:
    """Refuse a codec whose numbers would make every value NaN."""
    for field, number in numbers.items():
        if not isinstance(number, int | float) or not math.isfinite(number):
            raise UserError(f"{field} of a '{codec.name}' codec must be a number, not {number!r}")


def require_positive(codec: Codec, **numbers: float) -> None:
    """Refuse a codec whose scale is zero, negative or not a number."""
    require_finite(codec, **numbers)
    for field, number in numbers.items():
        if number <= 0:
            raise UserError(f"{field} of a '{codec.name}' codec must be over 0, not {number:g}")
