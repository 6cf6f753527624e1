"""The numbers that a generator draws its samples with."""

import numpy as np


class Noise:
    """One independent, repeatable sequence of uniform numbers per stream.

    Stream `i` depends on `(random_seed, i)` alone, not on how many streams there are, and is drawn
    in order: one long call and many short ones give the same numbers.

    Args:
        random_seed: any integer >= 0.
        streams: how many sequences.

    Example:
        >>> long, short = Noise(7, 2), Noise(7, 2)
        >>> parts = [short.draw(n, 1) for n in (3, 1, 6)]
        >>> bool((long.draw(10, 1) == np.concatenate(parts, axis=1)).all())
        True
    """

    def __init__(self, random_seed: int, streams: int) -> None:
        self._generators = [
            np.random.Generator(np.random.PCG64(np.random.SeedSequence([random_seed, stream])))
            for stream in range(streams)
        ]

    def draw(self, samples: int, per_sample: int) -> np.ndarray:
        """Returns float32 (streams, samples, per_sample) in [0, 1), 1 never reached."""
        out = np.empty((len(self._generators), samples, per_sample), np.float32)
        for generator, row in zip(self._generators, out, strict=True):
            # 24 random bits times 2**-24: exact in float32, so it cannot round up to 1.
            generator.random(out=row, dtype=np.float32)
        return out
