"""A recipe of this project, through the contract."""

from __future__ import annotations

import argparse
import csv
import json
import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[2] / part) for part in (".", "serving")]

import contract  # noqa: E402


class Recipe:
    """Trains as `keras-rawaudio train` does; generates by the exported file."""

    def __init__(self, options: argparse.Namespace, parts: contract.Parts) -> None:
        self.options, self.parts = options, parts
        self.run = options.out / "run"
        self.levels: str | None = None
        self.parameters = 0
        self.settings = {"recipe": options.recipe, "temperature": 1.0, "changed": ""}

    def learn(self, minutes: float) -> dict[str, float | None]:
        from keras_rawaudio.data.corpus import CorpusSettings
        from keras_rawaudio.recipes import load_recipe
        from keras_rawaudio.training import throughput
        from keras_rawaudio.training.run_folder import RunFolder
        from keras_rawaudio.training.schedule import Budget
        from keras_rawaudio.training.train import train

        throughput.CLOCK = contract.CLOCK
        piece = json.loads((self.options.data / "piece.json").read_text())
        train(
            [piece["piece"]],
            self.run,
            load_recipe(self.options.recipe, {"training.sample_seconds": 0.0}),
            Budget(minutes=minutes),
            CorpusSettings(piece["sample_rate"], channels=1, split=tuple(piece["split"])),
            self.options.out / "cache",
            self.options.random_seed,
        )
        run = RunFolder.open(self.run)
        self.parameters = run.describe()["parameters"]
        with run.log.open(newline="") as file:
            last = list(csv.DictReader(file))[-1]
        data = run.read_recipe()["data"]
        steps = int(last["step"])
        # Windows of a spectral model are blocks of codes, not samples.
        spectral = run.read_recipe().get("spectral")
        samples = None if spectral else steps * data["batch"] * data["length"]
        return {"steps": steps, "samples": samples, "seconds": 60 * float(last["minutes"])}

    def test_bits(self) -> float | None:
        from keras_rawaudio.training.run_scores import evaluate

        bits: float | None = evaluate(self.run, "test").get("bits_per_sample")
        self.levels = None if bits is None else "256 mu-law levels"
        return bits

    def generator(self, streams: int) -> contract.Generator:
        from keras_rawaudio_serving import Sampler

        from keras_rawaudio.exporters.export import export

        model = export(self.run, self.options.out / "exported")
        sampler = Sampler.load(
            model,
            streams=streams,
            threads=1,
            random_seed=self.options.random_seed,
            provider="cpu",
        )
        return lambda samples: sampler.generate(samples / self.parts.rate) / self.parts.peak


if __name__ == "__main__":
    parser = contract.arguments()
    parser.add_argument("--recipe", required=True)
    contract.main(Recipe, ("tensorflow", "onnxruntime"), parser)
