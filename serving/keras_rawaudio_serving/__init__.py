"""Play a generator exported by keras-rawaudio, without TensorFlow.

Example:
    >>> from keras_rawaudio_serving import Sampler        # doctest: +SKIP
    >>> sampler = Sampler.load("generator.onnx", random_seed=7)  # doctest: +SKIP
    >>> sampler.generate(seconds=2.0).shape                # doctest: +SKIP
    (1, 32000)
"""

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .errors import ServingError as ServingError
    from .sampler import Sampler as Sampler

__all__ = ["Sampler", "ServingError"]
__version__ = "0.1.0"

# From version 1.29 on, ONNX Runtime sends its maker what it runs, unless this is set.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")


def __getattr__(name: str) -> Any:
    # Lazily, so that `--help` needs neither numpy nor onnxruntime.
    if name == "Sampler":
        from .sampler import Sampler

        return Sampler
    if name == "ServingError":
        from .errors import ServingError

        return ServingError
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
