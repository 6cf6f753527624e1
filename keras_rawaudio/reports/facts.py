"""What made a run: recipe, data, codec, sizes, speeds, versions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_rawaudio.data.corpus.settings import PARTS
from keras_rawaudio.metrics.findings import clock
from keras_rawaudio.reports.page import Section, Table
from keras_rawaudio.settings import flat
from keras_rawaudio.training.run_folder import RunFolder

if TYPE_CHECKING:
    from keras_rawaudio.models import Model
    from keras_rawaudio.reports.generation_report import GenerationReport


def facts(
    run: RunFolder,
    model: Model,
    log: Sequence[dict[str, Any]],
    generated: GenerationReport | None,
) -> list[Section]:
    """The sections of a run's page that hold no sound.

    Args:
        run: its folder.
        model: the one that generated.
        log: the rows of its log.
        generated: audio of the model, if there is any.
    """
    described = run.describe()
    rate, parts = described["sample_rate"], described["data"]["parts"]
    kind = "stereo" if described["data"].get("channels", 1) == 2 else "mono"
    data = [["rate", f"{rate} Hz, {kind}"], ["codec", settings(described["codec"])]]
    data += [[f"{part} part", f"{clock(parts[part]['samples'] / rate)} min"] for part in PARTS]
    data += [[Path(source["path"]).name, source["path"]] for source in described["data"]["sources"]]
    sizes = [
        ["parameters", f"{described['parameters']:,}"],
        ["model file", f"{run.best.stat().st_size / 1e6:.1f} MB"],
    ]
    of_codes = described["measure"] == "bits_per_code"
    if of_codes:
        sizes.append(["a block", f"{model.block} samples, {model.frame} codes"])
    else:
        sizes += [
            ["a step of the slowest tier", f"{model.block} samples"],
            ["samples that are seen directly", f"{model.context + 1}"],
        ]
    if log:
        last, unit = log[-1], "codes" if of_codes else "samples"
        sizes += [
            ["trained for", f"{last['minutes']:.1f} minutes, {last['step']} steps"],
            ["training", f"{last['samples_per_second']:,.0f} {unit}/s at the end"],
        ]
    if generated:
        drawn = f"{generated.speed:,.0f} samples/s of each of {len(generated.streams)} streams"
        sizes.append(["drawing, by Keras", f"{drawn} (an exported file is faster)"])
    made = [
        ["revision", described["git_revision"] or "unknown"],
        ["random seed", str(described["seed"])],
    ]
    made += [[name, version] for name, version in described["versions"].items()]
    recipe = [[key, value] for key, value in flat(run.read_recipe()).items()]
    return [
        Section("Data and codec", tables=[Table(["", ""], data)]),
        Section("Sizes and speeds", tables=[Table(["", ""], sizes)]),
        Section("Recipe", tables=[Table(["setting", "value"], recipe)]),
        Section("Versions", tables=[Table(["", ""], made)]),
    ]


def settings(values: dict[str, Any]) -> str:
    """Settings in one line.

    Example:
        >>> settings({"name": "mulaw", "levels": 256})
        'name mulaw, levels 256'
    """
    return ", ".join(f"{key} {value}" for key, value in flat(values).items())
