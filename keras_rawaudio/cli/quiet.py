"""What a command prints on stderr: lines of ours alone."""

from __future__ import annotations

import contextlib
import os
import sys
import warnings
from collections.abc import Iterator
from typing import Any

from keras_rawaudio.errors import one_line
from keras_rawaudio.quiet import silent_stderr


@contextlib.contextmanager
def warnings_as_notes() -> Iterator[None]:
    """Print a warning in one line, without the place in the code that gave it."""
    with warnings.catch_warnings():
        show = warnings.showwarning

        def note(message: Any, category: type[Warning], *place: Any, **more: Any) -> None:
            if issubclass(category, UserWarning):
                print(f"note: {one_line(message)}", file=sys.stderr)
            else:
                show(message, category, *place, **more)

        warnings.showwarning = note
        yield


def load_tensorflow() -> None:
    """Import TensorFlow; its notes on CPU features and absent GPUs stay out of sight."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    with silent_stderr():
        import tensorflow as tf

        tf.config.list_physical_devices("GPU")
        # oneDNN notes once a process that strings are not for it; TensorBoard's audio is strings.
        tf.transpose(tf.constant([["a"]]))
