"""Load TensorFlow; what it writes on stderr stays out of sight."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Any

from keras_rawaudio.errors import UserError, first_line
from keras_rawaudio.quiet import silent_stderr


def gpu_names() -> list[str]:
    """The GPUs that TensorFlow sees; before any operation has run."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    with _start_errors(), silent_stderr():
        import tensorflow as tf

        return [f"GPU:{i}" for i, _ in enumerate(tf.config.list_physical_devices("GPU"))]


def load_tensorflow(workers: int = 1) -> Any:
    """Import TensorFlow and Keras; notes on CPU features and absent GPUs stay out of sight.

    Args:
        workers: processes that `TF_CONFIG` names. They meet here, before any operation has run.

    Returns:
        The strategy of several processes; None for one.

    Raises:
        UserError: they do not start.
    """
    strategy = None
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    os.environ["KERAS_BACKEND"] = "tensorflow"  # the one that these models run on
    with _start_errors(), silent_stderr():
        import keras  # noqa: F401
        import tensorflow as tf

        tf.config.list_physical_devices("GPU")
        if workers > 1:
            strategy = tf.distribute.MultiWorkerMirroredStrategy()
        # oneDNN prints one note per process at the first operation on strings, such as
        # TensorBoard's audio. Here it is not shown.
        tf.transpose(tf.constant([["a"]]))
    return strategy


@contextlib.contextmanager
def _start_errors() -> Iterator[None]:
    try:
        yield
    except Exception as error:
        raise UserError(
            f"TensorFlow does not start: {first_line(error)}; look at its installation, at Keras' "
            "settings in ~/.keras/keras.json, and at limits of memory (ulimit -v)"
        ) from None
