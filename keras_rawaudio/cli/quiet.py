"""Load TensorFlow without the lines that it prints before anybody can turn them off."""

from __future__ import annotations

import os

from keras_rawaudio.quiet import silent_stderr


def load_tensorflow() -> None:
    """Import TensorFlow; its notes on CPU features and absent GPUs stay out of sight."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    with silent_stderr():
        import tensorflow as tf

        tf.config.list_physical_devices("GPU")
        # oneDNN notes once a process that strings are not for it; TensorBoard's audio is strings.
        tf.transpose(tf.constant([["a"]]))
