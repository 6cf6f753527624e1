"""Controls over time, from the command line or from a file."""

import csv
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from .errors import ServingError
from .sampler import Sampler

LARGEST = 1 << 24  # bytes of a file of curves


class ControlCurves:
    """Values of controls as functions of time: straight between points, level beyond them.

    Args:
        points: for each control its points `(seconds, value)`, in order of time.

    Example:
        >>> curves = ControlCurves({"tempo": [(0.0, 1.0), (10.0, 2.0)]})
        >>> curves.at(5.0)
        {'tempo': 1.5}
    """

    def __init__(self, points: dict[str, list[tuple[float, float]]]) -> None:
        self.points = points
        self._curves = {name: np.array(curve, float).T for name, curve in points.items()}

    def at(self, seconds: float) -> dict[str, float]:
        """The value of each control at a time."""
        return {name: float(np.interp(seconds, *curve)) for name, curve in self._curves.items()}

    def check(self, sampler: Sampler) -> None:
        """Every point, before any audio is made.

        Raises:
            ServingError: no such control, or a value out of its range.
        """
        for name, points in self.points.items():
            for seconds, value in points:
                try:
                    sampler.check_control(name, [value])
                except ServingError as error:
                    where = f"curves, at {seconds:g} s: " if len(points) > 1 else ""
                    raise ServingError(f"{where}{error}") from None

    def apply(self, sampler: Sampler, seconds: float) -> None:
        """Turn the sampler's controls to their values at a time."""
        for name, value in self.at(seconds).items():
            sampler.set_control(name, [value])


def read_curves(
    words: Sequence[str], file: str | None, temperature: object = None
) -> ControlCurves:
    """Curves from `NAME=VALUE` words and from a file, which goes first.

    A JSON file holds `{"tempo": [[0, 1.0], [30, 2.0]]}`, seconds and values. A CSV file begins with
    `seconds,tempo,level`, and has a line for each time; an empty cell is no point.

    Args:
        words: constant values.
        file: `.json` or `.csv`, or None.
        temperature: what `--temperature` gives, which a control may not give again; or None.

    Raises:
        ServingError: a word or a file that says something else, or the temperature given twice.

    Example:
        >>> read_curves(["tempo=1.2"], None).at(0)
        {'tempo': 1.2}
    """
    points: dict[str, list[tuple[float, float]]] = _read(Path(file)) if file else {}
    constant: dict[str, list[tuple[float, float]]] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not name:
            raise ServingError(f"--control {word:.60}: give NAME=VALUE, such as tempo=1.2")
        if name in constant:
            raise ServingError(f"--control {word:.60}: {name:.40} is there twice; keep one")
        constant[name] = [(0.0, _number(value, f"--control {word:.60}"))]
    points |= constant
    if temperature is not None and "temperature" in points:
        raise ServingError("the temperature is given twice: by --temperature and as a control")
    return ControlCurves(points)


def _read(path: Path) -> dict[str, list[tuple[float, float]]]:
    if not path.is_file():
        raise ServingError(f"no such file of curves: {path}")
    shape = f'{path}: give JSON such as {{"tempo": [[0, 1], [30, 2]]}}, or CSV with seconds,tempo'
    if path.stat().st_size > LARGEST:
        raise ServingError(f"{path} is larger than {LARGEST >> 20} MB: that is no file of curves")
    try:
        text = path.read_text("utf-8-sig")  # spreadsheets begin a file with a mark
        if path.suffix.lower() == ".csv":
            lines = text.splitlines()
            reader = csv.DictReader(lines, strict=True, skipinitialspace=True)
            _refuse_twice(reader.fieldnames or ())
            rows = list(reader)
            if any(None in row for row in rows):
                raise ValueError("a line has more cells than the first")
            names = [name for name in (rows[0] if rows else {}) if name != "seconds"]
            raw = {name: [(r["seconds"], r[name]) for r in rows if r[name] != ""] for name in names}
            number = _number
        else:
            raw, number = json.loads(text, object_pairs_hook=once), _json_number
        points = {
            str(name): [(number(t, str(path)), number(v, str(path))) for t, v in curve]
            for name, curve in raw.items()
        }
    except (ValueError, TypeError, KeyError, AttributeError, csv.Error, RecursionError):
        raise ServingError(shape) from None
    except OSError as error:
        raise ServingError(f"cannot read {path}: {error.strerror}") from None
    if not points:
        raise ServingError(f"{path} holds no curve; {shape.partition(': ')[2]}")
    for name, curve in points.items():
        times = [t for t, _ in curve]
        if not curve or times != sorted(times):
            raise ServingError(f"{path}: the times of {name} must be there and must not go back")
    return points


def once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Make the dictionary of a JSON object, as `object_pairs_hook`.

    Raises:
        ServingError: a name is there twice.

    Example:
        >>> json.loads('{"tempo": 1, "level": 2}', object_pairs_hook=once)
        {'tempo': 1, 'level': 2}
    """
    _refuse_twice([name for name, _ in pairs])
    return dict(pairs)


def _refuse_twice(names: Sequence[str]) -> None:
    for name, times in Counter(names).items():
        if times > 1:
            raise ServingError(f"{name:.40} is there twice; keep one")


def _number(value: object, where: str) -> float:
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        raise ServingError(f"{where}: {value!r:.40} is not a number") from None
    if not np.isfinite(number):
        raise ServingError(f"{where}: {value!r:.40} is not a finite number")
    return number


def _json_number(value: object, where: str) -> float:
    """JSON has a type for numbers: texts and true are none."""
    if type(value) not in (int, float):
        raise ServingError(f"{where}: {json.dumps(value):.40} is not a number")
    return _number(value, where)
