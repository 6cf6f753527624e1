"""What the benchmarks share: fresh models, exported files and their speed, lines and tables."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
# Both packages of this checkout, installed or not.
sys.path[:0] = [str(ROOT), str(ROOT / "serving")]

if TYPE_CHECKING:
    from keras_rawaudio.models import AudioModel, SpectralModel
    from keras_rawaudio.recipes import Recipe, SpectralRecipe

CODECS = {"categorical": "mulaw", "predictive": "peak", "regression": "standardize"}
PIECE_SECONDS = 4.0  # of the synthesised piece that codecs and predictors of fresh models see
CODEBOOK_SECONDS = 60.0  # of the one that codebooks of spectra are taken from


def machine() -> dict[str, Any]:
    """What the figures were taken on, and with."""
    cpu = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        cpu = next(line.split(":", 1)[1].strip() for line in lines if "model name" in line)
    except (OSError, StopIteration):
        pass
    found: dict[str, Any] = {"cpu": cpu, "cpus": os.cpu_count()}
    for name in ("tensorflow", "onnxruntime"):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = None
    return found


def load_sample_recipe(name: str, overrides: Mapping[str, Any] | None = None) -> Recipe:
    """A recipe of a model that draws samples.

    Raises:
        UserError: there is no such recipe, or its model draws codes or revises audio.
    """
    from keras_rawaudio.errors import UserError
    from keras_rawaudio.recipes import Recipe, load_recipe

    recipe = load_recipe(name, overrides or {})
    if not isinstance(recipe, Recipe):
        raise UserError(f"this benchmark is for recipes that draw samples, such as raw, not {name}")
    return recipe


def reshaped(
    recipe: Recipe, tiers: Sequence[int] | None = None, width: int | None = None
) -> Recipe:
    """A recipe with tiers of other frames, or with all layers of one width."""
    from keras_rawaudio.recipes import recipe_from_json

    values = recipe.to_json()
    if tiers:
        units = values["tiers"][0]["units"]
        values["tiers"] = [{"frame_size": frame, "units": units} for frame in tiers]
        values["data"]["length"] = -(-values["data"]["length"] // tiers[0]) * tiers[0]
    if width:
        for tier in values["tiers"]:
            tier |= {"units": width}
        if "hidden_units" in values["head"]:
            values["head"]["hidden_units"] = width
    return recipe_from_json(values)


def plain_recipe(kind: str, tiers: Sequence[int], width: int, levels: int = 256) -> Recipe:
    """A head of this kind as it comes, under one-layer GRU tiers, all of one width."""
    from keras_rawaudio.recipes import recipe_from_json

    codec: dict[str, Any] = {"name": CODECS[kind]}
    if kind == "categorical":
        codec["levels"] = levels
    return recipe_from_json(
        {
            "name": f"{kind}-{'-'.join(map(str, tiers))}x{width}",
            "description": "fresh weights",
            "codec": codec,
            "tiers": [{"frame_size": frame, "units": width} for frame in tiers],
            "head": {"kind": kind} | ({"hidden_units": width} if kind != "regression" else {}),
            "data": {"length": max(tiers) * 16},
        }
    )


def fresh_model(recipe: Recipe, sample_rate: int = 16_000) -> AudioModel:
    """A model with random weights, its codec and predictor fitted on a synthesised piece."""
    import keras

    from keras_rawaudio.data.codecs import fit_codec
    from keras_rawaudio.data.corpus.synthesis import synthesise
    from keras_rawaudio.training.build import build_model

    piece = synthesise(PIECE_SECONDS, sample_rate)
    parts = {"train": lambda: iter([piece])}
    codec = fit_codec(parts=parts, **recipe.codec.model_dump())
    keras.utils.set_random_seed(0)
    model = build_model(recipe, codec)
    model.head.fit([codec.encode(piece)])
    # A bias of zeros would be left out of the exported graph, and those of trained models are not.
    for weight in model.trainable_weights:
        if not keras.ops.any(weight != 0):
            weight.assign(keras.random.normal(weight.shape, stddev=1e-3))
    return model


def fresh_spectral_model(recipe: SpectralRecipe, sample_rate: int = 16_000) -> SpectralModel:
    """A mono model of codes with random weights, its codebooks from a synthesised piece."""
    import keras

    from keras_rawaudio.data.corpus.synthesis import synthesise
    from keras_rawaudio.dsp.block_spectra import BlockSpectra
    from keras_rawaudio.dsp.spectral_codebook import codebook_size
    from keras_rawaudio.models import SpectralModel

    piece = synthesise(CODEBOOK_SECONDS, sample_rate)
    settings = recipe.spectral.model_dump()
    blocks = len(piece) // BlockSpectra(sample_rate).block
    settings["codebook_size"] = settings["codebook_size"] or codebook_size(blocks)
    keras.utils.set_random_seed(0)
    model = SpectralModel(sample_rate, 1, **settings)
    model.prepare([piece])
    return model


def export_fresh(
    recipe: Recipe | SpectralRecipe, folder: Path, sample_rate: int, int8: bool = False
) -> Path:
    """The path of an ONNX file of a fresh model."""
    from keras_rawaudio.exporters.metadata import describe, describe_origin
    from keras_rawaudio.exporters.onnx_model import export_onnx
    from keras_rawaudio.recipes import SpectralRecipe

    model: AudioModel | SpectralModel
    if isinstance(recipe, SpectralRecipe):
        model = fresh_spectral_model(recipe, sample_rate)
    else:
        model = fresh_model(recipe, sample_rate)
    path = folder / recipe.name / "generator.onnx"
    path.parent.mkdir(parents=True, exist_ok=True)
    origin = describe_origin(sample_rate, recipe.to_json(), "none")
    export_onnx(model, describe(model, origin), path, int8)
    return path


def generation_speed(
    path: Path, streams: int, threads: int, seconds: float, provider: str = "cpu"
) -> dict[str, Any]:
    """Play an exported file and look at the clock.

    Returns:
        `us_per_sample` of one stream's sample, `us_per_step` of all streams together,
        `us_per_sample_best` (the fastest block's), `cpu_us_per_sample` (processor time of all
        threads, which other programs change less), `realtime_factor` of all streams in sum,
        `realtime_factor_per_stream`, and `block_p999`, the 99.9th percentile of the time that a
        block takes, as a share of its own length: above 1, a listener hears a gap.
    """
    from keras_rawaudio_serving import Sampler

    sampler = Sampler.load(path, streams=streams, threads=threads, random_seed=0, provider=provider)
    sampler.generate(0.2)  # the first runs allocate
    blocks: list[tuple[int, float]] = []
    cpu = time.process_time()
    mark = begin = time.perf_counter()
    for block in sampler.stream(seconds, block_seconds=0.1):
        now = time.perf_counter()
        blocks.append((block.shape[1], now - mark))
        mark = now
    wall, cpu = time.perf_counter() - begin, time.process_time() - cpu
    samples = sum(n for n, _ in blocks)
    per_sample = [spent / n for n, spent in blocks]
    return {
        "us_per_sample": round(1e6 * wall / samples / streams, 3),
        "us_per_step": round(1e6 * wall / samples, 3),
        "us_per_sample_best": round(1e6 * min(per_sample) / streams, 3),
        "cpu_us_per_sample": round(1e6 * cpu / samples / streams, 3),
        "realtime_factor": round(samples * streams / sampler.sample_rate / wall, 3),
        "realtime_factor_per_stream": round(samples / sampler.sample_rate / wall, 3),
        "block_p999": round(float(np.percentile(per_sample, 99.9)) * sampler.sample_rate, 3),
        "sample_rate": sampler.sample_rate,
        "provider": provider,
        "streams": streams,
        "threads": threads,
        "seconds": seconds,
    }


def print_line(result: dict[str, Any]) -> None:
    """One JSON line on stdout; numbers that JSON lacks become null."""
    print(json.dumps(plain(result), allow_nan=False), flush=True)


def plain(value: Any) -> Any:
    """NumPy's numbers and paths as JSON has them; NaN and infinity as None."""
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return str(value) if isinstance(value, Path) else value


def print_table(rows: Sequence[dict[str, Any]], columns: Sequence[str]) -> None:
    """A table on stderr, for people."""
    cells = [list(columns), *([_word(row.get(c)) for c in columns] for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(columns))]
    for row in cells:
        line = "  ".join(word.rjust(width) for word, width in zip(row, widths, strict=True))
        print(line, file=sys.stderr)


def _word(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def say(words: str) -> None:
    """Where a long benchmark stands, on stderr."""
    print(words, file=sys.stderr, flush=True)


def run_main(parser: argparse.ArgumentParser, main: Any) -> int:
    """Parse and run; a user's mistake is one line on stderr."""
    from keras_rawaudio.cli.tensorflow_loader import load_tensorflow
    from keras_rawaudio.errors import UserError

    options = parser.parse_args()
    load_tensorflow()

    from keras_rawaudio_serving import ServingError

    try:
        main(options)
    except (UserError, ServingError) as error:
        print(f"{Path(sys.argv[0]).name}: {error}", file=sys.stderr)
        return 2
    return 0


def nested_graphs(graph: Any) -> Iterator[tuple[Any, Any]]:
    """Pairs of a node and a graph inside of it, one level down."""
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield node, attribute.g
