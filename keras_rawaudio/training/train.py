"""From audio to a run folder: what `train.py` calls."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_rawaudio.data.codecs import codec_from_json, fit_codec
from keras_rawaudio.data.corpus import Corpus, CorpusSettings, prepare
from keras_rawaudio.data.corpus.settings import PARTS
from keras_rawaudio.files import replacing
from keras_rawaudio.models import Model, SpectralModel
from keras_rawaudio.provenance import git_revision, versions
from keras_rawaudio.recipes import AnyRecipe, RefinerRecipe, SpectralRecipe, recipe_from_json
from keras_rawaudio.training.arithmetic import require_float32
from keras_rawaudio.training.baselines import EncodedSegment, baselines
from keras_rawaudio.training.build import build_model, refiner_model, spectral_model
from keras_rawaudio.training.code_corpus import CodeCorpus
from keras_rawaudio.training.live import LivePage, live_page
from keras_rawaudio.training.replicas import Replicas
from keras_rawaudio.training.resource_estimate import require_memory
from keras_rawaudio.training.run_folder import FORMAT_VERSION, RunFolder, damaged_if_wrong
from keras_rawaudio.training.schedule import Budget
from keras_rawaudio.training.trainer import Trainer


def train(
    audio: Sequence[str | Path],
    run: str | Path,
    recipe: AnyRecipe,
    budget: Budget,
    corpus_settings: CorpusSettings | None = None,
    cache: Path | None = None,
    seed: int = 0,
    live: int | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    strategy: tf.distribute.Strategy | None = None,
) -> bool:
    """Train a new generator.

    Args:
        audio: files and folders.
        run: the run folder to make.
        recipe: what to train.
        budget: how long.
        corpus_settings: rate, channels, trimming, split; what they leave open, the recipe decides.
        cache: where the prepared corpus is kept; `None`: the user's cache folder.
        seed: of the weights and of the data's order.
        live: the port of a page that shows how it goes, 0 for any; `None`: no page.
        callbacks: Keras callbacks, as in `Trainer`.
        strategy: `MirroredStrategy` or `MultiWorkerMirroredStrategy`, over whose replicas each
            batch is divided; `None`: one replica. Of several processes the chief alone writes.

    Returns:
        Whether the budget was used; `False` after Ctrl-C.

    Raises:
        UserError: audio that cannot be used, a folder that is in use or cannot be written, a
            port in use, a batch that the replicas do not divide, or another process that is gone.
    """
    require_float32()
    require_memory(recipe)
    settings = corpus_settings or CorpusSettings()
    replicas = Replicas(strategy)
    replicas.rows(recipe.data.batch)
    if not replicas.chief:
        folder = RunFolder(run)
        with replicas.complete():
            return _train(audio, folder, recipe, budget, settings, cache, seed, None, (), replicas)
    # A folder that cannot be written is found before the work.
    with RunFolder.making(run) as folder, live_page(folder, live) as page, replicas.complete():
        folder.write_json(
            folder.request,
            {
                "audio": [_absolute(path) for path in audio],
                "recipe": recipe.to_json(),
                "corpus_settings": asdict(settings),
                "cache": None if cache is None else _absolute(cache),
                "seed": seed,
                "budget": asdict(budget),
            },
        )
        return _train(
            audio, folder, recipe, budget, settings, cache, seed, page, callbacks, replicas
        )


def _train(
    audio: Sequence[str | Path],
    folder: RunFolder,
    recipe: AnyRecipe,
    budget: Budget,
    corpus_settings: CorpusSettings,
    cache: Path | None,
    seed: int,
    page: LivePage | None,
    callbacks: Sequence[keras.callbacks.Callback],
    replicas: Replicas,
) -> bool:
    corpus = prepare(audio, cache, recipe.data.corpus(corpus_settings))
    keras.utils.set_random_seed(seed)
    model, data = _new_model(recipe, corpus, replicas)
    if data and replicas.chief:
        with replacing(folder.codes) as partial:
            data.save(partial)
    quick = baselines(data or corpus, model, "validation", orders=())
    trainer = Trainer(
        folder,
        recipe,
        corpus,
        model,
        budget,
        seed,
        quick,
        page=page,
        data=data,
        callbacks=callbacks,
        replicas=replicas,
    )
    if not replicas.chief:
        return trainer.fit()
    folder.write_json(folder.recipe, recipe.to_json())
    folder.write_json(
        folder.description,
        {
            "format_version": FORMAT_VERSION,
            "corpus": str(corpus.folder.resolve()),
            "data": corpus.describe(),
            "samples_sha256": samples_sha256(corpus),
            "sample_rate": corpus.sample_rate,
            "codec": model.codec.to_json(),
            **({"model": model.settings()} if isinstance(model, SpectralModel) else {}),
            "measure": model.head.measure,
            "baselines": quick,
            "budget": asdict(budget),
            "parameters": model.count_params(),
            "seed": seed,
            "versions": versions(),
            "git_revision": git_revision(),
        },
    )
    return trainer.fit()


def _new_model(
    recipe: AnyRecipe, corpus: Corpus, replicas: Replicas
) -> tuple[Model, CodeCorpus | None]:
    """A model with fresh weights, what it does not learn taken from the train part; and its codes,
    where it learns from codes."""
    if isinstance(recipe, SpectralRecipe):
        with replicas.strategy.scope():
            spectral = spectral_model(recipe, corpus)
        spectral.prepare(corpus.segments("train"), corpus.segment_labels("train"))
        replicas.share(spectral.variables)
        return spectral, CodeCorpus.encode(corpus, spectral, recipe.spectral.tempos)
    codec = fit_codec(parts=corpus.parts(), **recipe.codec.model_dump())
    if isinstance(recipe, RefinerRecipe):
        with replicas.strategy.scope():
            return refiner_model(recipe, codec), None
    with replicas.strategy.scope():
        model = build_model(recipe, codec)
    train_part: list[Any] = [EncodedSegment(s, codec) for s in corpus.segments("train")]
    model.prepare(train_part, corpus.sample_rate)
    replicas.share(model.variables)
    return model, None


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
        return start_over(RunFolder(run), run, budget, live, learning_rate, callbacks, strategy)
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
    corpus = Corpus.open(Path(description["corpus"]))
    seed, quick = description["seed"], description["baselines"]
    keras.utils.set_random_seed(seed)
    if isinstance(recipe, SpectralRecipe):
        data = CodeCorpus.load(folder.codes)
        with replicas.strategy.scope():
            model = SpectralModel(**description["model"])
    else:
        with damaged_if_wrong(folder.description):
            codec = codec_from_json(description["codec"])
        with replicas.strategy.scope():
            if isinstance(recipe, RefinerRecipe):
                model = refiner_model(recipe, codec)
            else:
                model = build_model(recipe, codec)
    trainer = Trainer(
        folder,
        recipe,
        corpus,
        model,
        budget,
        seed,
        quick,
        resume=True,
        page=page,
        data=data,
        callbacks=callbacks,
        replicas=replicas,
    )
    if learning_rate is not None and replicas.chief:
        folder.write_json(folder.recipe, recipe.to_json())
    if replicas.chief:
        folder.write_json(folder.description, {**description, "budget": asdict(budget)})
    return trainer.fit()


def start_over(
    source: RunFolder,
    run: str | Path,
    budget: Budget | None = None,
    live: int | None = None,
    learning_rate: float | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    strategy: tf.distribute.Strategy | None = None,
) -> bool:
    """Train as another run, or the same one before its first checkpoint, was asked to.

    Args:
        source: the folder whose request is read.
        run: the run folder to make.
        budget: `None`: the one of the request.
        live: as in `train`.
        learning_rate: `None`: the one of the request.
        callbacks: as in `train`.
        strategy: as in `train`.

    Returns:
        As `train`.

    Raises:
        UserError: as `train`; or the request is damaged.
    """
    request = source.read_request()
    recipe = _recipe(request["recipe"], learning_rate)
    with damaged_if_wrong(source.request):
        budget = budget or Budget(**request["budget"])
        settings = CorpusSettings(**request["corpus_settings"])
        audio = [str(path) for path in request["audio"]]
        cache = None if request["cache"] is None else Path(request["cache"])
    seed = request["seed"]
    return train(audio, run, recipe, budget, settings, cache, seed, live, callbacks, strategy)


def samples_sha256(corpus: Corpus) -> str:
    """SHA-256 of all samples of a corpus, part by part: the same audio has the same one."""
    digest = hashlib.sha256()
    for part in PARTS:
        for segment in corpus.segments(part):
            digest.update(f"{part} {segment.shape}".encode())
            digest.update(np.ascontiguousarray(segment).data)
    return digest.hexdigest()


def _recipe(values: dict[str, Any], learning_rate: float | None) -> AnyRecipe:
    if learning_rate is not None:
        training = values.get("training")
        values = {**values, "training": {**(training or {}), "learning_rate": learning_rate}}
    return recipe_from_json(values)


def _absolute(path: str | Path) -> str:
    return str(path) if "://" in str(path) else str(Path(path).resolve())
