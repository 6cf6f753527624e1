"""A window of samples as the spectra in it, for a tier to read."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_rawaudio.layers.fourier import SILENCE, Fourier, direction, log_amplitude, turn_between

FORMS = ("parts", "polar", "picture")
LEVELS, PHASES = 16, 16  # cells of a picture, up and across
LOUDEST = 10.0  # amplitude of the topmost cell
SHARPNESS = 4  # times that a phase's cosine with a cell is squared


@keras.saving.register_keras_serializable("keras_rawaudio")
class SpectralView(keras.layers.Layer):
    """The spectra of overlapping pieces of a window, side by side or as an image.

    Args:
        size: samples in a spectrum, even.
        hop: samples between two spectra.
        window: samples that are seen at once; as many spectra as fit, the last at its end.
        form: `"parts"`: real and imaginary part of each bin; `"polar"`: its log amplitude, and its
            phase as cosine and sine; `"picture"`: how many of the bins have which log amplitude
            (16 cells from -60 dB to 20 dB) and which phase (16 cells, the first and the last
            repeated at the other end), of each spectrum a picture. Which bin it was is lost.
        relative: with `"polar"`, each phase is the turn since the spectrum before; the first
            spectrum is used up for that.
        filters: of each of two convolutions over time and frequency (3 by 3, every second bin)
            that read the spectra as an image, or the pictures of all spectra as the channels of
            one; 0: the numbers as they are.

    Call arguments:
        frames: `(..., window)` floats.

    Returns:
        `(..., features)`.

    Example:
        >>> view = SpectralView(size=8, hop=4, window=16)
        >>> view(keras.ops.zeros((2, 5, 16))).shape, view.features
        (TensorShape([2, 5, 45]), 45)

    Reference:
        Hennequin et al. 2020, "Spleeter", section 2, for convolutions that step along frequency.
    """

    def __init__(
        self,
        size: int,
        hop: int,
        window: int,
        form: str = "polar",
        relative: bool = False,
        filters: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        spectra = (window - size) // hop + 1 if hop > 0 else 0
        if spectra - relative < 1:
            raise ValueError(
                f"a window of {window} samples holds too few spectra of {size} samples, {hop} "
                "apart; make the tier's window longer"
            )
        if relative and form != "polar":
            raise ValueError("relative phases need the form 'polar'")
        if form not in FORMS:
            raise ValueError(f"no form {form!r} of a spectrum; choose from {', '.join(FORMS)}")
        if filters < 0:
            raise ValueError("filters must be 0 or more")
        self.size, self.hop, self.window = size, hop, window
        self.form, self.relative, self.filters = form, relative, filters
        self.fourier = Fourier(size)
        self.taper = np.sin(np.pi * (np.arange(size) + 0.5) / size).astype("float32")
        self.spectra = spectra
        rows, columns, self.channels = {
            "parts": (spectra, self.fourier.bins, 2),
            "polar": (spectra - relative, self.fourier.bins, 3),
            "picture": (LEVELS, PHASES + 2, spectra),
        }[form]
        self.convolutions = [
            keras.layers.Conv2D(
                filters, 3, strides=(1, 2), padding="same", activation="relu", name=f"image{i}"
            )
            for i in range(2 if filters else 0)
        ]
        depth = self.channels
        for _ in self.convolutions:
            columns, depth = -(-columns // 2), filters
        self.features = rows * columns * depth

    def build(self, input_shape: Any) -> None:
        depth = self.channels
        for layer in self.convolutions:
            layer.build((None, None, None, depth))
            depth = self.filters

    def call(self, frames: Any) -> Any:
        lead = frames.shape[1:-1]  # a time axis, or none
        image = self._image(ops.reshape(frames, (-1, self.window)))
        for layer in self.convolutions:
            image = layer(image)
        return ops.reshape(image, (-1, *lead, self.features))

    def _image(self, windows: Any) -> Any:
        """`(n, window)` to an image `(n, rows, columns, channels)`."""
        first = self.window - self.size - (self.spectra - 1) * self.hop
        starts = [first + i * self.hop for i in range(self.spectra)]
        pieces = ops.stack([windows[:, s : s + self.size] for s in starts], axis=1)
        re, im = self.fourier.forward(pieces * self.taper)
        if self.form == "parts":
            return ops.stack([re, im], axis=-1)
        level = log_amplitude(re, im)
        cos, sin = direction(re, im)
        if self.form == "picture":
            return self._picture(level, cos, sin)
        if self.relative:
            before, after = ((cos[:, a:b], sin[:, a:b]) for a, b in ((0, -1), (1, None)))
            cos, sin = turn_between(before, after)
            level = level[:, 1:]
        return ops.stack([level, cos, sin], axis=-1)

    def _picture(self, level: Any, cos: Any, sin: Any) -> Any:
        """The histograms of all spectra: `(n, LEVELS, PHASES + 2, spectra)`, each of sum one."""
        bottom, top = np.log([SILENCE, LOUDEST])
        place = (ops.clip(level, bottom, top) - bottom) * float((LEVELS - 1) / (top - bottom))
        cells = np.arange(LEVELS, dtype="float32")
        rows = ops.relu(1.0 - ops.abs(place[..., None] - cells))
        angles = np.arange(PHASES, dtype="float32") * (2 * np.pi / PHASES)
        columns = ops.relu(cos[..., None] * np.cos(angles) + sin[..., None] * np.sin(angles))
        for _ in range(SHARPNESS):
            columns = ops.square(columns)
        columns = columns / ops.sum(columns, axis=-1, keepdims=True)
        picture = ops.matmul(ops.transpose(rows, (0, 1, 3, 2)), columns) / self.fourier.bins
        picture = ops.concatenate([picture[..., -1:], picture, picture[..., :1]], axis=-1)
        return ops.transpose(picture, (0, 2, 3, 1))

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "size": self.size,
            "hop": self.hop,
            "window": self.window,
            "form": self.form,
            "relative": self.relative,
            "filters": self.filters,
        }
