"""One step of truncated backpropagation."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import tensorflow as tf

from keras_rawaudio.errors import UserError
from keras_rawaudio.models import Model
from keras_rawaudio.models.carried_state import CarriedState
from keras_rawaudio.training.replicas import SEED_STRIDE, Replicas


class TrainingStep:
    """Carries the recurrent state from window to window and moves the weights.

    Before a window is read, the rows that `reset` names start from zero. Gradients stop at the
    window's border (truncated backpropagation through time); the state does not.

    Several replicas take the step on rows of their own. They add up their gradients before the norm
    is clipped, so that the step is the one of the whole batch. Of noise and dropout each draws its
    own.

    Args:
        model: the model; its weights move. Of several replicas, made in the strategy's scope.
        optimizer: a Keras optimizer, made there, too.
        batch: rows.
        clip_norm: largest global norm of a gradient; `None`: any.
        jit_compile: compile with XLA.
        average: how much of the running average of the weights a step keeps; `None`: no average.
        weight_noise: standard deviation of Gaussian noise on all weights while a gradient is taken.
        replicas: over which the batch is divided; None: one.

    Raises:
        UserError: several replicas that do not divide the batch, or with `jit_compile`.

    Reference:
        Graves 2011, "Practical variational inference for neural networks" (noise on weights).
        Polyak and Juditsky 1992, "Acceleration of stochastic approximation by averaging".
        Williams and Peng 1990, "An efficient gradient-based algorithm for on-line training of
        recurrent network trajectories".
    """

    def __init__(
        self,
        model: Model,
        optimizer: keras.optimizers.Optimizer,
        batch: int,
        clip_norm: float | None = None,
        jit_compile: bool = False,
        average: float | None = None,
        weight_noise: float = 0.0,
        replicas: Replicas | None = None,
    ) -> None:
        self.replicas = replicas = replicas or Replicas()
        self.rows = replicas.rows(batch)
        if jit_compile and replicas.count > 1:
            raise UserError("training.jit_compile is for one replica; leave it out with several")
        self.model = model
        self.optimizer = optimizer
        self.clip_norm = clip_norm
        self.average = average
        self.weight_noise = weight_noise
        self.whole: dict[str, tf.Variable] = {}
        self._is_spread = False
        with replicas.strategy.scope():
            self.noise_seed = keras.random.SeedGenerator() if weight_noise else None
            self.averages = [tf.Variable(v.value) for v in model.trainable_variables if average]
            self.carried = CarriedState(model, batch // replicas.count)
            optimizer.build(model.trainable_variables)
        if replicas.count > 1:
            # They are added up before, to be clipped; Keras would add up the sums once more.
            optimizer._all_reduce_sum_gradients = list
            # Of all rows, for checkpoints.
            self.whole = {
                name: tf.Variable(tf.zeros((batch, *v.shape[1:])))
                for name, v in self.carried.variables.items()
            }
        self.function = tf.function(self._replicated, autograph=False, jit_compile=jit_compile)

    def __call__(self, batch: dict[str, Any], learning_rate: float) -> tuple[Any, Any]:
        """Take a step on one batch.

        Args:
            batch: `x`, `y`, `reset` and `position` as `window_dataset` yields them, and `label`
                for a model that takes it; of several processes, the `rows` of this one.
            learning_rate: for this step.

        Returns:
            The mean loss of a sample (nats, or squared error) and the gradient's global norm,
            as tensors that may still be in the making.
        """
        self.optimizer.learning_rate.assign(learning_rate)
        batch = self.replicas.deal(batch)
        names = ("x", "y", "reset", "position", "label")
        loss, norm = self.function(**{name: batch[name] for name in names if name in batch})
        return self.replicas.one(loss), self.replicas.one(norm)

    def variables(self) -> dict[str, Any]:
        """All that training changes, by name: weights, random state, slots, averages, state.

        The state is that of all rows; of several replicas, as of the last `collect`.
        """
        named = {f"model/{i}": v for i, v in enumerate(self.model.variables)}
        named |= {f"optimizer/{i}": v for i, v in enumerate(self.optimizer.variables)}
        named |= {f"average/{i}": v for i, v in enumerate(self.averages)}
        if self.noise_seed:
            named["weight_noise"] = self.noise_seed.state
        states = self.whole or self.carried.variables
        return named | {f"state/{name}": v for name, v in states.items()}

    def collect(self) -> None:
        """Bring the state of all rows into `variables`; all processes at the same step.

        Before `spread`, `variables` hold it already.
        """
        if not self.whole or not self._is_spread:
            return
        carried = self.carried.variables
        gathered = self.replicas.gather([v.value for v in carried.values()])
        for name, value in zip(carried, gathered, strict=True):
            self.whole[name].assign(value)

    def spread(self) -> None:
        """Give each replica the state of its rows, and a random state of its own."""
        if not self.whole:
            return
        self._is_spread = True
        seeds = [v for v in self.model.variables if v.path.endswith("seed_generator_state")]

        def take() -> None:
            replica = tf.distribute.get_replica_context().replica_id_in_sync_group
            for name, variable in self.carried.variables.items():
                each = variable.shape[0]
                rows = self.whole[name][replica * each : (replica + 1) * each]
                variable.assign(tf.ensure_shape(rows, variable.shape))
            own = tf.stack([tf.cast(replica, tf.int64) * SEED_STRIDE, 0])
            for seed in seeds:
                seed.assign(seed.value + tf.cast(own, seed.dtype))

        tf.function(lambda: self.replicas.strategy.run(take))()

    def _replicated(self, **inputs: Any) -> tuple[Any, Any]:
        if self.replicas.count == 1:
            return self._step(**inputs)
        return self.replicas.strategy.run(self._step, kwargs=inputs)

    def _step(
        self, x: Any, y: Any, reset: Any, position: Any, label: Any = None
    ) -> tuple[Any, Any]:
        state = self.carried.read(reset, position, label)
        variables = self.model.trainable_variables
        learned = [tf.identity(v.value) for v in variables if self.weight_noise]
        for variable in variables if self.weight_noise else ():
            variable.assign_add(
                keras.random.normal(variable.shape, stddev=self.weight_noise, seed=self.noise_seed)
            )
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            for variable in variables:
                tape.watch(variable.value)
            prediction, state = self.model(x, state, training=True)
            loss = tf.reduce_mean(self.model.head.loss(prediction, self.model.target(x, y)))
        # Dense: the norm of a sparse gradient would count a row that it names twice as two rows.
        gradients = [
            tf.convert_to_tensor(g) for g in tape.gradient(loss, [v.value for v in variables])
        ]
        for variable, value in zip(variables, learned, strict=False):
            variable.assign(value)
        if self.replicas.count > 1:
            context = tf.distribute.get_replica_context()
            gradients, loss = context.all_reduce(tf.distribute.ReduceOp.MEAN, (gradients, loss))
        norm = tf.linalg.global_norm(gradients)
        if self.clip_norm:
            gradients, _ = tf.clip_by_global_norm(gradients, self.clip_norm, use_norm=norm)
        self.optimizer.apply(gradients, variables)
        self.carried.write(state)
        if self.average:
            # The first steps count for little, so that the random start is soon forgotten.
            n = tf.cast(self.optimizer.iterations, tf.float32)
            kept = tf.minimum(self.average, (n + 1.0) / (n + 10.0))
            for average, variable in zip(self.averages, variables, strict=True):
                average.assign_add((1.0 - kept) * (variable.value - average))
        return loss, norm

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """The model with its averaged weights, for as long as the block lasts."""
        learned = [tf.identity(v.value) for v in self.model.trainable_variables if self.average]
        pairs = list(zip(self.model.trainable_variables, self.averages, strict=False))
        for variable, average in pairs:
            variable.assign(average)
        try:
            yield
        finally:
            for (variable, _), value in zip(pairs, learned, strict=True):
                variable.assign(value)
