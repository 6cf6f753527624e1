"""What a recipe may set of each head, and the codecs that it takes: the registry of heads.

A new head is one file in `models/heads`, named after its kind, and one class here, its settings.
They are apart because the layer imports Keras, which a mistake in a recipe does not wait for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, TypeAlias, Union, get_args

from pydantic import Field, model_validator

from keras_rawaudio.data.codecs import Values
from keras_rawaudio.settings import Settings

Width: TypeAlias = Annotated[int, Field(ge=1, le=16384)]
Layers: TypeAlias = Annotated[int, Field(ge=1, le=16)]
Levels: TypeAlias = Annotated[int, Field(ge=2, le=65536)]
OptionalWidth: TypeAlias = Annotated[int, Field(ge=0, le=16384)]
Span: TypeAlias = Annotated[int, Field(ge=1, le=1 << 20)]
Weight: TypeAlias = Annotated[float, Field(gt=0, le=1e6)]
CostName: TypeAlias = Literal["squared", "huber", "spectral"]


class HeadSettings(Settings):
    """A head by its kind, with its options as the layer takes them.

    Class attributes:
        takes: the kinds of codec values that it can predict.
    """

    takes: ClassVar[tuple[Values, ...]]

    kind: str

    def check_frame(self, frame: int) -> None:
        """Refuse a tier that the head cannot work under.

        Args:
            frame: samples between two steps of the fastest tier.

        Raises:
            ValueError: what does not fit.
        """

    def check_window(self, length: int) -> None:
        """Refuse windows that the head cannot learn from.

        Args:
            length: samples of a window.

        Raises:
            ValueError: what does not fit.
        """


class Categorical(HeadSettings):
    """A softmax over the codec's codes, sample by sample."""

    takes = ("codes",)

    kind: Literal["categorical"]
    hidden_units: Width = 128
    """Units of each hidden layer."""
    layers: Layers = 2
    """Hidden layers."""
    embedded: Annotated[int, Field(ge=0, le=1024)] = 2
    """Most recent codes that are looked up in a table."""
    linear: Annotated[int, Field(ge=1, le=65536)] = 16
    """Most recent samples that are read as numbers."""


class DRAW(HeadSettings):
    """A whole frame in several steps of a recurrent variational autoencoder."""

    takes = ("amplitudes",)

    kind: Literal["draw"]
    steps: Annotated[int, Field(ge=1, le=64)] = 4
    """Steps of drawing."""
    latent: Annotated[int, Field(ge=1, le=1024)] = 8
    """Random numbers per step."""
    hidden_units: Width = 128
    """Width of encoder and decoder."""
    filters: Annotated[int, Field(ge=2, le=1024)] = 12
    """Gaussian filters of the grids that read and write."""
    levels: Levels = 256
    """Mu-law cells that bits are counted on."""

    def check_frame(self, frame: int) -> None:
        if frame < 2:
            raise ValueError(f"a draw head needs a frame of 2 samples or more, not {frame}")


class Flow(HeadSettings):
    """The spectrum of a frame through an invertible convnet."""

    takes = ("amplitudes",)

    kind: Literal["flow"]
    couplings: Annotated[int, Field(ge=1, le=64)] = 4
    """Coupling layers; even and odd bins change in turn."""
    filters: Annotated[int, Field(ge=1, le=4096)] = 32
    """Filters of each layer's convnet."""
    kernel_size: Annotated[int, Field(ge=1, le=255)] = 9
    """Bins that a filter reads."""
    levels: Levels = 256
    """Mu-law cells that bits are counted on."""

    def check_frame(self, frame: int) -> None:
        if frame % 2 or frame < 4:
            raise ValueError(f"a flow head needs a frame of 4 samples or more, even: {frame}")


class GAN(HeadSettings):
    """A whole frame from noise, learned from a discriminator."""

    takes = ("amplitudes", "numbers")

    kind: Literal["gan"]
    latent: Annotated[int, Field(ge=1, le=65536)] = 16
    """Random numbers per frame."""
    hidden_units: Width = 256
    """Units of the generator's hidden layer."""
    fakes: Literal["generated", "noise"] = "generated"
    """What the discriminator tells frames from: what the generator makes, or Gaussian noise."""

    def check_frame(self, frame: int) -> None:
        if frame < self.latent:
            raise ValueError(f"{self.latent} random numbers need a frame as long, not {frame}")


class Mixture(HeadSettings):
    """A mixture of Gaussians over a whole frame."""

    takes = ("amplitudes",)

    kind: Literal["mixture"]
    num_mixtures: Annotated[int, Field(ge=1, le=1024)] = 4
    """Gaussians."""
    hidden_units: OptionalWidth = 0
    """Units of a hidden layer; 0: none."""
    levels: Levels = 256
    """Mu-law cells that bits are counted on."""

    def check_frame(self, frame: int) -> None:
        if frame < self.num_mixtures:
            raise ValueError(
                f"{self.num_mixtures} mixtures need a frame of as many samples, not {frame}"
            )


