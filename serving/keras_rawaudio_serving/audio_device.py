"""Sound devices, through the optional sounddevice."""

import atexit
import contextlib
from collections.abc import Callable
from typing import Any

import numpy as np

from .command import missing_extra
from .errors import ServingError


class AudioDevice:
    """An output of the sound system that asks for samples as it needs them.

    Args:
        name: a number of `list_devices`, or a part of a name that no other device has; by default
            the system's choice.
        channels: that it shall play.
        sample_rate: in Hz; a device that does not take it plays at its own default rate.
        latency: seconds that the driver is asked for; it gives what it can.

    Attributes:
        name: of the device.
        sample_rate: in Hz, at which it plays.
        latency: seconds from the request for a sample to its sound, as the driver says.
        underruns: how often the driver reported that samples came too late.

    Raises:
        ServingError: sounddevice or PortAudio is missing, or there is no such device.
    """

    def __init__(self, name: str | None, channels: int, sample_rate: int, latency: float) -> None:
        self._sounddevice = sounddevice = _sounddevice("--play")
        self._fill: Callable[[np.ndarray], None] | None = None
        self.underruns = 0
        device: int | str | None = int(name) if name and name.isdecimal() else name
        try:
            found = sounddevice.query_devices(device, "output")
        except Exception as error:  # PortAudioError; ValueError for no such name, or several
            if name is None:
                raise ServingError(f"--play found no sound device: {_line(error)}") from None
            raise ServingError(
                f"--device {name}: {_line(error)}; --list-devices shows what there is"
            ) from None
        self.name: str = found["name"]
        settings = {"device": found["index"], "channels": channels, "dtype": "int16"}
        self.sample_rate = sample_rate
        try:
            sounddevice.check_output_settings(samplerate=sample_rate, **settings)
        except Exception:
            self.sample_rate = round(found["default_samplerate"])
        try:
            self._stream = sounddevice.OutputStream(
                samplerate=self.sample_rate, latency=latency, callback=self._callback, **settings
            )
        except Exception as error:
            raise ServingError(
                f"--play: {self.name} does not take {channels} channels at {self.sample_rate} Hz: "
                f"{_line(error)}"
            ) from None
        self.latency = float(self._stream.latency)

    def start(self, fill: Callable[[np.ndarray], None]) -> None:
        """Begin to ask: `fill` writes int16 (samples, channels), in a thread of the driver."""
        self._fill = fill
        try:
            self._stream.start()
        except Exception as error:
            raise ServingError(f"--play: {self.name} does not start: {_line(error)}") from None

    def stop(self) -> None:
        """Stop after what was filled has sounded, and close."""
        try:
            self._stream.stop()
            self._stream.close()
        except Exception as error:
            raise ServingError(f"--play: {self.name} does not stop: {_line(error)}") from None

    def abort(self) -> None:
        """Stop at once, and close, if the driver lets us."""
        if self._fill is not None and not self._stream.active:
            # The driver has gone, and PortAudio would wait for it: now, and at exit.
            atexit.unregister(getattr(self._sounddevice, "_exit_handler", print))
            return
        with contextlib.suppress(Exception):  # PortAudioError
            self._stream.abort()
            self._stream.close()

    def _callback(self, out: np.ndarray, frames: int, time: Any, status: Any) -> None:
        assert self._fill is not None
        self.underruns += bool(status.output_underflow)
        self._fill(out)


def list_devices() -> list[str]:
    """One line per output: number, name, sound system, channels, default rate."""
    sounddevice = _sounddevice("--list-devices")
    try:
        systems = sounddevice.query_hostapis()
        devices = sounddevice.query_devices()
    except Exception as error:  # PortAudioError
        raise ServingError(f"--list-devices: {_line(error)}") from None
    return [
        f"{device['index']}: {device['name']} ({systems[device['hostapi']]['name']}), "
        f"{device['max_output_channels']} channels, {device['default_samplerate']:g} Hz"
        for device in devices
        if device["max_output_channels"]
    ]


def _sounddevice(flag: str) -> Any:
    try:
        import sounddevice  # type: ignore[import-not-found, unused-ignore]
    except ImportError as error:
        raise missing_extra(flag, "play", error) from None
    except Exception as error:  # OSError without PortAudio; PortAudioError without its server
        raise ServingError(f"{flag} cannot start: {_line(error)}") from None
    return sounddevice


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
