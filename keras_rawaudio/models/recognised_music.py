"""Which label a model recognises in what it reads: naive Bayes over codes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from keras import ops

from keras_rawaudio.models.controls import MUSIC
from keras_rawaudio.models.spectral_codec import CODES

EVIDENCE = "evidence"  # the state that holds how likely each label makes the codes that were read


def code_counts(
    rows: Sequence[np.ndarray], labels: Sequence[int], shape: tuple[int, int, int]
) -> np.ndarray:
    """How often each label has each code.

    Args:
        rows: codes of the train part, from 1, one band after the other.
        labels: of each row.
        shape: labels, bands, codebook size.

    Returns:
        Array of that shape, float64.

    Example:
        >>> code_counts([np.array([1, 1])], [0], (1, 1, 2)).tolist()
        [[[2.0, 0.0]]]
    """
    counts = np.zeros(shape)
    for row, label in zip(rows, labels, strict=True):
        for band, codes in enumerate(row.reshape(-1, shape[1]).T - 1):
            counts[label, band] += np.bincount(codes, minlength=shape[2])
    return counts


def log_code_frequencies(
    rows: Sequence[np.ndarray], labels: Sequence[int], shape: tuple[int, int, int]
) -> np.ndarray:
    """Logarithms of each label's code frequencies; each code counts once more than it is there.

    Args:
        rows, labels, shape: as of `code_counts`.

    Returns:
        Array of that shape.

    Example:
        >>> frequencies = np.exp(log_code_frequencies([np.array([1, 1])], [0], (1, 1, 2)))
        >>> frequencies.round(2).tolist()
        [[[0.75, 0.25]]]
    """
    counts = code_counts(rows, labels, shape) + 1
    logarithms: np.ndarray = np.log(counts / counts.sum(axis=2, keepdims=True))
    return logarithms


def with_evidence(state: dict[str, Any], log_frequencies: Any, drawn: Any) -> dict[str, Any]:
    """The state, with the block before it as evidence of its label, where it was read.

    Args:
        state: of a generator; without `EVIDENCE` it stays what it is.
        log_frequencies: `(labels, bands, codebook_size)`.
        drawn: 1 where the next block is drawn, so that the one before is taken for drawn, too.

    Returns:
        The state; `EVIDENCE` `(B, labels)` holds sums of log frequencies.
    """
    if EVIDENCE not in state:
        return state
    codes = state[CODES]
    evidence = state[EVIDENCE]
    read = ops.where(codes[:, :1] >= 0, 1.0 - drawn, 0.0)
    for band in range(codes.shape[1]):
        code = ops.maximum(ops.cast(codes[:, band], "int32"), 0)
        evidence += read * ops.take(ops.transpose(log_frequencies[:, band]), code, axis=0)
    return {**state, EVIDENCE: evidence}


def recognised(state: dict[str, Any]) -> dict[str, Any]:
    """Weights of the labels: those that are set, else their probabilities by what was read.

    Args:
        state: of a generator.

    Returns:
        `MUSIC` `(B, labels)`; nothing for a state without `EVIDENCE`.

    Example:
        >>> state = {EVIDENCE: ops.log([[3.0, 1.0]]), MUSIC: ops.zeros((1, 2))}
        >>> recognised(state)[MUSIC].numpy().round(2).tolist()
        [[0.75, 0.25]]
    """
    if EVIDENCE not in state:
        return {}
    evidence, music = state[EVIDENCE], state[MUSIC]
    free = ops.logical_and(ops.all(music == 0, axis=1), ops.any(evidence != 0, axis=1))
    return {MUSIC: ops.where(free[:, None], ops.softmax(evidence), music)}
