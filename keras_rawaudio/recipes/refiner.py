"""The settings of a refiner: what is damaged in training, what restores it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from keras_rawaudio.data.codecs import CODECS
from keras_rawaudio.recipes.heads import Width
from keras_rawaudio.recipes.schema import AnyCodec, DataSettings, TrainingSettings
from keras_rawaudio.recipes.tiers import FrameSize
from keras_rawaudio.settings import Settings

Amount = Annotated[float, Field(ge=0, le=100)]


class CorruptionSettings(Settings):
    """What is done to true audio in training. The unit of amounts is one standard deviation of
    the train part, under the codec "standardize"."""

    noise: Amount = 0.5
    """Largest standard deviation of Gaussian noise; each row draws its own, from 0."""
    step: Amount = 0.0
    """Largest step of quantisation; each row draws its own, from 0."""
    dropped: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Share of frames that become silent."""


class RefinerSettings(Settings):
    """A bidirectional recurrent network over windows of frames."""

    frame_size: FrameSize = 50
    """Samples that one recurrent step reads."""
    frames: Annotated[int, Field(ge=1, le=64)] = 16
    """Frames per window."""
    overlap: Annotated[int, Field(ge=2, le=16)] = 2
    """Windows that cover each sample; their results are averaged."""
    cell: Literal["gru", "lstm", "deep-gate-lstm"] = "gru"
    """The recurrent cell."""
    units: Width = 128
    """Width of each direction of each layer."""
    layers: Annotated[int, Field(ge=1, le=5)] = 2
    """Bidirectional layers."""
    corruption: CorruptionSettings = CorruptionSettings()
    """What it learns to undo."""
    adversarial: Annotated[float, Field(ge=0, le=1e6)] = 0.0
    """Weight of the loss that a discriminator gives, beside the squared error; 0: none."""

    @model_validator(mode="after")
    def _fits(self) -> RefinerSettings:
        if self.frames % self.overlap:
            raise ValueError(f"overlap must divide the {self.frames} frames of a window")
        return self


class RefinerTrainingSettings(TrainingSettings):
    """How the weights are found."""

    sample_seconds: Literal[0] = 0
    """A refiner generates nothing."""


class RefinerRecipe(Settings):
    """A refiner of generated audio, with the settings that train it."""

    name: str = ""
    """As the file is called."""
    description: str = ""
    """One line."""
    codec: AnyCodec
    """What samples become."""
    refiner: RefinerSettings
    """The model."""
    data: DataSettings = DataSettings()
    """How audio becomes batches."""
    training: RefinerTrainingSettings = RefinerTrainingSettings()
    """How the weights are found."""

    def to_json(self) -> dict[str, Any]:
        """The recipe as plain numbers, strings, lists and dicts."""
        return self.model_dump(mode="json")

    @model_validator(mode="after")
    def _fits(self) -> RefinerRecipe:
        if CODECS[self.codec.name].values == "codes":
            fitting = [name for name, codec in CODECS.items() if codec.values != "codes"]
            raise ValueError(f"a refiner needs the codec {' or '.join(fitting)}")
        span = self.refiner.frame_size * self.refiner.frames
        if self.data.length % span:
            raise ValueError(
                f"data.length of {self.data.length} samples does not divide into windows of "
                f"{span}; try {max(1, round(self.data.length / span)) * span}"
            )
        return self
