"""Keras' own `compile`, `fit` and `evaluate` for a model whose state goes in and comes out."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_rawaudio.errors import UserError
from keras_rawaudio.models.carried_state import CarriedState


class FitWindows(keras.Model):
    """Lets a model be trained by `fit` on batches of windows, by truncated backpropagation.

    Batches are dicts of `x`, `y`, `reset` and `position`, as `window_dataset` yields them, and
    `label` for a model that takes it. The state of each row is carried from batch to
    batch, and gradients stop between them. The loss is the head's.

    Example:
        >>> from keras_rawaudio import AudioModel
        >>> from keras_rawaudio.data.windows import WindowPlan, window_dataset
        >>> codec = {"name": "mulaw", "peak": 1.0, "levels": 16}
        >>> tiers = [{"frame_size": 4, "units": 8}]
        >>> model = AudioModel(tiers, {"kind": "categorical", "hidden_units": 8}, codec)
        >>> import numpy as np
        >>> audio = [(8000 * np.sin(np.arange(4000) / 9)).astype("int16")]
        >>> plan = WindowPlan([4000], frame=4, frames=10, batch=5)
        >>> windows = window_dataset(audio, model.codec.encode, plan, model.context)
        >>> model.compile("adam", rows=5)
        >>> history = model.fit(
        ...     windows, steps_per_epoch=20, epochs=2, shuffle=False, verbose=0
        ... )
        >>> history.history["loss"][1] < history.history["loss"][0]
        True
    """

    _carried: Any = None

    def compile(self, optimizer: Any = "adam", rows: int = 8, **options: Any) -> None:
        """Say how to train.

        Args:
            optimizer: as `keras.Model.compile` takes it.
            rows: of a batch.
            **options: of `keras.Model.compile`, without `loss`: the head has it.
        """
        super().compile(optimizer, **options)
        # Past Keras' own __setattr__, which would track the state and save it with the weights.
        object.__setattr__(self, "_carried", CarriedState(self, rows))

    def get_compile_config(self) -> None:
        """Nothing: a model that was loaded is compiled anew, for batches of any size."""

    def call_window(self, batch: dict[str, Any], training: bool = False) -> Any:
        """Predict a batch of windows with the state that its rows carry, and keep the new one."""
        if self._carried is None:
            raise UserError("a batch of windows needs model.compile(optimizer, rows=...) first")
        given = [batch.get(name) for name in ("reset", "position", "label")]
        state = self._carried.read(*given)
        prediction, state = self.call(batch["x"], state, training=training)
        self._carried.write(state)
        return prediction

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
        """Mean of the head's loss over the samples of a batch, in nats or squared error."""
        return ops.mean(self.head.loss(y_pred, self.target(x["x"], x["y"])))
