"""The schema of a recipe: every setting with its type, its range and what it means."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias, Union

from pydantic import Field, model_validator

from keras_rawaudio.data.codecs import CODECS, CodecSettings
from keras_rawaudio.data.corpus.settings import HIGHEST_RATE, LOWEST_RATE, CorpusSettings
from keras_rawaudio.errors import UserError
from keras_rawaudio.recipes.heads import AnyHead, Width
from keras_rawaudio.recipes.tiers import Deviation, Share, TierSettings
from keras_rawaudio.settings import Settings

Samples: TypeAlias = Annotated[int, Field(ge=1, le=1 << 24)]

if TYPE_CHECKING:
    AnyCodec: TypeAlias = CodecSettings
else:
    AnyCodec = Annotated[
        Union[tuple(codec.settings for codec in CODECS.values())],  # noqa: UP007
        Field(discriminator="name"),
    ]


class DataSettings(Settings):
    """How audio becomes batches."""

    max_sample_rate: Annotated[int, Field(ge=LOWEST_RATE, le=HIGHEST_RATE)] = 16_000
    """Highest rate in Hz that the corpus has by default; audio of a lower rate keeps its own."""
    channels: Annotated[int, Field(ge=1, le=1)] = 1
    """Channels that the model takes: mono."""
    length: Samples = 1024
    """Samples that a row predicts in one training step: gradients reach back so far."""
    batch: Annotated[int, Field(ge=1, le=65536)] = 8
    """Rows."""
    shift: (
        Annotated[int, Field(ge=1, le=1 << 40)] | Literal["lanes", "random", "random-offsets"]
    ) = "lanes"
    """Samples between the starts of two rows; "lanes": rows spread evenly over the corpus;
    "random": each row begins anywhere, in each batch anew; "random-offsets": the first row does
    so, and each further one begins one sample later."""
    sequence: Annotated[int, Field(ge=1, le=1 << 40)] | None = None
    """Samples after which a row's state is reset, a multiple of `length`; `null`: not before the
    end of its stretch of audio."""
    reset_share: Share = 0.0
    """Share of windows before which a row's state is reset besides."""

    @model_validator(mode="after")
    def _fits(self) -> DataSettings:
        if self.sequence is not None and self.sequence % self.length:
            raise ValueError(
                f"a sequence of {self.sequence} samples is not whole windows of {self.length}; "
                "sequence must be a multiple of length"
            )
        return self

    def corpus(self, settings: CorpusSettings) -> CorpusSettings:
        """Corpus settings, with what they leave open as the model takes it.

        Raises:
            UserError: they ask for channels that the model does not take.

        Example:
            >>> DataSettings().corpus(CorpusSettings()).channels
            1
        """
        if settings.channels and self.channels and settings.channels != self.channels:
            raise UserError(
                f"this recipe takes {self.channels} channel(s) of audio, not {settings.channels}; "
                "leave channels out or use another recipe"
            )
        return replace(
            settings,
            channels=settings.channels or self.channels,
            max_sample_rate=min(
                settings.max_sample_rate or self.max_sample_rate, self.max_sample_rate
            ),
        )


class TrainingSettings(Settings):
    """How the weights are found."""

    optimizer: Literal["adam", "rmsprop", "sgd"] = "adam"
    """The optimizer."""
    learning_rate: Annotated[float, Field(gt=0, le=10)] = 2e-3
    """At the start, after the warm-up."""
    schedule: Literal["cosine", "constant"] = "cosine"
    """Cosine: down to a hundredth over the budget."""
    warmup_steps: Annotated[int, Field(ge=0, le=10**9)] = 50
    """Steps in which the rate rises linearly."""
    clip_norm: Annotated[float, Field(gt=0, le=1e9)] | None = 1.0
    """Gradients are scaled down to this global norm; `null`: never."""
    weight_decay: Share = 0.0
    """Share of each weight, times the learning rate, that a step takes away."""
    weight_noise: Deviation = 0.0
    """Standard deviation of the noise on all weights, drawn anew for each step."""
    average: Share | None = 0.998
    """Share of the weights' running average that a step keeps; the average is what is validated,
    saved and exported; `null`: the weights as they are."""
    early_stopping: Annotated[int, Field(ge=1, le=10**9)] | None = None
    """Validations without a new best before training stops; `null`: never."""
    validate_every: Annotated[float, Field(gt=0, le=1e5)] = 1.0
    """Minutes of training between two validations."""
    sample_seconds: Annotated[float, Field(ge=0, le=3600)] = 4.0
    """Seconds of audio generated at each validation; 0: none."""
    jit_compile: bool = False
    """Compile the training step with XLA."""


