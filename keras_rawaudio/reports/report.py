"""A run on one page: its learning curves, generated audio, measures and facts."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from keras_rawaudio.data.corpus import open_corpus
from keras_rawaudio.errors import UserError
from keras_rawaudio.files import refuse_unwritable
from keras_rawaudio.metrics.brackets import compare_with_piece
from keras_rawaudio.metrics.diversity import own_diversity
from keras_rawaudio.metrics.findings import clock
from keras_rawaudio.metrics.nll_over_time import bits_by_loudness, bits_by_second
from keras_rawaudio.metrics.over_time import Track
from keras_rawaudio.metrics.reference import Reference
from keras_rawaudio.models import Model, Refiner, SpectralModel
from keras_rawaudio.plots import learning_curve, tracks_figure
from keras_rawaudio.reports.distances import distances_section
from keras_rawaudio.reports.evaluated_audio import measures, spectrograms
from keras_rawaudio.reports.facts import facts
from keras_rawaudio.reports.generation_report import GenerationReport, generate_and_evaluate
from keras_rawaudio.reports.page import (
    Player,
    Section,
    Table,
    drawn,
    refuse_other_pages,
    write_page,
)
from keras_rawaudio.training.copy_meter import NOTED_COPY
from keras_rawaudio.training.csv_log import DRAWN, read_log
from keras_rawaudio.training.model_files import load_model
from keras_rawaudio.training.nll import sample_bits
from keras_rawaudio.training.run_folder import UNITS, RunFolder

QUICK_SAMPLES = 1 << 15  # of each stream, unless a length is given
SHORTEST = 1.0
BITS_SECONDS = 20.0  # of the validation part
MEMORISED = (
    ". It predicts audio that it never saw worse than code frequencies do: it has memorised the "
    "train part, and may copy it. More audio helps"
)


def write_report(run: str | Path, out: Path | None = None, seconds: float | None = None) -> Path:
    """Write the page of a run, and what was measured into its folder.

    Args:
        run: the run folder, with a best model.
        out: the HTML file; `None`: `report.html` in the run folder.
        seconds: length of each generated stream, 1 or more; 0: none; `None`: that of a
            validation's sample, and no more than takes some ten seconds.

    Returns:
        The path of the page.

    Raises:
        UserError: not a run folder, no model yet, a page that cannot be written, or less than a
            second to generate.
    """
    if seconds and seconds < SHORTEST:
        raise UserError(f"a report draws a second or more, or 0 for none, not {seconds:g}")
    folder = RunFolder.open(run)
    report = Report(folder, load_model(folder))
    path = out or folder.report
    refuse_other_pages(path, folder.path)
    if seconds is None:
        most = QUICK_SAMPLES / report.rate
        seconds = min(report.recipe["training"]["sample_seconds"], most)
    generates = seconds >= SHORTEST and not isinstance(report.model, Refiner)
    if generates:
        refuse_unwritable(folder.measures)  # before the work, and before the page
    generated = report.generate(seconds) if generates else None
    words = f"{report.recipe['name']}: {report.recipe.get('description', '')}"
    sections = [report.summary(generated)]
    if report.log:
        sections.append(report.learning())
    if generated:
        sections += report.sound(generated)
        distances = report.distances(generated)
        if distances:
            sections.append(distances_section(distances))
    sections += facts(folder, report.model, report.log, generated)
    write_page(path, folder.path.resolve().name, words, sections)
    if generated:  # last: figures of a page that could not be written replace nothing
        folder.write_json(folder.measures, {**generated.figures(), "distances": distances})
    return path


class Report:
    """The parts of a run's page.

    Args:
        run: its folder.
        model: the one to generate with.
    """

    def __init__(self, run: RunFolder, model: Model) -> None:
        self.run, self.model = run, model
        self.description, self.recipe = run.describe(), run.read_recipe()
        self.corpus = open_corpus(self.description["corpus"])
        self.rate = self.corpus.sample_rate
        measure = self.description["measure"]
        copied = ["copied_seconds"] if measure == "bits_per_code" else []
        self.log = read_log(run.log, *DRAWN, measure, *copied)

    @cached_property
    def reference(self) -> Reference:
        """What the piece itself scores."""
        train, validation = map(self.corpus.segments, ("train", "validation"))
        return Reference.from_segments(train, validation, self.rate)

    @cached_property
    def validation(self) -> tuple[np.ndarray, int]:
        """The longest stretch of the validation part as floats, and where its file has it."""
        segments, starts = self.corpus.segments("validation"), self.corpus.starts("validation")
        longest, _ = self.corpus.longest("validation")
        return segments[longest].astype(np.float32) / 32768, starts[longest]

    def generate(self, seconds: float) -> GenerationReport:
        """Generate streams from a seed, and evaluate each."""
        source, _ = self.validation
        _, label = self.corpus.longest("validation")
        return generate_and_evaluate(
            self.model, source, seconds, self.reference, self._place, label
        )

    def summary(self, generated: GenerationReport | None) -> Section:
        """The verdict, and the best validation beside the baselines."""
        measure = self.description["measure"]
        beside = ", ".join(
            f"{name.replace('_', ' ')} {value:.3g}"
            for name, value in self.description["baselines"].items()
        )
        words = f"no validation yet ({beside})"
        if self.log:
            best = min(self.log, key=lambda row: row[measure])
            words = f"best validation: {best[measure]:.3f} {UNITS[measure]} ({beside})"
            if measure == "bits_per_code":
                words = f"{self._kept()}; best validation {best[measure]:.3f} ({beside})"
            if self._memorised():
                words += MEMORISED
        found = [(s.name, s.findings) for s in generated.streams] if generated else []
        return Section("Verdict", words, findings=found)

    def _kept(self) -> str:
        """Which model of codes is kept, and for how long it copies the train part."""
        kept = self.log[-1]
        words = (
            f"kept: the model after {kept['minutes']:.1f} minutes, {kept['bits_per_code']:.3f} "
            "bits per code on validation"
        )
        if kept["copied_seconds"] > NOTED_COPY:
            words += f". It follows the train part for {kept['copied_seconds']:g} s at a stretch"
        if isinstance(self.model, SpectralModel) and self.model.memory > 0:
            seconds = f"{self.model.memory_seconds:.1f} s"
            words += ". So that it neither copies nor stays in one place, its state begins anew "
            words += f"within {seconds}"
        return words

    def _memorised(self) -> bool:
        """Whether codes that it never saw cost more than by their frequencies."""
        by_frequency = self.description["baselines"].get("code_frequencies")
        return by_frequency is not None and self.log[-1]["bits_per_code"] > by_frequency

    def learning(self) -> Section:
        """Learning curves beside the baselines."""
        baselines = self.description["baselines"]
        picture = drawn(
            lambda path: learning_curve(self.log, path, baselines),
            "The loss on audio that it learns from, and on audio that it has never seen; dashed: "
            "what anyone gets without a network.",
        )
        return Section("Learning", pictures=[picture])

    def sound(self, generated: GenerationReport) -> list[Section]:
        """Real beside generated; players; measures."""
        rate, plain = self.rate, generated.plain
        panels = [("real: the seed and what really follows it", generated.after)]
        panels += [(f"generated: {plain[0].name}", plain[0].audio)]
        panels = [(title, np.concatenate([generated.seed, audio])) for title, audio in panels]
        original = Player(panels[0][0], panels[0][1], rate)
        players = [original, Player("the seed", generated.seed, rate)]
        players += [Player(s.name, s.audio, rate, s.findings) for s in generated.streams]
        usual = own_diversity(
            self.corpus.segments("train", mono=True), rate, len(plain), len(plain[0].audio) / rate
        )
        sections = [
            Section("Listen", "None of these is in the audio that it learned from.", (), players),
            *self._checkpoints(),
            spectrograms(panels, rate, len(generated.seed) / rate),
            measures(plain, self.reference, usual),
        ]
        source, _ = self.validation
        follows = len(source) - len(generated.seed) >= rate
        if self.model.head.measure == "bits_per_sample" and follows:
            sections.append(self._nll(generated))
        return sections

    def distances(self, generated: GenerationReport) -> dict[str, dict[str, Any]]:
        """Distances of the streams at temperature 1 from the train part; none for short streams."""
        heldout = [*self.corpus.segments("validation"), *self.corpus.segments("test")]
        streams = [stream.audio for stream in generated.plain]
        return compare_with_piece(streams, self.corpus.segments("train"), heldout, self.rate)

    def _checkpoints(self) -> list[Section]:
        """Audio that was generated at each validation, with its verdict."""
        import soundfile

        players = []
        for row in self.log:
            path = self.run.samples / f"step-{row['step']:07d}.wav"
            if not path.is_file():
                continue
            try:
                audio, rate = soundfile.read(path, dtype="float32")
            except (OSError, soundfile.SoundFileRuntimeError):
                continue  # damaged: the others are worth listening to
            name = f"step {row['step']}, after {row['minutes']:.1f} minutes"
            verdict = row.get("verdict")
            players.append(Player(name, audio, rate, [str(verdict)] if verdict else []))
        words = "Generated at each validation, from the same seed."
        return [Section("Checkpoints", words, players=players)] if players else []

    def _nll(self, generated: GenerationReport) -> Section:
        """Bits over time, teacher-forced and free-running, and by loudness."""
        rate, plain, cut = self.rate, generated.plain, len(generated.seed)
        source, start = self.validation
        free = np.stack([np.concatenate([generated.seed, s.audio]) for s in plain])[
            :, : len(source)
        ]
        length = free.shape[1]
        rows = max(1, min(round(BITS_SECONDS * rate), len(source)) // length)
        starts = [row * length for row in range(rows)]
        real = np.stack([source[s : s + length] for s in starts])
        positions = [0] * len(plain) + [start + s for s in starts]
        # The seed is read in either case, and not counted: so each has a state to go on from.
        bits = sample_bits(self.model, np.concatenate([free, real]), positions)[:, cut:]
        paid, own = bits[len(plain) :], real[:, cut:]
        forced = np.stack([bits_by_second(row, rate) for row in paid])
        low, high = np.quantile(forced, [0.01, 0.99])

        def track(values: np.ndarray) -> list[Track]:
            places = np.arange(len(values)) + 0.5
            return [Track("bits per sample", places, values, float(low), float(high))]

        tracks = [("teacher-forced: what really follows the seed", track(forced[0]))]
        tracks += [
            (f"free-running: {s.name}", track(bits_by_second(row, rate)))
            for s, row in zip(plain, bits, strict=False)
        ]
        picture = drawn(
            lambda path: tracks_figure(tracks, path),
            "Bits that real audio costs second by second (shaded: the range of "
            f"{forced.size} seconds of it), and those that the model's own draws cost it, which "
            "estimate its entropy.",
        )
        by_loudness = bits_by_loudness(np.concatenate([*paid]), np.concatenate([*own]), rate)
        cells = [[f"{level:.0f} dB", f"{cost:.2f}"] for level, cost in by_loudness]
        table = Table(["level of real audio, by sixths of its time", "bits per sample"], cells)
        return Section("Negative log-likelihood", pictures=[picture], tables=[table])

    def _place(self, second: float) -> str:
        path, where = self.corpus.place("train", second)
        return f"{clock(where)} of {path.name}"
