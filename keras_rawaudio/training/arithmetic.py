"""The arithmetic that models are tested with: TensorFlow's, in full 32 bits."""

from __future__ import annotations

import keras
import tensorflow as tf

from keras_rawaudio.errors import UserError


def require_float32() -> None:
    """Turn TF32 off, and refuse what Keras may be set to besides.

    Linear prediction needs the digits that TF32, the 19 bits of recent GPUs, leaves out. Mixed
    precision has not been tested with these models.

    Raises:
        UserError: Keras runs on another backend than TensorFlow, or computes in another type.

    Example:
        >>> require_float32()
        >>> tf.config.experimental.tensor_float_32_execution_enabled()
        False
    """
    tf.config.experimental.enable_tensor_float_32_execution(False)
    backend = keras.config.backend()
    if backend != "tensorflow":
        raise UserError(f"Keras runs on {backend}; set KERAS_BACKEND=tensorflow")
    for kind in (keras.config.floatx(), keras.config.dtype_policy().name):
        if kind != "float32":
            raise UserError(
                f"Keras is set to {kind}, and these models are tested in float32; "
                "set floatx and the dtype policy to float32"
            )