class SpectralSettings(Settings):
    """A codec of spectra and the prior over its codes."""

    codebook_size: Annotated[int, Field(ge=2, le=16384)] | None = None
    """Entries of each frequency band; `null`: a power of two, 16 to 1024, by the train part's
    blocks and the budget."""
    components: Annotated[int, Field(ge=1, le=1024)] = 48
    """Principal components that stand for an entry."""
    units: Width = 384
    """Of each recurrent layer."""
    layers: Annotated[int, Field(ge=1, le=5)] = 2
    """Recurrent layers."""
    dropout: Share = 0.0
    """Share of what the prior reads and makes that is left out in training."""
    input_noise: Deviation = 0.1
    """Standard deviation of the noise on what it reads, in training."""
    own_draws: Share = 0.4
    """Largest share of blocks that the model's own draws replace, in training."""
    clock_harmonics: Annotated[int, Field(ge=0, le=4096)] = 16
    """Of a clock in time with each recording of the corpus; 0: none."""
    sections: Annotated[int, Field(ge=0, le=64)] = 8
    """Sections of a piece at most, by timbre and level. A state that begins anew is of the section
    that is due; 0: of any."""


class CodeDataSettings(DataSettings):
    """How audio becomes batches of codes: in lanes, at the rate and channels that it has."""

    max_sample_rate: Annotated[int, Field(ge=LOWEST_RATE, le=HIGHEST_RATE)] = 48_000
    """Highest rate in Hz that the corpus has by default; audio of a lower rate keeps its own."""
    channels: Annotated[int, Field(ge=1, le=2)] | None = None  # type: ignore[assignment]
    """Channels that the model takes: 1 mono, 2 stereo; `null`: those that the audio has."""
    length: Annotated[int, Field(ge=8, le=1 << 20)] = 512
    """Codes that a row predicts in one training step: four to a block, three below 10 kHz."""
    shift: Literal["lanes"] = "lanes"
    """Rows are spread evenly over the corpus."""
    sequence: None = None
    """State is carried to the end of a stretch of audio, but for `reset_share`."""
    reset_share: Share = 0.15
    """Share of windows before which a row's state is reset, so that streams begin anywhere."""
    splice_seconds: Annotated[float, Field(ge=0.5, le=1e5)] | None = 2.0
    """Mean time for which a row of a short corpus goes on before it jumps to a moment like the one
    that it has reached, where the corpus repeats itself; `null`: it does not jump."""

    def corpus(self, settings: CorpusSettings) -> CorpusSettings:
        """As for other recipes, but that every label is split by itself, so that it is learned."""
        return replace(super().corpus(settings), split_each=True)


class CodeTrainingSettings(TrainingSettings):
    """How the weights of a model of codes are found."""

    longest_copy: Annotated[float, Field(ge=2, le=1e5)] | None = 4.0
    """Seconds for which streams may follow one place of the train part. Streams of a model that
    copies are interrupted where they do. A memory lasts for 20 s, or less for a model whose streams
    stay in one place. `null`: the memory has no end, and nothing is interrupted."""


class SpectralRecipe(Settings):
    """A spectral model, with the settings that train it."""

    name: str = ""
    """As the file is called."""
    description: str = ""
    """One line."""
    spectral: SpectralSettings
    """The model."""
    data: CodeDataSettings = CodeDataSettings()
    """How codes become batches."""
    training: CodeTrainingSettings = CodeTrainingSettings()
    """How the weights are found."""

    def to_json(self) -> dict[str, Any]:
        """The recipe as plain numbers, strings, lists and dicts."""
        return self.model_dump(mode="json")


class Recipe(Settings):
    """A model of tiers and a head, with the settings that train it."""

    name: str = ""
    """As the file is called."""
    description: str = ""
    """One line."""
    codec: AnyCodec
    """What samples become."""
    tiers: Annotated[tuple[TierSettings, ...], Field(min_length=1, max_length=16, strict=False)]
    """Slowest first; each frame is a multiple of the next one's."""
    head: AnyHead
    """What predicts samples from the fastest tier's output."""
    data: DataSettings = DataSettings()
    """How audio becomes batches."""
    training: TrainingSettings = TrainingSettings()
    """How the weights are found."""

    def to_json(self) -> dict[str, Any]:
        """The recipe as plain numbers, strings, lists and dicts."""
        return self.model_dump(mode="json")

    @model_validator(mode="after")
    def _fits(self) -> Recipe:
        kind, fastest = self.head.kind, self.tiers[-1]
        if CODECS[self.codec.name].values not in self.head.takes:
            fitting = [name for name, codec in CODECS.items() if codec.values in self.head.takes]
            raise ValueError(
                f"a {kind} head needs the codec {' or '.join(fitting)}, not {self.codec.name!r}"
            )
        reads_codes = [tier.input == "codes" for tier in self.tiers]
        if any(reads_codes[:-1]) or (reads_codes[-1] and kind != "predictive"):
            raise ValueError(
                "input: codes is for the last tier alone, under a predictive head; leave input out"
            )
        for slow, fast in zip(self.tiers, self.tiers[1:], strict=False):
            if slow.frame_size % fast.frame_size or slow.frame_size == fast.frame_size:
                raise ValueError(
                    f"frames of {slow.frame_size} do not divide into frames of "
                    f"{fast.frame_size}; each tier's frame must be a multiple of the next one's"
                )
        self.head.check_frame(fastest.frame_size)
        length, frame = self.data.length, self.tiers[0].frame_size
        self.head.check_window(length)
        if length % frame:
            raise ValueError(
                f"data.length of {length} samples does not divide into frames of {frame}; "
                f"try {max(1, round(length / frame)) * frame}"
            )
        return self
