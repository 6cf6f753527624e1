"""Leakage: does the seed, or what really follows it, sound again in what was generated from it?"""

from __future__ import annotations

import numpy as np

from keras_rawaudio.dsp.spectra import mono

STRETCH_SECONDS = 0.5
EVERY_SECONDS = 0.125
BLOCK_SECONDS = 0.02  # what a shuffle leaves whole: a tone keeps its pitch, and loses its phase
LONGEST_SEED = 2.0  # seconds looked at: the end of a longer seed, the begin of what follows
LONGEST_AUDIO = 20.0
QUIET = 0.03  # stretches under this share of the seed's RMS say nothing
LEAKING = 0.95


def leakage(
    generated: np.ndarray,
    seed: np.ndarray,
    continuation: np.ndarray,
    rate: int,
    random_seed: int = 0,
) -> dict[str, float | bool]:
    """Best match of half a second of the seed, sample by sample, with what came of it.

    Formula: Pearson's correlation between 0.5 s of the seed (every 0.125 s of its last 2 s) and
    each place in the first 20 s of the generated audio; the greatest. Likewise for what really
    follows the seed in its file. Beside them what is no leak: the seed with its 20 ms blocks
    shuffled (the same sounds, by chance), and how well the seed matches what really follows it
    (held notes go on).

    Known answers: 1 for a seed that is in the output, or that is followed by its true continuation;
    about 0.1 for noise (8 kHz).

    How it fails: in music of steady tones everything matches everything, so no leak is found; where
    nothing is known to follow the seed, such a tone that goes on is called a leak; audio at another
    speed or pitch is missed, and so is a copy that was redrawn in another phase
    (`train_set_similarity` looks at spectra and finds that).

    Reference:
        Lewis, "Fast Normalized Cross-Correlation", 1995.

    Args:
        generated: mono `(n,)`, without its seed.
        seed: mono `(m,)`, what it went on from.
        continuation: mono `(k,)`, what follows the seed in its file; may be empty.
        rate: samples per second, of all three.
        random_seed: of the shuffle.

    Returns:
        `seed`, `continuation`, `shuffled_seed`, `seed_in_continuation`: correlations; `leaks`:
        whether one of the first two is over 0.95, and over half-way from the last two to 1.

    Example:
        >>> noise = np.random.default_rng(0).normal(size=24000) / 10
        >>> found = leakage(noise[8000:], noise[:8000], noise[8000:16000], 8000)
        >>> round(found["continuation"], 3), found["seed"] < 0.2, found["leaks"]
        (1.0, True, True)
    """
    audio = mono(generated)[: round(LONGEST_AUDIO * rate)]
    longest = round(LONGEST_SEED * rate)
    seed = mono(seed)[-longest:]
    follows = mono(continuation)[:longest] if len(continuation) else np.zeros(0, np.float32)
    block = max(1, round(BLOCK_SECONDS * rate))
    blocks = seed[: len(seed) // block * block].reshape(-1, block)
    shuffled = np.random.default_rng(random_seed).permutation(blocks).ravel()
    quiet = QUIET * float(np.sqrt(np.mean(np.square(seed))))
    found = {
        "seed": _best_match(audio, seed, rate, quiet),
        "continuation": _best_match(audio, follows, rate, quiet),
        "shuffled_seed": _best_match(audio, shuffled, rate, quiet),
        "seed_in_continuation": _best_match(follows, seed, rate, quiet),
    }
    no_leak = max(found["shuffled_seed"], found["seed_in_continuation"])
    best = max(found["seed"], found["continuation"])
    return {**found, "leaks": best > max(LEAKING, (1 + no_leak) / 2)}


def _best_match(audio: np.ndarray, part: np.ndarray, rate: int, quiet: float) -> float:
    """The greatest correlation of any stretch of `part` with any place in `audio`; 0 without."""
    from scipy.signal import fftconvolve

    length = round(STRETCH_SECONDS * rate)
    if min(len(audio), len(part)) < length:
        return 0.0
    audio = audio.astype(np.float64)
    sums = np.cumsum(np.concatenate([[0.0], audio]))
    squares = np.cumsum(np.concatenate([[0.0], audio**2]))
    means = (sums[length:] - sums[:-length]) / length
    norms = np.sqrt(np.maximum((squares[length:] - squares[:-length]) - length * means**2, 0))
    norms = np.maximum(norms, max(quiet, 1e-9) * np.sqrt(length))
    best = 0.0
    for start in range(0, len(part) - length + 1, round(EVERY_SECONDS * rate)):
        stretch = part[start : start + length].astype(np.float64)
        stretch -= stretch.mean()
        norm = float(np.linalg.norm(stretch))
        if norm <= quiet * np.sqrt(length):
            continue
        products = fftconvolve(audio, stretch[::-1], mode="valid")
        best = max(best, float((products / norms).max() / norm))
    return min(best, 1.0)
