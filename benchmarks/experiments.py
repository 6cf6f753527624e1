"""The questions of 2016, asked again by experiment; writes their figures and the page of answers.

python benchmarks/experiments.py --audio cold_day.flac                   # all questions
python benchmarks/experiments.py --audio cold_day.flac --question noise  # one of them
python benchmarks/experiments.py --render                                # the page alone

Each question is a file of experiments/: its systems, and what was predicted in 2016. Each system's
learning rate is chosen on the validation part, with a seed that is not used again. Then it is
trained with each seed, and compared with the question's first system at equal steps, and at the
processor time that those steps take the reference. A run is kept in --work under a hash of its
settings and samples: the same command goes on where it stopped, and several may share a folder.
Optuna tries the learning rates. With --engine ray each system is a task of Ray's, on this machine's
cores or on the cluster that RAY_ADDRESS names, whose machines must see --work and --cache.

pip install -e '.[sweep]'  # and '.[ray]' for --engine ray
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from common import ROOT, machine, plain, run_main, say
from experiment_page import COMPUTE, STEPS, write_page

HERE = Path(__file__).with_name("experiments")
REFERENCE = "frame-gru"
# Processor time is then what a step costs, whatever else the machine does.
ONE_THREAD = {"TF_NUM_INTRAOP_THREADS": "1"}
# Small enough that hundreds of runs take minutes.
BASE = ["tiers.0.units=128", "data.length=5000"]
RATES = (3e-4, 1e-3, 2e-3, 5e-3, 1e-2)
TUNING_SEED = 1000
FIGURES = 4  # changes with what is measured of a trained system
SCORED = 180  # seconds of each part, at most
MOST = 4  # times the steps, or a fourth of them, at equal compute


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    add = parser.add_argument
    add("--audio", nargs="+", help="files and folders to learn from")
    add("--question", nargs="+", metavar="NAME", help="those to ask (all)")
    add("--steps", type=int, default=200, help="of training, for each system (200)")
    add("--seeds", type=int, default=5, help="runs of each system after tuning (5)")
    add("--rates", type=float, nargs="+", default=RATES, help="learning rates to choose from")
    add("--scored", type=int, default=SCORED, metavar="S", help="seconds of each part (180)")
    add("--set", nargs="+", default=BASE, metavar="KEY=VALUE", help="laid over every system")
    add("--render", action="store_true", help="write the page from what is known; train nothing")
    add("--questions", type=Path, default=HERE, metavar="FOLDER", help="of the questions' files")
    add("--out", type=Path, default=ROOT / "docs/research", metavar="FOLDER", help="of the page")
    add("--engine", choices=("none", "ray"), default="none", help="what runs systems side by side")
    add("--work", type=Path, default=Path("runs/experiments"), metavar="FOLDER", help="of the runs")
    add("--cache", type=Path, metavar="FOLDER", help="where prepared audio is kept")
    return parser


def main(options: argparse.Namespace) -> None:
    from experiment_questions import read_questions

    from keras_rawaudio.errors import UserError, nearest

    questions = read_questions(options.questions)
    names = [question["name"] for question in questions]
    for name in options.question or []:
        if name not in names:
            raise UserError(f"no question {name!r}; {nearest(name, names)}")
    if not options.render:
        if not options.audio:
            raise UserError("--audio is missing: name the files or folders to learn from")
        Experiments(options).ask([q for q in questions if q["name"] in (options.question or names)])
    write_page(questions, options.out)


class Experiments:
    """Runs systems on one corpus, and keeps what comes of them.

    Args:
        options: of the command line.
    """

    def __init__(self, options: argparse.Namespace) -> None:
        from keras_rawaudio.data.corpus import CorpusSettings, prepare

        self.options = options
        options.work.mkdir(parents=True, exist_ok=True)
        settings = CorpusSettings(sample_rate=8000, channels=1)
        self.corpus = prepare(options.audio, options.cache, settings)
        self.sha256 = self.corpus.sha256()
        self.piece = Path(options.audio[0]).name
        self.system: Any = None

    def ask(self, questions: list[dict[str, Any]]) -> None:
        """Answer questions, one system after the other, and keep the figures as they come."""
        systems = [system for question in questions for system in question["systems"].values()]
        wanted = {key(system): system.get("steps", self.options.steps) for system in systems}
        cost = self.step_seconds({})
        each = len(self.options.rates) + self.options.seeds
        minutes = each * sum(wanted.values()) * cost / 60
        say(
            f"{len(wanted)} systems, {each} runs of each, {sum(wanted.values())} steps of "
            f"{1000 * cost:.1f} ms: about {minutes:.0f} minutes of one core, if "
            "all cost what the reference does; compiling, scoring and free running as much again"
        )
        unique = list({key(system): system for system in systems}.values())
        measured = (
            self.by_ray(unique, cost) if self.options.engine == "ray" else self.here(unique, cost)
        )
        for name, figures in measured:
            self.keep(name, figures)
            say(f"{name} is done")

    def here(
        self, systems: list[dict[str, Any]], cost: float
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        """Each system's figures, one after the other in this process."""
        for system in systems:
            yield key(system), self.measure(system, cost)

    def by_ray(
        self, systems: list[dict[str, Any]], cost: float
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        """Each system's figures, as Ray's tasks end."""
        import ray

        if not ray.is_initialized():
            ray.init(log_to_driver=False)
        task = ray.remote(num_cpus=1)(measure_elsewhere)
        names = {task.remote(self.options, system, cost): key(system) for system in systems}
        while names:
            (done, *_), _ = ray.wait(list(names))
            yield names.pop(done), ray.get(done)

    def keep(self, name: str, figures: dict[str, Any]) -> None:
        """Add a system's figures to those of the page."""
        from keras_rawaudio.files import replacing

        path = self.options.out / "answers.json"
        known = json.loads(path.read_text()) if path.is_file() else {}
        piece = known.setdefault(self.piece, {"systems": {}})
        piece["piece"] = self.cached({"piece": FIGURES}, self.measure_piece)
        piece["machine"] = machine()
        piece["systems"][name] = figures
        self.options.out.mkdir(parents=True, exist_ok=True)
        with replacing(path) as partial:
            partial.write_text(json.dumps(plain(known), indent=1, sort_keys=True) + "\n")

    def measure(self, system: dict[str, Any], reference_cost: float) -> dict[str, Any]:
        """Tune a system, then train it with every seed."""
        steps = system.get("steps", self.options.steps)
        cost = self.step_seconds(system)
        at_equal_cost = steps * min(MOST, max(1 / MOST, reference_cost / cost))
        budgets = {STEPS: steps, COMPUTE: round(at_equal_cost)}
        best, scores = self.tune(system, steps)
        seeds = [
            self.train(system, best, seed, budgets, True) for seed in range(self.options.seeds)
        ]
        recipe = self.recipe(system)
        design = {
            "units": recipe["tiers"][0]["units"],
            "rows": recipe["data"]["batch"],
            "steps": steps,
        }
        return {
            "design": design,
            "learning_rate": best,
            "tuning": scores,
            "step_milliseconds": round(1000 * cost, 2),
            "steps": budgets,
            "seeds": seeds,
        }

    def tune(self, system: dict[str, Any], steps: int) -> tuple[float, dict[str, float | None]]:
        """The learning rate that is best on the validation part, and the score of each.

        A rate that diverges has no score. The study is kept in memory: its runs are kept in --work.
        """
        import optuna

        from keras_rawaudio.errors import UserError

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        study = optuna.create_study(
            sampler=optuna.samplers.GridSampler(
                {"rate": list(self.options.rates)}, seed=TUNING_SEED
            )
        )

        def score(trial: optuna.Trial) -> float:
            rate = trial.suggest_categorical("rate", self.options.rates)
            found = self.train(system, rate, TUNING_SEED, {STEPS: steps}, False)
            validation = found[STEPS]["validation"]
            if validation is None:
                raise optuna.TrialPruned
            return float(validation)

        study.optimize(score)
        tried = {trial.params["rate"]: trial.value for trial in study.trials}
        if not any(value is not None for value in tried.values()):
            raise UserError(
                f"each learning rate of {system['recipe']} diverges; give lower --rates"
            )
        return study.best_params["rate"], {f"{r:g}": tried[r] for r in self.options.rates}

    def train(
        self,
        system: dict[str, Any],
        rate: float,
        seed: int,
        budgets: dict[str, int],
        full: bool,
    ) -> dict[str, Any]:
        """One run's figures by budget, from the work folder where they are known."""
        depends = {"rate": rate, "seed": seed, "budgets": budgets, "full": full}
        if full:
            depends |= {"figures": FIGURES, "overlap": system.get("overlap", 1)}
        if self.options.scored != SCORED:
            depends["scored"] = self.options.scored
        refiner = self.refiner(system) if full else None
        if refiner:
            depends["refiner"] = refiner
        return self.cached(
            {**depends, "recipe": self.recipe(system)},
            lambda: self.built(system).train(
                rate, seed, budgets, system.get("overlap", 1) if full else 0, refiner
            ),
        )

    def step_seconds(self, system: dict[str, Any]) -> float:
        """Processor time of a training step."""
        depends = {"recipe": self.recipe(system), "cost": True}
        return float(self.cached(depends, lambda: self.built(system).step_seconds()))

    def cached(self, depends: dict[str, Any], measure: Callable[[], Any]) -> Any:
        """What was measured under the same conditions, or what is measured now."""
        from keras_rawaudio.files import replacing

        text = json.dumps({"samples": self.sha256, **depends}, sort_keys=True)
        path = self.options.work / f"{hashlib.sha256(text.encode()).hexdigest()[:24]}.json"
        if not path.is_file():
            begun = time.process_time()
            figures = plain(measure())
            kept = {"depends": depends, "figures": figures}
            kept["processor_seconds"] = round(time.process_time() - begun, 2)
            with replacing(path) as partial:
                partial.write_text(json.dumps(kept))
        return json.loads(path.read_text())["figures"]

    def recipe(self, system: dict[str, Any]) -> dict[str, Any]:
        from keras_rawaudio.recipes import load_recipe, parse_overrides

        values = parse_overrides([*self.options.set, *system.get("set", [])])
        return load_recipe(system.get("recipe", REFERENCE), values).to_json()

    def refiner(self, system: dict[str, Any]) -> dict[str, Any] | None:
        """Recipe and steps of what revises a system's audio, if anything does."""
        from keras_rawaudio.recipes import load_recipe

        if "refiner" not in system:
            return None
        recipe = load_recipe(system["refiner"]["recipe"]).to_json()
        return {"recipe": recipe, "steps": system["refiner"]["steps"]}

    def built(self, system: dict[str, Any]) -> Any:
        """The system, compiled; the one before is dropped."""
        import keras
        from experiment_run import System

        recipe = self.recipe(system)
        if self.system is None or self.system.values != recipe:
            self.system = None
            keras.backend.clear_session()
            self.system = System(recipe, self.corpus, self.options.scored)
        return self.system

    def measure_piece(self) -> dict[str, Any]:
        from experiment_measures import measure_piece

        return measure_piece(self.corpus)


def measure_elsewhere(
    options: argparse.Namespace, system: dict[str, Any], cost: float
) -> dict[str, Any]:
    """A system's figures, in a process of Ray's."""
    os.environ |= ONE_THREAD
    return Experiments(options).measure(system, cost)


def key(system: dict[str, Any]) -> str:
    """The recipe, what is laid over it, and what differs in its training and generation."""
    other = [f"{name}={system[name]}" for name in ("steps", "overlap") if name in system]
    if "refiner" in system:
        other.append("refiner={recipe} after {steps} steps".format(**system["refiner"]))
    return " ".join([system.get("recipe", REFERENCE), *system.get("set", []), *other])


if __name__ == "__main__":
    os.environ |= ONE_THREAD
    sys.exit(run_main(arguments(), main))
