"""Codecs: audio to what a model reads, and back. Numpy only; fitted on the train part.

A new codec is one file here and one line in `CODECS`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from keras_rawaudio.data.codecs.base import Codec, CodecSettings, Parts, Values
from keras_rawaudio.data.codecs.linear import Linear
from keras_rawaudio.data.codecs.minmax import MinMax
from keras_rawaudio.data.codecs.mulaw import MuLaw
from keras_rawaudio.data.codecs.peak import Peak
from keras_rawaudio.data.codecs.quantizer import Quantizer
from keras_rawaudio.data.codecs.standardize import Standardize
from keras_rawaudio.errors import UserError, nearest
from keras_rawaudio.settings import checked

__all__ = [
    "CODECS",
    "Codec",
    "CodecSettings",
    "Linear",
    "MinMax",
    "MuLaw",
    "Parts",
    "Peak",
    "Quantizer",
    "Standardize",
    "Values",
    "codec_from_json",
    "fit_codec",
]

CODECS: dict[str, type[Codec]] = {
    codec.name: codec for codec in (MuLaw, Linear, Standardize, MinMax, Peak)
}


def fit_codec(name: str, parts: Parts, **options: Any) -> Codec:
    """Fit one codec for a whole corpus.

    Args:
        name: a key of `CODECS`.
        parts: a function per part that starts an iterator of float32 chunks in [-1, 1], as
            `Corpus.parts()` returns it. Only "train" is read.
        **options: the codec's own, such as `levels=256` for "mulaw".

    Returns:
        The fitted codec.

    Raises:
        UserError: if the name or an option is unknown, or the train part is empty or silent.

    Example:
        >>> import numpy as np
        >>> fit_codec("mulaw", {"train": lambda: [np.float32([0.25, -0.5])]}, levels=16)
        MuLaw(peak=0.5, levels=16)
    """
    codec = _find(name)
    settings = checked(codec.settings, {"name": name, **options}, f"codec {name}")
    return codec.fit(parts, **settings.model_dump(exclude={"name"}))


def codec_from_json(description: Mapping[str, Any]) -> Codec:
    """The codec that a `to_json` described.

    Raises:
        UserError: if the name is unknown or fields are missing, unknown or out of range.

    Example:
        >>> codec_from_json({"name": "mulaw", "peak": 0.5, "levels": 256})
        MuLaw(peak=0.5, levels=256)
    """
    return _find(description.get("name")).from_json(description)


def _find(name: Any) -> type[Codec]:
    if name not in CODECS:
        raise UserError(f"no codec {name!r}; {nearest(name, CODECS)}")
    return CODECS[name]
