"""A refiner that revises generated audio in overlapping windows, as it is made."""

import json
import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from .errors import ServingError
from .generator import open_session
from .metadata import KEY, MAX_FRAME

FORMAT_VERSION = 1
STATES = ("past", "pending")


class Refiner:
    """An exported refiner in ONNX Runtime.

    Args:
        path: `refiner.onnx`.
        sample_rate: of the audio that it is to revise, in Hz.
        threads: processor threads.

    Attributes:
        hop: samples that it reads at a time.
        delay: samples by which revised audio comes later, beyond the hop itself.

    Raises:
        ServingError: no such file, not a refiner, or one for another sample rate.

    Example:
        >>> sampler = Sampler.load("generator.onnx")                            # doctest: +SKIP
        >>> refiner = Refiner("refiner.onnx", sampler.sample_rate)              # doctest: +SKIP
        >>> for block in refiner.stream(sampler.stream(seconds=30)):            # doctest: +SKIP
        ...     play(block)
    """

    def __init__(self, path: str | Path, sample_rate: int, threads: int = 1) -> None:
        self.path = Path(path)
        self._session = open_session(self.path, "cpu", threads)
        described = _metadata(self._session, self.path)
        self.hop, self.delay = described["hop"], described["delay"]
        if described["sample_rate"] != sample_rate:
            raise ServingError(
                f"{path} revises audio at {described['sample_rate']} Hz, and the generator makes "
                f"{sample_rate} Hz: train a refiner with --sample-rate {sample_rate}"
            )

    @property
    def latency(self) -> int:
        """Samples that have to be there before the first one comes out: a window."""
        return int(self.delay + self.hop)

    def stream(self, blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """Revise blocks as they come; as many samples come out as went in.

        Args:
            blocks: float32 (streams, samples) or (streams, samples, channels). Channels are
                revised one by one.

        Yields:
            The same, revised, `latency` samples later.

        Raises:
            ServingError: the graph fails, or gives NaN.
        """
        waiting: np.ndarray | None = None
        states: list[np.ndarray] = []
        late, asked, given = self.delay, 0, 0
        for block in blocks:
            if waiting is None:
                waiting = block[:, :0]
                rows = len(block) * math.prod(block.shape[2:])
                states = [np.zeros((rows, self.delay), np.float32) for _ in STATES]
            waiting = np.concatenate([waiting, block], axis=1)
            asked += block.shape[1]
            whole = waiting.shape[1] // self.hop * self.hop
            made, states = self._advance(waiting[:, :whole], states)
            waiting = waiting[:, whole:]
            late, made = max(0, late - made.shape[1]), made[:, late:]
            given += made.shape[1]
            if made.shape[1]:
                yield made
        if waiting is None or given == asked:
            return
        # Silence pushes the last samples out.
        rest = self.delay + -asked % self.hop
        silence = np.zeros((waiting.shape[0], rest, *waiting.shape[2:]), np.float32)
        made, _ = self._advance(np.concatenate([waiting, silence], axis=1), states)
        yield made[:, late:][:, : asked - given]

    def _advance(
        self, audio: np.ndarray, states: list[np.ndarray]
    ) -> tuple[np.ndarray, list[np.ndarray]]:
        """Revise whole hops: (streams, samples[, channels]) and the new states."""
        by_row = np.moveaxis(audio, 1, -1)
        count = math.prod(by_row.shape[:-1])
        rows = np.ascontiguousarray(by_row.reshape(count, audio.shape[1]), np.float32)
        made = [rows[:, :0]]
        for start in range(0, rows.shape[1], self.hop):
            hop = rows[:, start : start + self.hop]
            feeds = {"audio": hop, **dict(zip(STATES, states, strict=True))}
            try:
                results = self._session.run(["revised", *(f"{s}_next" for s in STATES)], feeds)
            except Exception as error:  # onnxruntime's own have no common class
                reason = " ".join(str(error).split())[:200]
                raise ServingError(f"{self.path} fails in onnxruntime: {reason}") from None
            revised, *states = (np.asarray(result) for result in results)
            if revised.shape != hop.shape or not np.isfinite(revised).all():
                raise ServingError(f"{self.path} gives no audio: train it again, or longer")
            made.append(revised)
        whole = np.concatenate(made, axis=1).reshape(by_row.shape)
        return np.moveaxis(whole, -1, 1), states


def _metadata(session: Any, path: Path) -> dict[str, int]:
    """The numbers that a refiner says of itself, checked against its graph."""
    try:
        raw = json.loads(session.get_modelmeta().custom_metadata_map[KEY])
        if raw["kind"] != "refiner":
            raise ValueError(f"it is a {raw['kind']!r:.40}")
        if raw["format_version"] != FORMAT_VERSION:
            raise ValueError(f"format version {raw['format_version']!r:.40}")
        numbers = {name: raw[name] for name in ("sample_rate", "hop", "delay")}
        for name, number in numbers.items():
            if type(number) is not int or not 0 < number <= MAX_FRAME:
                raise ValueError(f"{name} is {number!r:.40}")
        sizes = {each.name: each.shape[1] for each in session.get_inputs()}
        expected = {"audio": numbers["hop"], **dict.fromkeys(STATES, numbers["delay"])}
        if sizes != expected:
            raise ValueError(f"its graph takes {sizes!s:.80}")
    except (KeyError, ValueError, TypeError, IndexError, RecursionError, AttributeError) as error:
        reason = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise ServingError(
            f"{path} is not a refiner that this sampler reads ({reason[:120]}): export one with "
            "keras-rawaudio export"
        ) from None
    return numbers
