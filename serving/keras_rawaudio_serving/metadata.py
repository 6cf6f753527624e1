"""What an exported file says about itself; refuses what it does not know."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .errors import ServingError

KEY = "keras_rawaudio"
FORMAT_VERSION = 1


@dataclass(frozen=True)
class State:
    """One named state tensor: its shape without the batch, and the value a fresh one is full of."""

    name: str
    shape: tuple[int, ...]
    initial: float


@dataclass(frozen=True)
class Metadata:
    """The metadata of an exported generator.

    Attributes:
        sample_rate: samples a second of everything that goes in and out.
        frame: both the forced and the drawn samples come in multiples of this.
        noise_per_sample: numbers in [0, 1) that each drawn sample takes.
        deterministic: True where noise and temperature have no effect.
        states: the state tensors, in the file's order.
        raw: the whole JSON object (recipe, codec, versions, ...).
    """

    sample_rate: int
    frame: int
    noise_per_sample: int
    deterministic: bool
    states: tuple[State, ...]
    raw: dict[str, Any]


def parse_metadata(properties: Mapping[str, str], where: str) -> Metadata:
    """Read `properties` (an ONNX file's `metadata_props`).

    Args:
        properties: key to text.
        where: the file's name, for the messages.

    Raises:
        ServingError: not a keras-rawaudio generator, an unknown format version, a damaged entry.

    Example:
        >>> text = ('{"format_version": 1, "sample_rate": 16000, "frame": 16, "states": [],'
        ...         ' "noise_per_sample": 1, "deterministic": false}')
        >>> parse_metadata({"keras_rawaudio": text}, "generator.onnx").sample_rate
        16000
    """
    if KEY not in properties:
        raise ServingError(
            f"{where} is an ONNX file but not a keras-rawaudio generator: make one with export.py"
        )
    try:
        raw = json.loads(properties[KEY])
        version = raw["format_version"]
    except (ValueError, TypeError, KeyError):
        raise ServingError(
            f"{where} has damaged keras-rawaudio metadata: export it again"
        ) from None
    if version != FORMAT_VERSION:
        raise ServingError(
            f"{where} has format version {version}, and this sampler reads version "
            f"{FORMAT_VERSION}: install a matching keras-rawaudio-serving, or export it again"
        )
    try:
        metadata = Metadata(
            sample_rate=int(raw["sample_rate"]),
            frame=int(raw["frame"]),
            noise_per_sample=int(raw["noise_per_sample"]),
            deterministic=bool(raw["deterministic"]),
            states=tuple(
                State(str(s["name"]), tuple(int(n) for n in s["shape"]), float(s["initial"]))
                for s in raw["states"]
            ),
            raw=raw,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ServingError(
            f"{where} has damaged keras-rawaudio metadata ({error!r}): export it again"
        ) from None
    if metadata.sample_rate < 1 or metadata.frame < 1 or metadata.noise_per_sample < 0:
        raise ServingError(
            f"{where} has impossible keras-rawaudio metadata "
            f"(sample_rate {metadata.sample_rate}, frame {metadata.frame}, "
            f"noise_per_sample {metadata.noise_per_sample}): export it again"
        )
    return metadata
