"""A window of samples as the spectra in it, for a tier to read."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_rawaudio.layers.fourier import Fourier, amplitude, direction, turn_between

LEAST = 1e-3  # amplitudes below this are silence to the logarithm


@keras.saving.register_keras_serializable("keras_rawaudio")
class SpectralView(keras.layers.Layer):
    """The spectra of overlapping pieces of a window, side by side or as an image.

    Args:
        size: samples in a spectrum, even.
        hop: samples between two spectra.
        window: samples that are seen at once; as many spectra as fit, the last at its end.
        form: `"parts"`: real and imaginary part of each bin; `"polar"`: its log amplitude, and its
            phase as cosine and sine.
        relative: with `"polar"`, each phase is the turn since the spectrum before; the first
            spectrum is used up for that.
        filters: of each of two convolutions over time and frequency (3 by 3, every second bin)
            that read the spectra as an image; 0: the numbers as they are.

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
        if form not in ("parts", "polar"):
            raise ValueError(f"no form {form!r} of a spectrum; choose parts or polar")
        if filters < 0:
            raise ValueError("filters must be 0 or more")
        self.size, self.hop, self.window = size, hop, window
        self.form, self.relative, self.filters = form, relative, filters
        self.fourier = Fourier(size)
        self.taper = np.sin(np.pi * (np.arange(size) + 0.5) / size).astype("float32")
        self.spectra = spectra
        self.channels = 2 if form == "parts" else 3
        self.convolutions = [
            keras.layers.Conv2D(
                filters, 3, strides=(1, 2), padding="same", activation="relu", name=f"image{i}"
            )
            for i in range(2 if filters else 0)
        ]
        bins, depth = self.fourier.bins, self.channels
        for _ in self.convolutions:
            bins, depth = -(-bins // 2), filters
        self.features = (spectra - relative) * bins * depth

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
        """`(rows, window)` to `(rows, spectra, bins, channels)`."""
        first = self.window - self.size - (self.spectra - 1) * self.hop
        starts = [first + i * self.hop for i in range(self.spectra)]
        pieces = ops.stack([windows[:, s : s + self.size] for s in starts], axis=1)
        re, im = self.fourier.forward(pieces * self.taper)
        if self.form == "parts":
            return ops.stack([re, im], axis=-1)
        level = ops.log(amplitude(re, im) + LEAST)
        cos, sin = direction(re, im)
        if self.relative:
            before, after = ((cos[:, a:b], sin[:, a:b]) for a, b in ((0, -1), (1, None)))
            cos, sin = turn_between(before, after)
            level = level[:, 1:]
        return ops.stack([level, cos, sin], axis=-1)

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
