"""Go on with a run, or begin it anew."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from keras_rawaudio.data.codecs import codec_from_json
from keras_rawaudio.data.corpus import CorpusSettings, open_corpus
from keras_rawaudio.models import Model
from keras_rawaudio.recipes import AnyRecipe, RefinerRecipe, SpectralRecipe, recipe_from_json
from keras_rawaudio.training.build import (
    build_model,
    refiner_model,
    require_float32,
    spectral_model,
)
from keras_rawaudio.training.code_corpus import CodeCorpus
from keras_rawaudio.training.json_files import damaged_if_wrong
from keras_rawaudio.training.live import LivePage, live_page
from keras_rawaudio.training.replicas import Replicas
from keras_rawaudio.training.resource_estimate import require_memory
from keras_rawaudio.training.run_folder import RunFolder
from keras_rawaudio.training.schedule import Budget
from keras_rawaudio.training.train import fit_run, train


def resume(
    run: str | Path,
    budget: Budget | None = None,
    live: int | None = None,
    learning_rate: float | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    strategy: tf.distribute.Strategy | None = None,
) -> bool:
    """Go on with a run where it stopped, as if it had not.

    A run that was killed before its first checkpoint starts over.

    Args:
        run: its folder.
        budget: the whole run's, not what is left of it; `None`: the one that it was begun with.
        live: as in `train`.
        learning_rate: for the rest of the run, at the start of its schedule; `None`: its own.
        callbacks: as in `train`.
        strategy: as in `train`. It need not have the replicas that the run was begun with.

    Returns:
        As `train`.

    Raises:
        UserError: not a run folder, in use, its corpus is gone, or a port in use.
    """
    if RunFolder(run).can_start_over():
        request = requested(RunFolder(run), budget, learning_rate)
        return train(run=run, live=live, callbacks=callbacks, strategy=strategy, **request)
    require_float32()
    replicas = Replicas(strategy)
    if not replicas.chief:
        with replicas.complete():
            return _resume(RunFolder.open(run), budget, None, learning_rate, (), replicas)
    with RunFolder.resuming(run) as folder, live_page(folder, live) as page, replicas.complete():
        return _resume(folder, budget, page, learning_rate, callbacks, replicas)


def _resume(
    folder: RunFolder,
    budget: Budget | None,
    page: LivePage | None,
    learning_rate: float | None,
    callbacks: Sequence[keras.callbacks.Callback],
    replicas: Replicas,
) -> bool:
    description = folder.describe()
    recipe = _recipe(folder.read_recipe(), learning_rate)
    require_memory(recipe)
    replicas.rows(recipe.data.batch)
    model: Model
    data = None
    with damaged_if_wrong(folder.description):
        budget = budget or Budget(**description["budget"])
    corpus = open_corpus(description["corpus"])
    keras.utils.set_random_seed(description["seed"])
    if isinstance(recipe, SpectralRecipe):
        with replicas.strategy.scope():
            model = spectral_model(recipe, corpus)
        data = CodeCorpus.load(folder.codes, model.spectral_codec.codebook_size)
    else:
        with damaged_if_wrong(folder.description):
            codec = codec_from_json(description["codec"])
        with replicas.strategy.scope():
            if isinstance(recipe, RefinerRecipe):
                model = refiner_model(recipe, codec)
            else:
                model = build_model(recipe, codec)
    return fit_run(
        folder,
        recipe,
        corpus,
        model,
        data,
        description,
        budget,
        page,
        callbacks,
        replicas,
        resume=True,
    )


def requested(
    source: RunFolder, budget: Budget | None = None, learning_rate: float | None = None
) -> dict[str, Any]:
    """Read what a run was asked for.

    Args:
        source: its folder.
        budget: another one; `None`: the one of the request.
        learning_rate: likewise.

    Returns:
        The arguments of `train` that say what is trained.

    Raises:
        UserError: the request is missing or damaged.
    """
    request = source.read_request()
    with damaged_if_wrong(source.request):
        return {
            "audio": [str(path) for path in request["audio"]],
            "recipe": _recipe(request["recipe"], learning_rate),
            "budget": budget or Budget(**request["budget"]),
            "corpus_settings": CorpusSettings(**request["corpus_settings"]),
            "cache": None if request["cache"] is None else Path(request["cache"]),
            "seed": request["seed"],
        }


def _recipe(values: dict[str, Any], learning_rate: float | None) -> AnyRecipe:
    if learning_rate is not None:
        training = values.get("training")
        values = {**values, "training": {**(training or {}), "learning_rate": learning_rate}}
    return recipe_from_json(values)
