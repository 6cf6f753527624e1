"""From audio to a run folder: what `train.py` calls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import keras

from keras_rawaudio.data.codecs import codec_from_json, fit_codec
from keras_rawaudio.data.corpus import Corpus, CorpusSettings, prepare
from keras_rawaudio.provenance import git_revision, versions
from keras_rawaudio.recipes import Recipe, recipe_from_json
from keras_rawaudio.training.baselines import EncodedSegment, baselines
from keras_rawaudio.training.build import build_model
from keras_rawaudio.training.live import LivePage, live_page
from keras_rawaudio.training.run_folder import FORMAT_VERSION, RunFolder
from keras_rawaudio.training.schedule import Budget
from keras_rawaudio.training.trainer import Trainer


def train(
    audio: Sequence[str | Path],
    run: str | Path,
    recipe: Recipe,
    budget: Budget,
    corpus_settings: CorpusSettings | None = None,
    cache: Path | None = None,
    seed: int = 0,
    live: int | None = None,
) -> bool:
    """Train a new generator.

    Args:
        audio: files and folders.
        run: the run folder to make.
        recipe: what to train.
        budget: how long.
        corpus_settings: rate, trimming, split.
        cache: where the prepared corpus is kept; `None`: the user's cache folder.
        seed: of the weights and of the data's order.
        live: the port of a page that shows how it goes, 0 for any; `None`: no page.

    Returns:
        Whether the budget was used; `False` after Ctrl-C.

    Raises:
        UserError: audio that cannot be used, a folder that cannot be written, or a port in use.
    """
    # A folder that cannot be written is found before the work.
    with RunFolder.making(run) as folder, live_page(folder, live) as page:
        return _train(audio, folder, recipe, budget, corpus_settings, cache, seed, page)


def _train(
    audio: Sequence[str | Path],
    folder: RunFolder,
    recipe: Recipe,
    budget: Budget,
    corpus_settings: CorpusSettings | None,
    cache: Path | None,
    seed: int,
    page: LivePage | None,
) -> bool:
    corpus = prepare(audio, cache, corpus_settings or CorpusSettings())
    options = {k: v for k, v in recipe.codec.items() if k != "name"}
    codec = fit_codec(recipe.codec["name"], corpus.parts(), **options)
    keras.utils.set_random_seed(seed)
    model = build_model(recipe, codec)
    train_part: list[Any] = [EncodedSegment(s, codec) for s in corpus.segments("train")]
    model.prepare(train_part, corpus.sample_rate)
    quick = baselines(corpus, model, "validation", orders=())
    trainer = Trainer(folder, recipe, corpus, model, budget, seed, quick, page=page)
    folder.write_json(folder.recipe, recipe.to_json())
    folder.write_json(
        folder.description,
        {
            "format_version": FORMAT_VERSION,
            "corpus": str(corpus.folder.resolve()),
            "data": corpus.describe(),
            "sample_rate": corpus.sample_rate,
            "codec": codec.to_json(),
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


def resume(run: str | Path, budget: Budget | None = None, live: int | None = None) -> bool:
    """Go on with a run where it stopped, as if it had not.

    Args:
        run: its folder.
        budget: the whole run's, not what is left of it; `None`: the one that it was begun with.
        live: as in `train`.

    Returns:
        As `train`.

    Raises:
        UserError: not a run folder, its corpus is gone, or a port in use.
    """
    folder = RunFolder.open(run)
    description = folder.describe()
    recipe = recipe_from_json(folder.read_recipe())
    budget = budget or Budget(**description["budget"])
    corpus = Corpus.open(Path(description["corpus"]))
    keras.utils.set_random_seed(description["seed"])
    model = build_model(recipe, codec_from_json(description["codec"]))
    seed, quick = description["seed"], description["baselines"]
    with live_page(folder, live) as page:
        trainer = Trainer(
            folder, recipe, corpus, model, budget, seed, quick, resume=True, page=page
        )
        folder.write_json(folder.description, {**description, "budget": asdict(budget)})
        return trainer.fit()
