"""The stateful shell round the pure model: one step of truncated backpropagation."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from keras_rawaudio.models import AudioModel


class TrainingStep:
    """Carries the recurrent state from window to window and moves the weights.

    Before a window is read, the rows that `reset` names start from zero. Gradients stop at the
    window's border (truncated backpropagation through time); the state does not.

    Args:
        model: the model; its weights move.
        optimizer: a Keras optimizer.
        batch: rows.
        clip_norm: largest global norm of a gradient; `None`: any.
        jit_compile: compile with XLA.

    Reference:
        Williams and Peng 1990, "An efficient gradient-based algorithm for on-line training of
        recurrent network trajectories".
    """

    def __init__(
        self,
        model: AudioModel,
        optimizer: keras.optimizers.Optimizer,
        batch: int,
        clip_norm: float | None = None,
        jit_compile: bool = False,
    ) -> None:
        self.model = model
        self.optimizer = optimizer
        self.clip_norm = clip_norm
        self.carried = {
            name: tf.Variable(tf.zeros((batch, *shape)), trainable=False, name=name)
            for name, shape in model.state_spec().items()
        }
        optimizer.build(model.trainable_variables)
        self._function = tf.function(self._step, jit_compile=jit_compile)

    def __call__(self, batch: dict[str, Any], learning_rate: float) -> tuple[Any, Any]:
        """Learn from one batch.

        Args:
            batch: `x`, `y` and `reset` as `window_dataset` yields them.
            learning_rate: for this step.

        Returns:
            The mean loss of a sample (nats, or squared error) and the gradient's global norm,
            as tensors that are ready when somebody looks.
        """
        self.optimizer.learning_rate.assign(learning_rate)
        loss, norm = self._function(batch["x"], batch["y"], batch["reset"])
        return loss, norm

    def _step(self, x: Any, y: Any, reset: Any) -> tuple[Any, Any]:
        keep = 1.0 - tf.cast(reset, tf.float32)[:, None]
        state = {name: value * keep for name, value in self.carried.items()}
        variables = self.model.trainable_variables
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            for variable in variables:
                tape.watch(variable.value)
            prediction, state = self.model(x, state, training=True)
            loss = tf.reduce_mean(self.model.head.loss(prediction, y))
        # Dense: the norm of a sparse gradient would count a row that it names twice as two rows.
        gradients = [
            tf.convert_to_tensor(g) for g in tape.gradient(loss, [v.value for v in variables])
        ]
        norm = tf.linalg.global_norm(gradients)
        if self.clip_norm:
            gradients, _ = tf.clip_by_global_norm(gradients, self.clip_norm, use_norm=norm)
        self.optimizer.apply(gradients, variables)
        for name, value in state.items():
            self.carried[name].assign(value)
        return loss, norm
