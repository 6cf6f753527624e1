"""Load TensorFlow without the lines that it prints before anybody can turn them off."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def silent_stderr() -> Iterator[None]:
    """Send what C++ code writes to stderr nowhere; Python's own errors are raised as ever."""
    try:
        number = sys.stderr.fileno()
        saved = os.dup(number)
    except (OSError, ValueError):  # no real stderr, as under a test runner
        yield
        return
    try:
        with open(os.devnull, "w") as nowhere:
            sys.stderr.flush()
            os.dup2(nowhere.fileno(), number)
            yield
    finally:
        os.dup2(saved, number)
        os.close(saved)


def load_tensorflow() -> None:
    """Import TensorFlow; its notes on CPU features and absent GPUs stay out of sight."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    with silent_stderr():
        import tensorflow as tf

        tf.config.list_physical_devices("GPU")
        # oneDNN notes once a process that strings are not for it; TensorBoard's audio is strings.
        tf.transpose(tf.constant([["a"]]))
