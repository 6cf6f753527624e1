"""A loop over time, cheap on every backend: short unrolled blocks inside `keras.ops.scan`."""

from collections.abc import Callable, Sequence
from typing import Any

from keras import ops

Tensors = tuple[Any, ...]

BLOCK = 16
"""Time steps unrolled in a block.

TensorFlow pays some 50 us for each turn of a while loop, and a long unrolled graph takes seconds to
build: 16 steps a turn was the best of 1, 8, 16, 32 and all, and builds in about a second.
"""


def scan_time(
    step: Callable[[Tensors, Tensors], Tensors],
    carry: Tensors,
    sequences: Sequence[Any],
    block: int = BLOCK,
) -> Tensors:
    """Run `step` along the first axis of `sequences` and keep every carry.

    Args:
        step: `step(carry, slices) -> carry`, tuples of tensors `(B, ...)`.
        carry: What the first step starts from.
        sequences: Tensors `(T, B, ...)`; step `t` sees slice `t` of each. Where `T` is not known
            while tracing, steps go one by one.
        block: Steps to unroll a turn.

    Returns:
        One tensor `(T, B, ...)` for each tensor of the carry: its value after each step.

    Example:
        >>> import numpy as np
        >>> (sums,) = scan_time(lambda c, x: (c[0] + x[0],), (np.zeros(1),), [np.ones((5, 1))], 2)
        >>> [float(value) for value in sums[:, 0]]
        [1.0, 2.0, 3.0, 4.0, 5.0]
    """
    length = sequences[0].shape[0]
    if length is None:
        # One index instead of the sequences themselves: `ops.scan` on TensorFlow takes no more than
        # one sequence of unknown length.
        def one_step(last: Tensors, index: Any) -> tuple[Tensors, Tensors]:
            results = step(last, tuple(ops.take(x, index, axis=0) for x in sequences))
            return results, results

        return ops.scan(one_step, tuple(carry), ops.arange(ops.shape(sequences[0])[0]))[1]

    block = min(block, length)
    turns = length // block

    def unrolled(carry: Tensors, slices: Sequence[Any], steps: int) -> Tensors:
        columns = [ops.unstack(x, steps, axis=0) for x in slices]
        kept = []
        for inputs in zip(*columns, strict=True):
            carry = step(carry, inputs)
            kept.append(carry)
        return tuple(ops.stack(values, axis=0) for values in zip(*kept, strict=True))

    if turns <= 1:
        pieces = [unrolled(carry, [x[:block] for x in sequences], block)]
    else:
        # The carry of a turn is its whole block of results: `ops.scan` on TensorFlow wants results
        # that have the carry's own shape.
        def turn(last: Tensors, slices: Tensors) -> tuple[Tensors, Tensors]:
            results = unrolled(tuple(x[-1] for x in last), slices, block)
            return results, results

        blocks = tuple(
            ops.reshape(x[: turns * block], (turns, block, *ops.shape(x)[1:])) for x in sequences
        )
        start = tuple(ops.repeat(x[None], block, axis=0) for x in carry)
        _, results = ops.scan(turn, start, blocks, length=turns)
        pieces = [tuple(ops.reshape(x, (turns * block, *ops.shape(x)[2:])) for x in results)]
    rest = length - turns * block
    if rest:
        last = tuple(x[-1] for x in pieces[0])
        pieces.append(unrolled(last, [x[turns * block :] for x in sequences], rest))
    if len(pieces) == 1:
        return pieces[0]
    return tuple(ops.concatenate(both, axis=0) for both in zip(*pieces, strict=True))
