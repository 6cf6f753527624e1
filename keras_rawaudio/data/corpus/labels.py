"""Which music a file is: a name for each file of a corpus, or for each folder among several."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Sequence
from itertools import takewhile
from pathlib import PurePath

MOST = 64  # labels; a corpus of more has none


def label_files(paths: Sequence[str]) -> tuple[list[str], list[int]]:
    """Name what a corpus is made of, by what lies in the deepest folder that holds all files.

    A file there is a label of its own, named without its suffix. The files of a folder there share
    the folder's name. Commas and equals signs become underscores; a name that is there already
    gets one more.

    Args:
        paths: or addresses, with slashes.

    Returns:
        The names, and for each path the index of its name. Nothing where there is one file alone,
        or more labels than 64.

    Example:
        >>> label_files(["/a/night/1.wav", "/a/night/2.wav", "/a/day.wav"])
        (['night', 'day'], [0, 0, 1])
        >>> label_files(["/a/night.wav"])
        ([], [])
    """
    parts = [PurePath(path).parts for path in paths]
    folders = [part[:-1] for part in parts]
    common = sum(1 for _ in takewhile(lambda names: len(set(names)) == 1, zip(*folders)))  # noqa: B905
    keys = list(dict.fromkeys(part[common] for part in parts))
    if not 1 < len(keys) <= MOST:
        return [], []
    shared = {part[common] for part in parts if len(part) > common + 1}
    stems = [key if key in shared else PurePath(key).stem for key in keys]
    counts = Counter(stems)
    names: list[str] = []
    for key, stem in zip(keys, stems, strict=True):
        # One form of accented letters, as keyboards give it: file systems have two.
        name = unicodedata.normalize("NFC", key if counts[stem] > 1 else stem)
        name = name.replace(",", "_").replace("=", "_")
        while name in names:
            name += "_"
        names.append(name)
    return names, [keys.index(part[common]) for part in parts]
