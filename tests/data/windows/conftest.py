"""What tests of windows share: an epoch as a list, and integer ramps as audio."""

import numpy as np

SILENCE = 7  # the code of zero audio is not zero, as in mu-law


def batches(plan, epoch=0, skip=0):
    """An epoch as a list of rows of (segment, offset, reset)."""
    return [
        list(zip(s.tolist(), o.tolist(), r.tolist(), strict=True))
        for block in plan.epoch(epoch, skip)
        for s, o, r, _ in zip(*block, strict=True)
    ]


def codes(audio):
    """Code = sample + 7."""
    return np.asarray(np.rint(audio * 32768), np.int32) + SILENCE


def ramps(lengths):
    """Segment s counts 1000 (s + 1), 1000 (s + 1) + 1, ..."""
    return [np.arange(n, dtype=np.int16) + np.int16(1000 * (s + 1)) for s, n in enumerate(lengths)]
