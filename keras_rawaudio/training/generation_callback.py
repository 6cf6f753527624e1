"""Generate a little audio while a model trains; draw it and measure it."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from keras_rawaudio.data.corpus import Corpus
from keras_rawaudio.files import replacing
from keras_rawaudio.generation import ReferenceSampler
from keras_rawaudio.metrics.reference import Reference
from keras_rawaudio.models import Model
from keras_rawaudio.training.run_folder import RunFolder

PROMPT_SECONDS = 0.5
SHORTEST = 2.0  # seconds that the measures need


class GenerationCallback:
    """Lets a model run free and measures the result.

    Args:
        run: where `samples/` lies.
        corpus: the prompt comes from its validation part; its train part is the reference.
        model: generates as it is at each call.
        seconds: length of the audio.
    """

    def __init__(self, run: RunFolder, corpus: Corpus, model: Model, seconds: float) -> None:
        self.run, self.corpus, self.seconds = run, corpus, seconds
        self.sampler = ReferenceSampler(model)

    @cached_property
    def reference(self) -> Reference:
        """The measures of the piece itself."""
        heldout = self.corpus.segments("validation", mono=True)
        return Reference.from_segments(
            self.corpus.segments("train", mono=True), heldout, self.corpus.sample_rate
        )

    def generate(self, step: int) -> tuple[np.ndarray, Path]:
        """Generate, and write `samples/step-<step>.wav` and `.png`.

        Returns:
            The audio `(n,)` or `(n, channels)`, without its prompt, and the path of the picture.
        """
        import soundfile

        from keras_rawaudio.plots import spectrogram_figure

        rate = self.corpus.sample_rate
        longest, label = self.corpus.longest("validation")
        source = self.corpus.segments("validation")[longest]
        prompt = source[: round(PROMPT_SECONDS * rate)].astype(np.float32) / 32768
        music = {label: 1.0} if label and label in self.sampler.model.labels else None
        audio = self.sampler.generate(round(self.seconds * rate), prompt, music=music)[0]
        stem = self.run.samples / f"step-{step:07d}"
        with replacing(stem.with_suffix(".wav")) as partial:
            soundfile.write(partial, np.clip(audio, -1, 1), rate, "PCM_16")
        picture = stem.with_suffix(".png")
        with replacing(picture) as partial:
            whole = np.concatenate([prompt, audio])
            title = f"prompt, then generated at step {step}"
            spectrogram_figure([(title, whole)], rate, partial, mark_seconds=PROMPT_SECONDS)
        return audio, picture

    def measure(self, audio: np.ndarray) -> dict[str, Any]:
        """Figures for the log, or blanks: `verdict`, and tone and beat beside the piece's own."""
        from keras_rawaudio.dsp.spectra import mono
        from keras_rawaudio.metrics.beat_strength import beat_strength
        from keras_rawaudio.metrics.collapse import verdict
        from keras_rawaudio.metrics.tonal_prominence import tonal_prominence

        rate, audio = self.corpus.sample_rate, mono(audio)
        names = ("tonal_prominence_db", "beat_strength")
        if self.seconds < SHORTEST:
            return dict.fromkeys((*names, "verdict", *(f"piece_{name}" for name in names)), "")
        return {
            "tonal_prominence_db": round(tonal_prominence(audio, rate), 2),
            "beat_strength": round(beat_strength(audio, rate), 3),
            "verdict": str(verdict(audio, rate, self.reference)),
            **{f"piece_{name}": round(self.reference.figures[name], 3) for name in names},
        }

    def summary(self, measured: dict[str, Any]) -> str:
        """The figures beside the piece's own, in one line."""
        own = self.reference.figures
        return (
            f"generates {self.seconds:g} s: {measured['verdict']}, "
            f"tone {measured['tonal_prominence_db']:.1f} dB "
            f"(piece {own['tonal_prominence_db']:.1f}), "
            f"beat {measured['beat_strength']:.2f} ({own['beat_strength']:.2f})"
        )
