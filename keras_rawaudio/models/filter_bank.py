"""Several linear predictions at once, and how well each has done of late."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_rawaudio.listening.filter_bank import fit_filter_bank

# Samples after which an error counts for a third, in each of the memories of errors.
MEMORIES = (128.0, 1024.0, 8192.0)
TRUST = 4.0  # nats of likelihood for which a filter's weight grows threefold
FLOOR = 1e-4  # least scale of errors, relative to the peak
# Errors count up to so many times their scale: the first sound after silence is not all there is.
WORST = 30.0

State = list[Any]


@keras.saving.register_keras_serializable("keras_rawaudio")
class FilterBank(keras.layers.Layer):
    """Linear predictions by filters fitted on the train part (`fit`) and then left alone.

    Each filter keeps account of its errors: the cost of a short `frame` is what a Laplace
    distribution, as wide as the errors of the two frames before, makes of its errors (of `WORST`
    times that width at most), and three memories of these costs fade at different speeds. The
    shortest says which filters to trust now. All of this depends on past audio alone, so it is
    computed for a whole window at once in training, and moved on frame by frame in generation
    (`hear`).

    Args:
        filters: how many; the first predicts the whole piece.
        order: past samples that each sees, a multiple of `frame`.
        frame: samples that are predicted, and heard, together.

    Example:
        >>> bank = FilterBank(filters=4, order=32)
        >>> bank.build_weights()
        >>> x = keras.ops.zeros((2, bank.context + 80))
        >>> errors, costs, state = bank.hear(x, bank.zero_state(2))
        >>> [tuple(t.shape) for t in (errors, costs)]
        [(2, 96, 4), (2, 10, 12)]

    Reference:
        Willems 1998, "The context-tree weighting method: extensions" (predictors weighted by their
        past likelihood); Herbster and Warmuth 1998, "Tracking the best expert".
    """

    def __init__(self, filters: int = 32, order: int = 256, frame: int = 8, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if filters < 1 or order < frame or order % frame:
            raise ValueError(
                f"a filter bank needs filters >= 1 and an order that is a multiple of {frame}; "
                f"these are {filters} and {order}"
            )
        self.filters = filters
        self.order = order
        self.frame = frame
        self.remembered = 2 * frame
        self.context = order
        self.fading = np.exp(-frame / np.array(MEMORIES)).astype("float32")
        # By what costs are multiplied to judge: trust, and how far from the mean the filters are.
        each, rates = np.eye(filters), 4.0 / np.array(MEMORIES[1:])
        judging = np.zeros((len(MEMORIES) * filters,) * 2, "float32")
        judging[:filters, :filters] = -each / TRUST
        judging[filters:, filters:] = np.kron(np.diag(rates), 1.0 / filters - each)
        self.judging = judging

    def build_weights(self) -> None:
        """Make the weights; before `fit`, every filter gives the last sample again."""
        F, P, K = self.frame, self.order, self.filters
        self.before = self.add_weight(
            shape=(P, F * K), initializer="zeros", trainable=False, name="before"
        )
        self.within = self.add_weight(
            shape=(F, F * K), initializer="zeros", trainable=False, name="within"
        )
        self.built = True
        self.set_filters(np.tile(np.eye(1, P), (K, 1)))

    def set_filters(self, coefficients: np.ndarray) -> None:
        """Take filters `(K, order)`, newest sample first.

        They are kept as what they make of a frame: of the samples before it, and of those in it.
        """
        F, P = self.frame, self.order
        table = np.zeros((P + F, F, self.filters), "float32")
        for i in range(F):
            table[i : i + P, i] = coefficients[:, ::-1].T
        rows = table.reshape(P + F, -1)
        self.before.assign(rows[:P])
        self.within.assign(rows[P:])

    def fit(self, segments: Sequence[np.ndarray]) -> None:
        """Fit the filters to `segments` of the train part."""
        self.set_filters(fit_filter_bank(segments, self.order, self.filters))

    def state_spec(self) -> list[tuple[str, tuple[int, ...]]]:
        """Errors of the last two frames, memories of costs, predictions of the frame to hear."""
        K = self.filters
        return [
            ("errors", (self.remembered * K,)),
            ("costs", (len(MEMORIES) * K,)),
            ("predictions", (self.frame * K,)),
        ]

    def zero_state(self, batch: Any) -> State:
        """The state of fresh streams."""
        return [ops.zeros((batch, *shape)) for _, shape in self.state_spec()]

    def predict(self, x: Any) -> Any:
        """Every sample of `x (B, order + n)` after the first `order`: `(B, n, K)`.

        `n` is a multiple of the frame.
        """
        F, P, K = self.frame, self.order, self.filters
        T = (x.shape[1] - P) // F
        pieces = ops.reshape(x, (-1, T + P // F, F))
        seen = ops.concatenate([pieces[:, k : k + T] for k in range(P // F + 1)], axis=-1)
        table = ops.concatenate([self.before, self.within], axis=0)
        return ops.reshape(ops.matmul(seen, table), (-1, T * F, K))

    def ahead(self, x: Any) -> Any:
        """The next frame as far as `x (B, order)` says: `(B, frame * K)`."""
        return ops.matmul(x, self.before)

    def hear(self, x: Any, state: State) -> tuple[Any, Any, State]:
        """Take account of `T` frames.

        Args:
            x: `(B, order + T * frame)`, the frames with what was before them.
            state: as `state_spec` says; its predictions are not needed.

        Returns:
            Errors `(B, (T + 2) * frame, K)`, the first two frames from the state; memories of costs
            after each frame, `(B, T, 3 * K)`; and the state, with predictions that are still zero.
        """
        F, K = self.frame, self.filters
        errors = x[:, self.order :, None] - self.predict(x)
        errors = ops.concatenate([ops.reshape(state[0], (-1, 2 * F, K)), errors], axis=1)
        T = errors.shape[1] // F - 2
        sizes = ops.mean(ops.abs(ops.reshape(errors, (-1, T + 2, F, K))), axis=2)
        scale = 0.5 * (sizes[:, :-2] + sizes[:, 1:-1]) + FLOOR
        cost = F * (ops.log(scale) + ops.minimum(sizes[:, 2:] / scale, WORST))
        ages = np.arange(T)[:, None] - np.arange(T)
        kept = np.where(ages >= 0, self.fading[:, None, None] ** np.maximum(ages, 0), 0.0)
        faded = self.fading ** np.arange(1, T + 1)[:, None]
        costs = ops.einsum("stu,buk->btsk", kept.astype("float32"), cost)
        before = ops.reshape(state[1], (-1, 1, len(MEMORIES), K))
        costs = costs + faded[:, :, None].astype("float32") * before
        costs = ops.reshape(costs, (-1, T, len(MEMORIES) * K))
        after = [
            ops.reshape(errors[:, -2 * F :], (-1, 2 * F * K)),
            costs[:, -1],
            ops.zeros_like(state[2]),
        ]
        return errors, costs, after

    def hear_frame(self, frame: Any, state: State) -> tuple[Any, Any]:
        """The same for one frame `(B, frame)`, whose predictions are in the state.

        Returns:
            Errors `(B, 2 * frame * K)` and memories of costs `(B, 3 * K)`.
        """
        F, K = self.frame, self.filters
        each = np.eye(K, dtype="float32")
        before, costs, predictions = state
        # Rows of numbers and constant matrices: each operation more would cost time in generation.
        samples = np.repeat(np.eye(F, dtype="float32"), K, axis=1)
        errors = ops.matmul(frame, ops.subtract(samples, self.within)) - predictions
        scale = ops.matmul(ops.abs(before), np.tile(each, (2 * F, 1)) / (2 * F))
        scale = scale + np.full(K, FLOOR, "float32")
        size = ops.matmul(ops.abs(errors), np.tile(each, (F, 1)) / F)
        cost = ops.log(scale) + ops.minimum(size / scale, np.full(K, WORST, "float32"))
        memories = np.tile(F * each, (1, len(MEMORIES)))
        costs = ops.matmul(cost, memories) + np.repeat(self.fading, K) * costs
        return ops.concatenate([before[:, F * K :], errors], axis=1), costs

    def judge(self, costs: Any) -> tuple[Any, Any]:
        """From memories `(..., 3 * K)`: logits of trust `(..., K)`, and how the longer memories see
        the filters, `(..., 2 * K)`, about one wide."""
        trust, long = ops.split(ops.matmul(costs, self.judging), [self.filters], axis=-1)
        return trust, long

    def mix(self, ahead: Any, weights: Any, offset: Any) -> Any:
        """A frame by weighted filters, each sample of which enters the next one's prediction.

        Args:
            ahead: `(B, frame * K)`, as the function of that name gives it.
            weights: `(B, K)`, sum to one.
            offset: `(B, frame)`: how far each sample lies from its prediction.

        Returns:
            `(B, frame)`: the solution `x` of `x = ahead + within x + offset`.
        """
        F, K = self.frame, self.filters
        given = ops.matmul(ops.reshape(ahead, (-1, F, K)), ops.expand_dims(weights, -1))
        given = ops.squeeze(given, -1) + offset
        # Rows `(x, 1)` times this matrix are `(within x + given, 1)`. Its part for `within` comes
        # from each filter, with a last 1 that weights, which sum to one, leave as it is.
        own = ops.transpose(ops.reshape(self.within, (F, F, K)), (2, 0, 1))
        own = ops.pad(own, ((0, 0), (0, 1), (0, 1)))
        own = ops.reshape(own, (K, -1)) + np.eye(1, (F + 1) ** 2, (F + 1) ** 2 - 1, dtype="float32")
        last_row = np.eye(F, (F + 1) ** 2, F * (F + 1), dtype="float32")
        step = ops.reshape(
            ops.matmul(given, last_row) + ops.matmul(weights, own), (-1, F + 1, F + 1)
        )
        # Nothing in a frame reaches beyond it: after as many steps as it has samples `x` stays.
        for _ in range(math.ceil(math.log2(F))):
            step = ops.matmul(step, step)
        return step[:, -1, :F]

    def get_config(self) -> dict[str, Any]:
        own = {"filters": self.filters, "order": self.order, "frame": self.frame}
        return {**super().get_config(), **own}
