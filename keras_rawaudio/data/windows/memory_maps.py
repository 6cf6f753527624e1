"""Memory maps of prepared audio: as one array for TensorFlow, and pages given back."""

from __future__ import annotations

import mmap
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
MAP_NORESERVE = 0x4000  # of Linux; `mmap` has it from Python 3.13 on


def join_segments(segments: Sequence[Array]) -> tuple[Array, Array, mmap.mmap | None]:
    """Join segments without a copy, where they are views of one memory map.

    Args:
        segments: int16, each `(n,)` or `(n, channels)`.

    Returns:
        All samples as one array, where in it each segment begins (its first sample), and the map
        that the array is, if any.

    Example:
        >>> joined, begins, mapped = join_segments([np.int16([1, 2]), np.int16([3])])
        >>> joined.tolist(), begins.tolist(), mapped
        ([1, 2, 3], [0, 2], None)
    """
    one, maps = segments[0], maps_of(segments)
    path = getattr(one, "filename", None)
    if len(maps) != 1 or path is None or getattr(one, "offset", None) != 0:
        ends = np.cumsum([len(segment) for segment in segments])
        return np.concatenate(segments), np.append(0, ends[:-1]), None
    private = _private_map(path, len(maps[0]))
    begin = np.frombuffer(maps[0], np.uint8).ctypes.data
    whole = np.frombuffer(private, one.dtype).reshape(-1, *one.shape[1:])
    return whole, np.array([(s.ctypes.data - begin) // whole.strides[0] for s in segments]), private


def _private_map(path: str, size: int) -> mmap.mmap:
    """A map of a file that TensorFlow takes as it is, because it may be written to.

    Nothing is written, and nothing would reach the file. So Linux need not set memory aside for it,
    which a file larger than memory would not get.
    """
    options = {"access": mmap.ACCESS_COPY}
    if sys.platform.startswith("linux"):
        flags, access = mmap.MAP_PRIVATE | MAP_NORESERVE, mmap.PROT_READ | mmap.PROT_WRITE
        options = {"flags": flags, "prot": access}
    with open(path, "rb") as file:
        return mmap.mmap(file.fileno(), size, **options)


def maps_of(segments: Sequence[Array]) -> list[mmap.mmap]:
    """The memory maps that segments lie in."""
    maps = (getattr(segment, "_mmap", None) for segment in segments)
    return list({id(each): each for each in maps if each is not None}.values())


def release_pages(maps: Sequence[mmap.mmap]) -> None:
    """Give back the pages that were read; the next read finds them in the cache."""
    for each in maps if hasattr(mmap, "MADV_DONTNEED") else ():
        each.madvise(mmap.MADV_DONTNEED)
