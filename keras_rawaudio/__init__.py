"""Train a recurrent generator on your own audio, export it as one file, play it anywhere.

Nothing heavy is imported before it is used.

Example:
    >>> import keras_rawaudio
    >>> run = keras_rawaudio.train("song.flac", "runs/song", minutes=10)  # doctest: +SKIP
    >>> audio, rate = keras_rawaudio.load(run).generate(seconds=10)  # doctest: +SKIP
    >>> keras_rawaudio.export(run, "exported/song")  # doctest: +SKIP
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

from keras_rawaudio.api import evaluate, export, load, train
from keras_rawaudio.errors import UserError

if TYPE_CHECKING:
    from keras_rawaudio import layers, recipes
    from keras_rawaudio.models import AudioModel

__version__ = "0.1.0"

# From version 1.29 on, ONNX Runtime sends its maker what it runs, unless this is set.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

__all__ = [
    "AudioModel",
    "UserError",
    "evaluate",
    "export",
    "layers",
    "load",
    "recipes",
    "train",
]


def __getattr__(name: str) -> Any:
    if name in ("layers", "recipes"):
        return importlib.import_module(f"keras_rawaudio.{name}")
    if name == "AudioModel":
        return importlib.import_module("keras_rawaudio.models").AudioModel
    raise AttributeError(f"module 'keras_rawaudio' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