class Predictive(HeadSettings):
    """Codes for each frame, then samples around the linear prediction of one filter."""

    takes = ("amplitudes",)

    kind: Literal["predictive"]
    codebook_size: Annotated[int, Field(ge=2, le=65536)] = 128
    """Entries of the envelope codebook."""
    filters: Annotated[int, Field(ge=1, le=4096)] = 64
    """Filters of the LPC codebook."""
    lpc_order: Annotated[int, Field(ge=2, le=8192)] = 256
    """Taps of each filter."""
    hidden_units: Width = 256
    """Units of each hidden layer of the excitation network."""
    layers: Layers = 2
    """Hidden layers of the excitation network."""
    num_mixtures: Annotated[int, Field(ge=1, le=1024)] = 4
    """Components of the excitation's distribution."""
    levels: Levels = 256
    """Mu-law cells that bits are counted on."""
    bunch: Annotated[int, Field(ge=1, le=32)] = 16
    """Samples that are drawn at a time."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.15
    """Share of the features that is left out in training."""

    @model_validator(mode="after")
    def _fits(self) -> Predictive:
        if self.lpc_order % self.bunch:
            raise ValueError(f"lpc_order must be a multiple of bunch, which is {self.bunch}")
        return self

    def check_frame(self, frame: int) -> None:
        least = max(32, 2 * self.bunch)
        if frame % self.bunch or frame < least:
            raise ValueError(
                f"a predictive head needs a frame of {least} samples or more that is a multiple of "
                f"its bunch of {self.bunch}, not {frame}"
            )


class Regression(HeadSettings):
    """A whole frame of samples, by a cost."""

    takes = ("amplitudes", "numbers")

    kind: Literal["regression"]
    hidden_units: OptionalWidth = 0
    """Units of a hidden layer; 0: none."""
    end_layer: bool = True
    """Whether a dense layer makes the frame; `false`: the tier's output is the frame."""
    reconstruct: bool = False
    """Learn to give back the frame that was read, instead of the next one."""
    span: Span | None = None
    """Samples that a step predicts, a multiple of the frame; `null`: one frame."""
    window: Literal["hann", "triangle", "flat"] = "hann"
    """The window of the overlap-add of spans."""
    cost: CostName | dict[CostName, Weight] = "squared"
    """What training makes small: a cost, or several with their weights."""

    @model_validator(mode="after")
    def _fits(self) -> Regression:
        if self.hidden_units and not self.end_layer:
            raise ValueError("a hidden layer needs the end layer after it; leave out one of them")
        if self.cost == {}:
            raise ValueError("cost names no cost; leave it out or name one")
        return self

    def check_frame(self, frame: int) -> None:
        _check_span(self.span or frame, frame)
        if (self.span or frame) > frame and (self.reconstruct or not self.end_layer):
            raise ValueError("a span beyond the frame needs the end layer, and no reconstruct")

    def check_window(self, length: int) -> None:
        if (
            "spectral" in ([self.cost] if isinstance(self.cost, str) else self.cost)
            and length < 128
        ):
            raise ValueError(
                f"the spectral cost needs a data.length of 128 samples or more, not {length}"
            )


class Spectrum(HeadSettings):
    """The spectrum of overlapping frames."""

    takes = ("amplitudes", "numbers")

    kind: Literal["spectrum"]
    form: Literal["parts", "polar", "amplitude"] = "parts"
    """Real and imaginary parts, log amplitude and phase, or log amplitude alone."""
    span: Span | None = None
    """Samples of a spectrum, a multiple of the frame; `null`: four frames."""
    hidden_units: OptionalWidth = 0
    """Units of a hidden layer; 0: none."""
    relative: bool = False
    """Phases as turns from the spectrum before, instead of themselves."""
    iterations: Annotated[int, Field(ge=1, le=1000)] = 8
    """Of the search for phases, under the form "amplitude"."""
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    """Of the search for phases, under the form "amplitude"."""

    @model_validator(mode="after")
    def _fits(self) -> Spectrum:
        if self.relative and self.form != "polar":
            raise ValueError("a relative phase needs the form 'polar'")
        return self

    def check_frame(self, frame: int) -> None:
        _check_span(self.span or 4 * frame, frame)


def _check_span(span: int, frame: int) -> None:
    if span % frame:
        raise ValueError(f"a span of {span} samples is not whole hops of {frame}")


HEADS: dict[str, type[HeadSettings]] = {  # all of the above by kind
    get_args(head.model_fields["kind"].annotation)[0]: head
    for head in HeadSettings.__subclasses__()
}

if TYPE_CHECKING:
    AnyHead: TypeAlias = HeadSettings
else:
    AnyHead = Annotated[Union[tuple(HEADS.values())], Field(discriminator="kind")]  # noqa: UP007
