"""All measures of generated audio beside what the piece itself scores."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from keras_rawaudio.dsp.spectra import mono
from keras_rawaudio.errors import UserError
from keras_rawaudio.metrics.beat_strength import beat_strength_by_window
from keras_rawaudio.metrics.cepstral import cepstra, cepstral_ratio, own_spread
from keras_rawaudio.metrics.collapse import verdict
from keras_rawaudio.metrics.health import health, shares
from keras_rawaudio.metrics.loops import closest_lap
from keras_rawaudio.metrics.patch_index import Matches
from keras_rawaudio.metrics.pitch_persistence import pitch_persistence
from keras_rawaudio.metrics.reference import SIMILARITY_MARGIN, Reference
from keras_rawaudio.metrics.tonal_prominence import (
    tonal_prominence_by_frame,
    tonal_prominence_by_window,
)

TONELESS = 0.85  # of the piece's own tone


def measure(
    generated: np.ndarray, rate: int, reference: Reference, matches: Matches | None = None
) -> dict[str, Any]:
    """Every measure of one generated file, ready for `json.dumps`.

    Args:
        generated: mono `(n,)`, without its seed.
        rate: samples per second; must be the reference's.
        reference: the piece.
        matches: of this audio with `reference.train_set`, where they are known already.

    Returns:
        By name:

        - `seconds`, `level_db`, `offset`, `clipped`, `flatness`, `change`: of all of it.
        - `tonal_prominence_db`, `tonal_prominence_db_by_10_s`, `piece_tonal_prominence_db`;
          `toneless_share`: share of the 10 s windows under 85 % of the piece's prominence.
        - `beat_strength`, `beat_strength_by_10_s`, `piece_beat_strength`.
        - `pitch_persistence`, `piece_pitch_persistence`: None for less than 5.2 seconds.
        - `dead_share`, `loud_share`, `noisy_share`, `stuck_share`, `offset_share`,
          `clipped_share`: of the seconds.
        - `loop_difference`, `loop_seconds`, `piece_loop_difference`.
        - `cepstral_ratio_by_third`; `cepstral_ratio_of_piece`: 90 % of the piece's own excerpts of
          that length stay under it.
        - `train_set_similarity`: best match of any 2 s with the train part; `most_similar_start`
          and `most_similar_train_start`: where it is, in seconds.
        - `heldout_similarity`: what held-out audio reaches; `similar_seconds`: seconds of matches
          0.05 above that.
        - `longest_copy`: the longest excerpt that follows the train part at `copy_limit` or better
          (`seconds`, `start`, `source`), or None.
        - `verdict` in words, `collapsed_at`.

    Raises:
        UserError: another rate than the reference's, or bad audio.

    Example:
        >>> piece = np.random.default_rng(0).normal(size=80000).astype("float32") / 10
        >>> reference = Reference.from_segments([piece[:64000]], [piece[64000:]], 8000)
        >>> measure(piece[:32000], 8000, reference)["train_set_similarity"] > 0.95
        True
    """
    if rate != reference.rate:
        raise UserError(f"audio at {rate} Hz cannot be measured against {reference.rate} Hz")
    audio, own = mono(generated), reference.figures
    prominences, beats = (
        tonal_prominence_by_window(audio, rate),
        beat_strength_by_window(audio, rate),
    )
    seconds = health(audio, rate)
    loop_difference, loop_seconds = closest_lap(audio, rate)
    thirds = [cepstra(part, rate) for part in np.array_split(audio, 3) if len(part)]
    matches = matches or reference.train_set.matches(audio)
    similarity, similar_start, similar_train_start = matches.best()
    heldout = own["heldout_similarity"]
    copy = matches.longest_copy(reference.copy_limit)
    collapse = verdict(audio, rate, reference)
    return {
        "seconds": len(audio) / rate,
        "tonal_prominence_db": float(tonal_prominence_by_frame(audio, rate).mean()),
        "tonal_prominence_db_by_10_s": prominences.tolist(),
        "piece_tonal_prominence_db": own["tonal_prominence_db"],
        "toneless_share": float((prominences < TONELESS * own["tonal_prominence_db"]).mean()),
        "beat_strength": float(beats.mean()),
        "beat_strength_by_10_s": beats.tolist(),
        "piece_beat_strength": own["beat_strength"],
        "pitch_persistence": pitch_persistence(audio, rate),
        "piece_pitch_persistence": own["pitch_persistence"],
        "level_db": float(10 * np.log10(np.mean(np.square(audio, dtype=np.float64)) + 1e-12)),
        "offset": float(audio.mean(dtype=np.float64)),
        "clipped": float(seconds.clipped.mean()),
        "flatness": float(seconds.flatness.mean()),
        "change": float(seconds.change.mean()),
        **shares(seconds, own["thresholds"]),
        "loop_difference": loop_difference,
        "loop_seconds": loop_seconds,
        "piece_loop_difference": own["loop_difference"],
        "cepstral_ratio_by_third": [
            cepstral_ratio(third, reference.spectrum, own["cepstral_own"]) for third in thirds
        ],
        "cepstral_ratio_of_piece": own_spread(len(thirds[0]), own["cepstral_own"]),
        "train_set_similarity": similarity,
        "most_similar_start": similar_start,
        "most_similar_train_start": similar_train_start,
        "similar_seconds": (
            None if heldout is None else matches.similar_seconds(heldout + SIMILARITY_MARGIN)
        ),
        "heldout_similarity": heldout,
        "longest_copy": None if copy is None else asdict(copy),
        "verdict": str(collapse),
        "collapsed_at": collapse.start,
    }
