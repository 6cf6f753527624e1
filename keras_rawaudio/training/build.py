"""From a recipe to a model, its windows and its training step, in float32."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_rawaudio.data.codecs import Codec
from keras_rawaudio.data.corpus import Corpus
from keras_rawaudio.data.windows import WindowPlan
from keras_rawaudio.dsp.block_spectra import HOPS, BlockSpectra
from keras_rawaudio.dsp.spectral_codebook import band_edges, codebook_size
from keras_rawaudio.errors import UserError
from keras_rawaudio.models import AudioModel, Model, Refiner, SpectralModel
from keras_rawaudio.models.copy_detector import READINGS
from keras_rawaudio.recipes import (
    AnyRecipe,
    Recipe,
    RefinerRecipe,
    SpectralRecipe,
    TrainingSettings,
)
from keras_rawaudio.training.replicas import Replicas
from keras_rawaudio.training.schedule import Budget
from keras_rawaudio.training.splices import MOST_PLACES, Splices
from keras_rawaudio.training.step import TrainingStep

BLOCKS_READ_PER_ENTRY = 1750  # in training, for each entry of a larger codebook of spectra
STEPS_PER_MINUTE = 145  # of the recipe `default` on one core

OPTIMIZERS = {
    "adam": keras.optimizers.Adam,
    "rmsprop": keras.optimizers.RMSprop,
    "sgd": keras.optimizers.SGD,
}


def require_float32() -> None:
    """Turn TF32 off, and refuse what Keras may be set to besides.

    Linear prediction needs the digits that TF32, the 19 bits of recent GPUs, leaves out. Mixed
    precision has not been tested with these models.

    Raises:
        UserError: Keras runs on another backend than TensorFlow, or computes in another type.

    Example:
        >>> require_float32()
        >>> tf.config.experimental.tensor_float_32_execution_enabled()
        False
    """
    tf.config.experimental.enable_tensor_float_32_execution(False)
    backend = keras.config.backend()
    if backend != "tensorflow":
        raise UserError(f"Keras runs on {backend}; set KERAS_BACKEND=tensorflow")
    for kind in (keras.config.floatx(), keras.config.dtype_policy().name):
        if kind != "float32":
            raise UserError(
                f"Keras is set to {kind}, and these models are tested in float32; "
                "set floatx and the dtype policy to float32"
            )


def refiner_model(recipe: RefinerRecipe, codec: Codec) -> Refiner:
    """Make the refiner that a recipe describes; arguments as of `build_model`."""
    return Refiner(codec.to_json(), **recipe.to_json()["refiner"])


def build_model(recipe: Recipe, codec: Codec) -> AudioModel:
    """Make the model that a recipe describes.

    Args:
        recipe: describes the model.
        codec: fitted on the train part.

    Returns:
        An `AudioModel` with fresh weights.

    Raises:
        UserError: settings that fit each by itself, but not a model.
    """
    values = recipe.to_json()
    try:
        return AudioModel(values["tiers"], values["head"], codec.to_json())
    except (TypeError, ValueError) as error:
        raise UserError(f"recipe {recipe.name}: {error}") from None


def with_codebook_size(recipe: SpectralRecipe, corpus: Corpus, budget: Budget) -> SpectralRecipe:
    """The recipe, its codebooks as large as the train part and the training allow.

    Larger codebooks are nearer to the piece, and take longer to learn: each entry has to be
    predicted often enough. Minutes count as those of one core.

    Args:
        recipe: a size that it has is kept.
        corpus: says the rate and how much audio there is.
        budget: of the training.
    """
    if recipe.spectral.codebook_size:
        return recipe
    blocks = _train_blocks(corpus)
    if budget.minutes is not None:
        codes = recipe.data.batch * recipe.data.length
        bands = len(band_edges(BlockSpectra(corpus.sample_rate)))
        read = STEPS_PER_MINUTE * budget.minutes * codes / bands
    else:
        read = HOPS * blocks * (budget.epochs or 1)
    size = codebook_size(blocks, read / BLOCKS_READ_PER_ENTRY)
    spectral = recipe.spectral.model_copy(update={"codebook_size": size})
    return recipe.model_copy(update={"spectral": spectral})


def spectral_model(recipe: SpectralRecipe, corpus: Corpus) -> SpectralModel:
    """Make the spectral model that a recipe describes, for a corpus.

    It tells the corpus' labels apart, and has a clock for each, or one alone where the corpus is
    one recording.

    Args:
        recipe: describes the model. That of a run begun before runs kept their codebook
            size has none: its codebooks have an eighth of the blocks.
        corpus: says the rate, how much audio there is and the labels.
    """
    settings = recipe.spectral.model_dump()
    blocks = _train_blocks(corpus)
    settings["codebook_size"] = settings["codebook_size"] or codebook_size(blocks)
    settings["train_places"] = READINGS * blocks
    settings["repetition_penalty"] = True
    labels = corpus.labels
    if len(corpus.describe()["sources"]) > 1 and not labels:
        settings["clock_harmonics"] = 0
    return SpectralModel(corpus.sample_rate, corpus.channels, labels=labels, **settings)


def _train_blocks(corpus: Corpus) -> int:
    """Blocks of spectra in the train part."""
    block = BlockSpectra(corpus.sample_rate).block
    return sum(len(segment) // block for segment in corpus.segments("train"))


def build_optimizer(settings: TrainingSettings) -> keras.optimizers.Optimizer:
    """Make the optimizer that the settings name."""
    return OPTIMIZERS[settings.optimizer](
        settings.learning_rate, weight_decay=settings.weight_decay or None
    )


def build_step(model: Model, recipe: AnyRecipe, replicas: Replicas) -> TrainingStep:
    """Make the training step of a model, with its optimizer.

    Args:
        model: made in the scope of the replicas' strategy.
        recipe: describes the training.
        replicas: over which the batch is divided.
    """
    settings = recipe.training
    with replicas.strategy.scope():
        optimizer = build_optimizer(settings)
    return TrainingStep(
        model,
        optimizer,
        recipe.data.batch,
        settings.clip_norm,
        settings.jit_compile,
        settings.average,
        settings.weight_noise,
        replicas,
    )


def build_plan(
    model: Model, recipe: AnyRecipe, segments: Sequence[Any], seed: int = 0
) -> WindowPlan:
    """Plan the windows that a training reads.

    Args:
        model: reads the windows.
        recipe: describes the windows.
        segments: of the train part: audio, or codes for a model of codes.
        seed: of the windows' order.
    """
    data = recipe.data
    return WindowPlan.fitting(
        [len(segment) for segment in segments],
        frame=model.frame,
        frames=data.length // model.frame,
        batch=data.batch,
        shift=data.shift,
        seed=seed,
        sequence=data.sequence,
        # The codes of a block stay together.
        grid=model.frame if isinstance(model, SpectralModel) else 1,
        reset_share=data.reset_share,
    )


def build_splices(
    model: SpectralModel,
    recipe: SpectralRecipe,
    codes: Sequence[np.ndarray],
    starts: Sequence[int],
    labels: Sequence[int] | None,
    seed: int = 0,
) -> Splices | None:
    """Splice the train part, where it is short enough to be memorised, and repeats itself.

    Args:
        model: its codebooks and clock have been found.
        recipe: says how long a row goes on.
        codes: stretches of the train part.
        starts: where in its own file each begins, in codes.
        labels: of each.
        seed: of the rows.
    """
    seconds, places = recipe.data.splice_seconds, sum(map(len, codes)) // model.frame
    if seconds is None or places > MOST_PLACES:
        return None
    splices = Splices(codes, starts, labels, model, seconds, seed)
    return splices if splices.often_enough else None
