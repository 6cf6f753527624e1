"""From audio to a new run."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from keras_rawaudio.data.codecs import fit_codec
from keras_rawaudio.data.corpus import Corpus, CorpusSettings, prepare
from keras_rawaudio.dsp.block_spectra import HOPS
from keras_rawaudio.errors import UserError
from keras_rawaudio.files import replacing
from keras_rawaudio.models import Model
from keras_rawaudio.models.copy_detector import READINGS
from keras_rawaudio.provenance import git_revision, versions
from keras_rawaudio.recipes import AnyRecipe, RefinerRecipe, SpectralRecipe
from keras_rawaudio.training.baseline_scores import EncodedSegment, baselines
from keras_rawaudio.training.build import (
    build_model,
    refiner_model,
    require_float32,
    spectral_model,
    with_codebook_size,
)
from keras_rawaudio.training.code_corpus import CodeCorpus
from keras_rawaudio.training.live import LivePage, live_page
from keras_rawaudio.training.replicas import Replicas
from keras_rawaudio.training.resource_estimate import require_memory
from keras_rawaudio.training.run_folder import FORMAT_VERSION, RunFolder
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
    if cache is not None and Path(cache).resolve() == Path(run).resolve():
        raise UserError(f"{run} cannot hold the run and prepared audio; choose another --cache")
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
    if isinstance(recipe, SpectralRecipe):
        recipe = with_codebook_size(recipe, corpus, budget)
    keras.utils.set_random_seed(seed)
    model, data = _new_model(recipe, corpus, replicas)
    if data and replicas.chief:
        with replacing(folder.codes) as partial:
            data.save(partial)
    measured = baselines(data or corpus, model, "validation", orders=())
    if model.head.measure == "variance_unexplained" and not any(measured.values()):
        raise UserError(
            "the validation part is silent, and has no variance to explain; give other audio, or "
            "a recipe that counts bits"
        )
    description = {
        "format_version": FORMAT_VERSION,
        "corpus": corpus.address,
        "data": corpus.describe(),
        "samples_sha256": corpus.sha256(),
        "sample_rate": corpus.sample_rate,
        "codec": model.codec.to_json(),
        "measure": model.head.measure,
        "baselines": measured,
        "parameters": model.count_params(),
        "seed": seed,
        "versions": versions(),
        "git_revision": git_revision(),
    }
    return fit_run(
        folder, recipe, corpus, model, data, description, budget, page, callbacks, replicas
    )


def _new_model(
    recipe: AnyRecipe, corpus: Corpus, replicas: Replicas
) -> tuple[Model, CodeCorpus | None]:
    """A model with fresh weights, what it does not learn taken from the train part; and its codes,
    where it learns from codes."""
    if isinstance(recipe, SpectralRecipe):
        with replicas.strategy.scope():
            spectral = spectral_model(recipe, corpus)
        spectral.prepare(
            corpus.segments("train"), corpus.segment_labels("train"), corpus.label_files()
        )
        replicas.share(spectral.variables)
        data = CodeCorpus.encode(corpus, spectral)
        rows, labels = data.segments("train"), data.labels("train")
        known = labels or [0] * len(rows)
        spectral.find_beats(rows, data.starts("train"), known)
        spectral.find_sections(data.read("train", spectral.frame), known[::HOPS])
        spectral.keep_train_part(data.read("train", spectral.frame, READINGS))
        for part in (spectral.sections, spectral.copies):
            replicas.share(part.variables if part else [])
        if labels:
            spectral.count_codes(rows, labels)
        return spectral, data
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


def fit_run(
    folder: RunFolder,
    recipe: AnyRecipe,
    corpus: Corpus,
    model: Model,
    data: CodeCorpus | None,
    description: dict[str, Any],
    budget: Budget,
    page: LivePage | None,
    callbacks: Sequence[keras.callbacks.Callback],
    replicas: Replicas,
    resume: bool = False,
) -> bool:
    """Train a model in its run folder, and write there what it is.

    Args:
        folder: of the run.
        recipe: what is trained.
        corpus: what it is trained on.
        model: new, or with the weights that the checkpoint will replace.
        data: the corpus as codes, for a model of codes.
        description: what run.json holds, but for the budget.
        budget: how long.
        page: shows how it goes.
        callbacks: as in `Trainer`.
        replicas: as in `Trainer`.
        resume: go on from the folder's checkpoint.

    Returns:
        Whether the budget was used; `False` after Ctrl-C.
    """
    trainer = Trainer(
        folder,
        recipe,
        corpus,
        model,
        budget,
        description["seed"],
        description["baselines"],
        resume,
        page,
        data,
        callbacks,
        replicas,
    )

    def describe() -> None:
        folder.write_json(folder.recipe, recipe.to_json())
        folder.write_json(folder.description, {**description, "budget": asdict(budget)})

    return trainer.fit(describe)


def _absolute(path: str | Path) -> str:
    return str(path) if "://" in str(path) else str(Path(os.path.expanduser(path)).resolve())
