"""All measures of generated audio beside what the piece itself scores."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from keras_rawaudio.dsp.spectra import mono
from keras_rawaudio.errors import UserError
from keras_rawaudio.metrics.beat_strength import beat_by_window
from keras_rawaudio.metrics.cepstral import cepstra, cepstral_ratio, own_spread
from keras_rawaudio.metrics.collapse import verdict
from keras_rawaudio.metrics.health import health, shares
from keras_rawaudio.metrics.loops import closest_lap
from keras_rawaudio.metrics.pitch_persistence import held_notes
from keras_rawaudio.metrics.reference import COPIED_MARGIN, Reference
from keras_rawaudio.metrics.tonal_prominence import tone_by_frame, tone_by_window
from keras_rawaudio.metrics.train_set_similarity import STRETCH_SECONDS, Matches

TONELESS = 0.85  # of the piece's own tone


def measure(
    generated: np.ndarray, rate: int, reference: Reference, matches: Matches | None = None
) -> dict[str, Any]:
    """Every measure of one generated file, ready for `json.dumps`.

    Args:
        generated: mono `(n,)`, without its seed.
        rate: samples a second; must be the reference's.
        reference: the piece.
        matches: of this audio with `reference.source`, where they are known already.

    Returns:
        `seconds`; `tonal_db`, `tonal_db_by_10_s`, `piece_tonal_db`, `toneless_share` (10 s windows
        under 85 % of the piece's tone); `beat`, `beat_by_10_s`, `piece_beat`; `held_notes`,
        `piece_held_notes` (None for less than five seconds); `level_db`, `offset`,
        `clipped`, `flatness`, `change` of all of it; `dead_share`, `loud_share`, `noisy_share`,
        `stuck_share`, `offset_share`, `clipped_share` (of the seconds); `loop_difference`,
        `loop_seconds`, `piece_loop_difference`; `cepstral_ratio_by_third`, and
        `cepstral_ratio_of_piece`, which 90 % of the piece's own excerpts of that length stay under;
        `copied` (best match of any 2 s with the train part), `copied_at`, `copied_from` (seconds in
        the generated audio and in the train part), `copied_seconds` (covered by matches 0.05 better
        than held-out audio's best), `copied_by_heldout`, `copy` (the longest stretch that follows
        the train part at `copy_limit` or better: `seconds`, `start`, `source`; None without one);
        `verdict` in words, `collapsed_at`.

    Raises:
        UserError: another rate than the reference's, or bad audio.

    Example:
        >>> piece = np.random.default_rng(0).normal(size=80000).astype("float32") / 10
        >>> reference = Reference.from_segments([piece[:64000]], [piece[64000:]], 8000)
        >>> measure(piece[:32000], 8000, reference)["copied"] > 0.95
        True
    """
    if rate != reference.rate:
        raise UserError(f"audio at {rate} Hz cannot be measured against {reference.rate} Hz")
    audio, own = mono(generated), reference.figures
    tones, beats = tone_by_window(audio, rate), beat_by_window(audio, rate)
    seconds = health(audio, rate)
    loop_difference, loop_seconds = closest_lap(audio, rate)
    thirds = [cepstra(part, rate) for part in np.array_split(audio, 3) if len(part)]
    matches = matches or reference.source.matches(audio)
    copied, copied_at, copied_from = matches.best()
    heldout = own["copied_by_heldout"]
    copy = matches.longest_copy(reference.copy_limit)
    judged = verdict(audio, rate, reference)
    return {
        "seconds": len(audio) / rate,
        "tonal_db": float(tone_by_frame(audio, rate).mean()),
        "tonal_db_by_10_s": tones.tolist(),
        "piece_tonal_db": own["tonal_db"],
        "toneless_share": float((tones < TONELESS * own["tonal_db"]).mean()),
        "beat": float(beats.mean()),
        "beat_by_10_s": beats.tolist(),
        "piece_beat": own["beat"],
        "held_notes": held_notes(audio, rate),
        "piece_held_notes": own["held_notes"],
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
        "copied": copied,
        "copied_at": copied_at,
        "copied_from": copied_from,
        "copied_seconds": (
            None if heldout is None else matches.copied_seconds(heldout + COPIED_MARGIN)
        ),
        "copied_stretch_seconds": STRETCH_SECONDS,
        "copied_by_heldout": heldout,
        "copy": None if copy is None else asdict(copy),
        "verdict": str(judged),
        "collapsed_at": judged.start,
    }
