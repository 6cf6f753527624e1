"""The replicas of a training: several GPUs of one process, and several processes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import tensorflow as tf
from keras import ops
from keras.backend import standardize_dtype

from keras_rawaudio.errors import UserError
from keras_rawaudio.training.workers import refuse_remainder

# Of the first number of a random state: replicas this far apart draw different noise.
SEED_STRIDE = 0x9E3779B1
NUMBERS = 5  # that `from_chief` takes
# What a collective operation raises when a process of the others is gone.
LOST = (
    *(tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.InternalError),
    *(tf.errors.CancelledError, tf.errors.DeadlineExceededError, tf.errors.UnknownError),
)


class Replicas:
    """Divides the rows of a batch over the replicas of a `tf.distribute` strategy.

    Replica `r` of `R` reads rows `r * B / R` up to `(r + 1) * B / R`, in every batch, so that the
    state of a row stays where the row is read.

    Args:
        strategy: `MirroredStrategy`, `MultiWorkerMirroredStrategy`, or one replica (None).

    Attributes:
        strategy: the strategy.
        count: replicas of all processes, R.
        workers: processes.
        first: the first replica of this process.
        local: how many it has.
        chief: whether this process is the one that writes.

    Example:
        >>> replicas = Replicas()
        >>> replicas.rows(8), replicas.chief
        (slice(0, 8, None), True)

    Reference:
        Dean et al. 2012, "Large scale distributed deep networks" (synchronous data parallelism is
        its simplest case).
    """

    def __init__(self, strategy: tf.distribute.Strategy | None = None) -> None:
        self.strategy = strategy or tf.distribute.get_strategy()
        self.count: int = self.strategy.num_replicas_in_sync
        resolver = self.strategy.cluster_resolver
        cluster = resolver.cluster_spec().as_dict() if resolver else {}
        self.workers = max(
            1, sum(len(cluster[kind]) for kind in ("chief", "worker") & cluster.keys())
        )
        self.local = self.count // self.workers
        number = resolver.task_id or 0 if self.workers > 1 else 0
        if resolver and resolver.task_type == "worker":
            number += len(cluster.get("chief", ()))
        self.first = number * self.local
        self.chief = self.first == 0

        def total(value: Any) -> Any:
            # An argument has no device, which the reduction asks for; its copy has.
            return tf.distribute.get_replica_context().all_reduce("SUM", tf.identity(value))

        def gather(values: Any) -> Any:
            own = [tf.identity(value) for value in values]
            return tf.distribute.get_replica_context().all_gather(own, axis=0)

        run = self.strategy.run
        self._sum = tf.function(lambda value: run(total, (value,)), autograph=False)
        self._gather = tf.function(lambda values: run(gather, (values,)), autograph=False)

    def rows(self, batch: int) -> slice:
        """The rows of a batch that this process reads.

        Raises:
            UserError: the replicas do not divide the batch.
        """
        refuse_remainder(batch, self.count)
        each = batch // self.count
        return slice(self.first * each, (self.first + self.local) * each)

    def deal(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        """The rows of this process, dealt to its replicas."""
        if self.local == 1:
            return dict(batch)
        each = len(batch["reset"]) // self.local

        def share(name: str) -> Any:
            def own(context: Any) -> Any:
                first = (context.replica_id_in_sync_group - self.first) * each
                return batch[name][first : first + each]

            return self.strategy.experimental_distribute_values_from_function(own)

        return {name: share(name) for name in batch}

    def one(self, value: Any) -> Any:
        """The value of this process' first replica."""
        return self.strategy.experimental_local_results(value)[0]

    def from_chief(self, values: Sequence[float]) -> list[float]:
        """The chief's numbers, up to `NUMBERS` of them, in every process."""
        if self.workers == 1:
            return list(values)
        mine = values if self.chief else [0.0] * len(values)
        return [float(v) for v in self._total(self._padded(mine))[: len(values)]]

    def any(self, flag: bool) -> bool:
        """Whether the flag is up in any process."""
        if self.workers == 1:
            return flag
        return bool(self._total(self._padded([flag]))[0] > 0)

    def gather(self, variables: list[Any]) -> list[Any]:
        """The values of all replicas' variables, one after the other by their first axis."""
        return [self.one(value) for value in self._gather(variables)]

    def share(self, variables: Iterable[Any]) -> None:
        """Give every process the values that the chief's variables have."""
        if self.workers == 1:
            return
        variables = list(variables)
        # In 64 bits, which hold whatever a variable does.
        values = [ops.convert_to_numpy(v).astype(np.float64).ravel() for v in variables]
        whole = np.concatenate(values)
        whole = self._total(whole if self.chief else np.zeros_like(whole))
        ends = np.cumsum([len(v) for v in values])[:-1]
        for variable, value in zip(variables, np.split(whole, ends), strict=True):
            dtype = standardize_dtype(variable.dtype)
            variable.assign(value.reshape(variable.shape).astype(dtype))

    @contextmanager
    def complete(self) -> Iterator[None]:
        """A block that ends in one line where a process of the others is gone.

        Raises:
            UserError: one is.
        """
        try:
            yield
        except LOST as error:
            if self.workers == 1:
                raise
            reason = str(error.message).partition("\n")[0]
            raise UserError(
                f"another worker is gone ({reason}); start all of them again with --resume"
            ) from None

    def _padded(self, values: Sequence[float]) -> Any:
        """Numbers in a vector whose length is always the same, so that nothing is traced anew."""
        return np.pad(np.asarray(values, np.float64), (0, NUMBERS - len(values)))

    def _total(self, values: Any) -> Any:
        """The sum over processes of a vector of 64-bit floats."""
        own, nothing = tf.constant(values), tf.zeros(len(values), tf.float64)
        parts = self.strategy.experimental_distribute_values_from_function(
            lambda context: own if context.replica_id_in_sync_group == self.first else nothing
        )
        return self.one(self._sum(parts)).numpy()
