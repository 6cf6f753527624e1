"""Settings of a tier."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import Field, model_validator

from keras_rawaudio.recipes.heads import Width
from keras_rawaudio.settings import Settings

FrameSize: TypeAlias = Annotated[int, Field(ge=1, le=65536)]
Share: TypeAlias = Annotated[float, Field(ge=0, lt=1)]
Deviation: TypeAlias = Annotated[float, Field(ge=0, le=100)]
Widths: TypeAlias = Annotated[tuple[Width, ...], Field(min_length=1, max_length=5, strict=False)]


class SpectrumSettings(Settings):
    """Spectra that a tier reads in place of its window's samples."""

    size: Annotated[int, Field(ge=2, le=65536, multiple_of=2)]
    """Samples of a spectrum, even."""
    hop: FrameSize
    """Samples between two spectra; the window holds as many as fit."""
    form: Literal["parts", "polar", "picture"] = "polar"
    """Real and imaginary parts, log amplitude and phase of each bin, or a picture of how many bins
    have which amplitude and phase."""
    relative: bool = False
    """Phases as turns from the spectrum before, instead of themselves."""
    filters: Annotated[int, Field(ge=0, le=1024)] = 0
    """Of a small convnet that reads the spectra as an image; 0: none."""

    @model_validator(mode="after")
    def _fits(self) -> SpectrumSettings:
        if self.relative and self.form != "polar":
            raise ValueError("relative phases need the form 'polar'")
        return self


class TierSettings(Settings):
    """One recurrent tier."""

    frame_size: FrameSize
    """Samples between two steps of this tier."""
    window: Annotated[int, Field(ge=1, le=1 << 20)] | None = None
    """Past samples that a step reads; `null`: one frame."""
    cell: Literal["gru", "lstm", "deep-gate-lstm"] = "gru"
    """The recurrent cell; "deep-gate-lstm" has gates of two layers."""
    units: Width | Widths = 256
    """Width of each layer, or one width per layer."""
    layers: Annotated[int, Field(ge=1, le=5)] | None = None
    """Recurrent layers; `null`: one for each width in `units`."""
    skips: bool | Literal["memories"] = True
    """Hand on the outputs of all layers, not only the last one's; "memories": an LSTM's cell
    states instead."""
    forget_bias: Annotated[float, Field(ge=-100, le=100)] | None = None
    """Start of the bias of an LSTM's forget gate or a GRU's update gate; `null`: 1, or 0 in a
    GRU."""
    activation_noise: Literal["hard", "half-normal", "normal", "binary"] | None = None
    """Hard units in place of sigmoid and tanh, and their noise; "hard": none; "binary": gates that
    are open or closed at random."""
    preactivation_noise: Deviation = 0.0
    """Standard deviation of the noise on the gates' pre-activations."""
    input_noise: Deviation = 0.0
    """Standard deviation of the noise on the frames that the tier reads, in training."""
    clock_harmonics: Annotated[int, Field(ge=0, le=4096)] = 0
    """Harmonics of a clock in time with the piece; 0: none."""
    dropout: Share = 0.0
    """Share of the recurrent outputs that is left out in training."""
    spectrum: SpectrumSettings | None = None
    """Read the window's spectra; `null`: its samples."""
    input: Literal["samples", "codes"] = "samples"
    """Read samples, or a predictive head's codes of the frame before."""

    @model_validator(mode="after")
    def _fits(self) -> TierSettings:
        if isinstance(self.units, tuple) and self.layers not in (None, len(self.units)):
            raise ValueError(
                f"{self.layers} layers but {len(self.units)} units; give as many widths as "
                "layers, or one for all"
            )
        window = self.window or self.frame_size
        if window < self.frame_size:
            raise ValueError(
                f"a window of {window} is less than the frame of {self.frame_size}; leave window "
                "out or make it larger"
            )
        if self.cell == "gru" and self.skips == "memories":
            raise ValueError("a GRU has no cell states; use skips: true or cell: lstm")
        if self.input == "codes" and self.window:
            raise ValueError("a tier that reads codes has no window of samples; leave window out")
        if self.spectrum:
            if self.input == "codes":
                raise ValueError("a tier reads spectra or codes, not both")
            size, hop = self.spectrum.size, self.spectrum.hop
            if window < size + hop * self.spectrum.relative:
                raise ValueError(
                    f"a window of {window} samples holds too few spectra of {size} samples, {hop} "
                    "apart; make the tier's window longer"
                )
        return self
