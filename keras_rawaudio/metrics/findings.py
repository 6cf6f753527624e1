"""Findings: all that is wrong with a generated audio, in words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

HEALTHY = "healthy"
WORTH_REPORTING = 0.1  # of the seconds


def clock(seconds: float) -> str:
    """A place in a recording as people write it.

    Example:
        >>> clock(201.4)
        '3:21'
    """
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def findings(
    measured: Mapping[str, Any],
    leak: Mapping[str, Any] | None = None,
    place: Callable[[float], str] | None = None,
) -> list[str]:
    """Collapse, a copy of the train part, a seed that leaks, clipping, an offset: one phrase each.

    How it fails: see each measure; "healthy" means no more than that none of these was found.

    Args:
        measured: from `measure.measure`.
        leak: from `leakage.leakage`, where there was a seed.
        place: says where a second of the train part lies; `None`: "3:21 of the source".

    Returns:
        `["healthy"]` when there is nothing to say.

    Example:
        >>> copy = {"seconds": 12.0, "start": 1.0, "source": 201.0}
        >>> figures = {"verdict": "healthy", "clipped_share": 0, "offset_share": 0}
        >>> findings({**figures, "longest_copy": copy}, {"leaks": True})
        ['12 s copied from 3:21 of the source', 'the seed leaks']
    """
    found = [] if measured["verdict"] == HEALTHY else [measured["verdict"]]
    if copy := measured["longest_copy"]:
        where = place(copy["source"]) if place else f"{clock(copy['source'])} of the source"
        found.append(f"{copy['seconds']:.0f} s copied from {where}")
    if leak and leak["leaks"]:
        found.append("the seed leaks")
    if (share := measured["clipped_share"]) > WORTH_REPORTING:
        found.append(f"clipped in {share:.0%} of its seconds")
    if (share := measured["offset_share"]) > WORTH_REPORTING:
        found.append(f"off centre (DC) in {share:.0%} of its seconds")
    return found or [HEALTHY]
