"""A sound system without a sound card, for tests: what `sounddevice` offers, driven by a clock."""

import threading
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np


class SoundSystem:
    """Stands in for the module `sounddevice`, with one device of two channels.

    Args:
        rates: in Hz, that the device takes; the first is its default.
        speed: how much faster than real time its clock runs; 0 stands still.

    Attributes:
        output: int16 (samples, channels), what the device was given.
    """

    def __init__(self, rates: tuple[int, ...] = (8000,), speed: float = 20.0) -> None:
        self.rates, self.speed = rates, speed
        self.parts: list[np.ndarray] = []
        self.log: list[str] = []
        self.late = False

    @property
    def output(self) -> np.ndarray:
        return np.concatenate(self.parts)

    def query_devices(self, device: Any = None, kind: str | None = None) -> Any:
        entry = {
            "name": "Null",
            "index": 0,
            "hostapi": 0,
            "max_output_channels": 2,
            "default_samplerate": float(self.rates[0]),
        }
        if kind is None:
            return [entry]
        if device not in (None, 0, "Null"):
            raise ValueError(f"No output device matching {device!r}")
        return entry

    def query_hostapis(self) -> list[dict[str, str]]:
        return [{"name": "Clock"}]

    def check_output_settings(self, samplerate: int, channels: int, **_: Any) -> None:
        if samplerate not in self.rates:
            raise RuntimeError("Invalid sample rate")

    def OutputStream(self, **options: Any) -> "Stream":  # noqa: N802
        if options["channels"] > 2:
            raise RuntimeError("Invalid number of channels")
        self.log.append(f"open at {options['samplerate']}")
        return Stream(self, **options)


class Stream:
    """An output that asks its callback for 5 ms at a time."""

    latency = 0.005

    def __init__(
        self, system: SoundSystem, samplerate: int, channels: int, callback: Callable, **_: Any
    ) -> None:
        self.system, self.rate, self.channels = system, samplerate, channels
        self.callback = callback
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.stopping = False

    @property
    def active(self) -> bool:
        return self.thread.is_alive() and not self.stopping

    def start(self) -> None:
        if self.system.speed:
            self.thread.start()

    def stop(self) -> None:
        self.stopping = True
        if self.thread.ident is not None:
            self.thread.join()
        self.system.log.append("stop")

    def abort(self) -> None:
        self.stop()
        self.system.log[-1] = "abort"

    def close(self) -> None:
        self.system.log.append("close")

    def run(self) -> None:
        frames = round(0.005 * self.rate)
        while not self.stopping:
            out = np.full((frames, self.channels), 99, np.int16)
            self.callback(out, frames, None, SimpleNamespace(output_underflow=self.system.late))
            self.system.parts.append(out)
            time.sleep(0.005 / self.system.speed)
