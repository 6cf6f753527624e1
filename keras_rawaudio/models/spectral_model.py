"""A spectral codec and a recurrent prior over its codes: full-band, mono or stereo."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_rawaudio.data.codecs.indices import Indices
from keras_rawaudio.models.autoregressive_step import AutoregressiveStep
from keras_rawaudio.models.beats import beat_phases
from keras_rawaudio.models.carried_state import State
from keras_rawaudio.models.clock import clock_seconds
from keras_rawaudio.models.code_prior import CodePrior
from keras_rawaudio.models.code_sampler import AGE, CodeSampler
from keras_rawaudio.models.controls import (
    DENSITY,
    GAIN,
    HISTORY,
    HOLD,
    LEVEL,
    MUSIC,
    TEMPO,
    Control,
)
from keras_rawaudio.models.copy_detector import CopyDetector
from keras_rawaudio.models.fit_windows import FitWindows
from keras_rawaudio.models.heads.codes import CodesHead
from keras_rawaudio.models.own_draws import with_own_draws
from keras_rawaudio.models.recognised_music import EVIDENCE, log_code_frequencies
from keras_rawaudio.models.repetition_penalty import RepetitionPenalty
from keras_rawaudio.models.section_chain import SectionChain
from keras_rawaudio.models.spectral_codec import CODES, SpectralCodec
from keras_rawaudio.models.spectral_decoder import SpectralDecoder


@keras.saving.register_keras_serializable("keras_rawaudio")
class SpectralModel(FitWindows):
    """Audio as codes of spectra, codes by a recurrent prior, phases by iteration.

    In training it reads and predicts codes alone, one row after the other: those of a block, band
    by band, then those of the next. It generates block by block: `step` moves the prior,
    `sampler` draws codes, and `decoder` makes audio of them.

    Args:
        rate: samples per second.
        channels: 1 or 2.
        codebook_size: entries of each band's codebook.
        components: principal components that stand for an entry.
        units: width of each recurrent layer of the prior.
        layers: recurrent layers of the prior.
        dropout: dropout rate in training.
        input_noise: standard deviation of the noise on the entries read, in training.
        own_draws: the largest share of blocks in training that are replaced by the model's own
            draws; less while the model knows little (`with_own_draws`).
        clock_harmonics: harmonics of a clock of eight pulses; 0: no clock.
        labels: names of the pieces of music that it tells apart; none for one alone.
        sections: how many sections a piece has at most; 0: none.
        train_places: places of the train part at which `CopyDetector` seeks copies; 0: it does not.
        repetition_penalty: whether it has a `RepetitionPenalty`, for models that hold a chord.

    Attributes:
        step: moves the prior by a block.
        sampler: draws codes.
        decoder: makes audio of codes.
        label_shares: `(labels,)`, what part of the train part each label is.
        label_codes: `(labels, bands, codebook_size)`, logarithms of each label's code frequencies.
            By them it recognises what it reads, where no label is set.
        code_bias: `(bands, codebook_size)`, added to logits where codes are drawn; 0 until
            `training.code_balance` sets it.
        min_p: `(bands,)`; codes that are less probable than this share of the most probable one are
            not drawn; 0 until `training.code_balance` sets it.
        nearness: how near the block before a state begins anew, as `CodeSampler` has it.
            `training.memory_limit` sets it.
        memory: blocks after which the recurrent state begins anew at the latest, where codes are
            drawn; 0: never. `training.memory_limit` sets it for a model that copies or
            stays in one place.

    Call arguments:
        x: `(B, bands - 1 + N)` int32 codes from 1, 0 for none; `x[:, bands - 1 + j]` comes before
            target `j`. `N` is a multiple of `bands`.
        state: recurrent state by name, each `(B, units)`.
        training: switches noise, dropout and own draws on.

    Returns:
        Logits of each band, `(B, N / bands, codebook_size)`, and the new state.

    Example:
        >>> model = SpectralModel(8000, codebook_size=16, units=8)
        >>> x = ops.ones((2, model.context + 4 * model.frame), "int32")
        >>> logits, state = model(x, model.zero_state(2))
        >>> len(logits), tuple(logits[0].shape)
        (3, (2, 4, 16))
    """

    def __init__(
        self,
        rate: int,
        channels: int = 1,
        codebook_size: int = 1024,
        components: int = 48,
        units: int = 384,
        layers: int = 2,
        dropout: float = 0.0,
        input_noise: float = 0.1,
        own_draws: float = 0.4,
        clock_harmonics: int = 0,
        labels: Sequence[str] = (),
        sections: int = 0,
        train_places: int = 0,
        repetition_penalty: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.rate, self.channels, self.own_draws = rate, channels, own_draws
        self.labels = list(labels)
        self.spectral_codec = SpectralCodec(
            rate, channels, codebook_size, components, name="spectral_codec"
        )
        bands = self.spectral_codec.bands
        self.prior = CodePrior(
            bands,
            components,
            units,
            layers,
            dropout,
            input_noise,
            clock_harmonics,
            len(self.labels),
            name="tier0",
        )
        self.prior.build()
        self.decoder = SpectralDecoder(self.spectral_codec)
        self.code_bias = self.add_weight(
            (bands, codebook_size), initializer="zeros", trainable=False, name="code_bias"
        )
        self.min_p = self.add_weight((bands,), initializer="zeros", trainable=False, name="min_p")
        self.memory = self.add_weight((), initializer="zeros", trainable=False, name="memory")
        self.nearness = self.add_weight((), initializer="zeros", trainable=False, name="nearness")
        if self.labels:
            self.label_shares, self.label_codes = (
                self.add_weight(shape, initializer="zeros", trainable=False, name=name)
                for name, shape in (
                    ("label_shares", (len(self.labels),)),
                    ("label_codes", (len(self.labels), bands, codebook_size)),
                )
            )
        self.sections = None
        if sections:
            self.sections = SectionChain(self.spectral_codec, sections, len(self.labels))
            self.sections.build()
        self.copies = None
        if train_places:
            self.copies = CopyDetector(self.spectral_codec, train_places)
            self.copies.build()
        self.penalty = RepetitionPenalty(self.spectral_codec) if repetition_penalty else None
        self.sampler = CodeSampler(
            self.spectral_codec,
            self.prior,
            self.code_bias,
            self.min_p,
            self.nearness,
            self.sections,
            self.penalty,
        )
        self.step = AutoregressiveStep(
            self.spectral_codec,
            self.prior,
            list(self.state_spec()),
            self.memory,
            self.label_codes if self.labels else None,
            self.sections,
            self.copies,
            self.penalty,
        )
        self.head = CodesHead(self.spectral_codec)
        self.codec = Indices(codebook_size + 1)
        self.seed_generator = keras.random.SeedGenerator()
        self.built = True

    # What training and evaluation ask of any model; a sample of theirs is a code here.

    @property
    def tiers(self) -> list[CodePrior]:
        """The prior, as the one tier."""
        return [self.prior]

    @property
    def cells(self) -> None:
        """It has no bits per sample."""
        return None

    @property
    def frame(self) -> int:
        """Codes of a block."""
        return self.spectral_codec.bands

    @property
    def context(self) -> int:
        """Codes before the first input."""
        return self.frame - 1

    @property
    def block(self) -> int:
        """Samples that the generator moves by."""
        return self.spectral_codec.spectra.block

    @property
    def delay(self) -> int:
        """Samples by which audio comes later than its codes."""
        return self.decoder.delay

    def state_spec(self) -> dict[str, tuple[int, ...]]:
        """Names and shapes (without the batch) of the recurrent state."""
        return {
            name if name == MUSIC else f"tier0_{name}": shape
            for name, shape in self.prior.state_spec()
        }

    def zero_state(self, batch: Any) -> State:
        """The state of `batch` fresh streams."""
        return {name: ops.zeros((batch, *shape)) for name, shape in self.state_spec().items()}

    def target(self, x: Any, y: Any) -> Any:
        """What the prediction is compared with."""
        return y

    def call(self, x: Any, state: State | None = None, training: bool = False) -> Any:
        if state is None:
            return self.call_window(x, training)
        S = self.frame
        N = x.shape[1] - self.context
        previous = ops.reshape(x[:, :N], (-1, N // S, S)) - 1
        # The last band of the last block is a target only.
        current = ops.reshape(ops.pad(x[:, S:], ((0, 0), (0, 1))), (-1, N // S, S)) - 1
        # A row that has read nothing has no block before.
        fresh = ops.all(state["tier0_layer0_h"] == 0, axis=1)[:, None, None]
        first = ops.where(fresh, -1, previous[:, :1])
        previous = ops.concatenate([first, previous[:, 1:]], axis=1)
        codec, names = self.spectral_codec, list(self.state_spec())
        values = [state[name] for name in names]
        entries, keys = codec.look_up(current), self.sampler.entry_keys()
        if training and self.own_draws:
            hidden, _ = self.prior(codec.look_up(previous), values)
            logits = self.prior.teacher_forced_logits(hidden, entries, keys)
            previous = with_own_draws(previous, logits, self.own_draws, self.seed_generator)
            previous = ops.stop_gradient(previous)
        hidden, after = self.prior(codec.look_up(previous), values, training=training)
        logits = self.prior.teacher_forced_logits(hidden, entries, keys, training=training)
        return logits, {**state, **dict(zip(names, after, strict=True))}

    # The generator

    @property
    def controls(self) -> list[Control]:
        """What may be turned while it generates, each a state tensor `(B, 1)` of that name."""
        return [TEMPO, LEVEL, DENSITY, HOLD]

    def generator_state_spec(self) -> dict[str, tuple[tuple[int, ...], float]]:
        """Shape without the batch and first value of each tensor of the generator's state."""
        return {
            **{name: (shape, 0.0) for name, shape in self.state_spec().items()},
            CODES: ((self.frame,), -1.0),
            AGE: ((1,), 0.0),
            **({EVIDENCE: ((len(self.labels),), 0.0)} if self.labels else {}),
            **(self.sections.state_spec() if self.sections else {}),
            **(self.copies.state_spec() if self.copies and self.copies.seeks else {}),
            **(self.penalty.state_spec() if self.penalty and self.penalty.acts else {}),
            HISTORY: ((self.block, self.channels), 0.0),
            **self.decoder.state_spec(),
            **{control.name: ((1,), control.default) for control in self.controls},
            GAIN: ((1,), 0.0),
        }

    @property
    def noise_per_draw(self) -> int:
        """Numbers in [0, 1) that decide a block: one for each band, for `memory`, and for the
        section where there are sections."""
        return self.frame + (2 if self.sections else 1)

    @property
    def memory_seconds(self) -> float:
        """`memory` as a time; 0: without end."""
        return float(np.asarray(self.memory)) * self.block / self.rate

    def prepare(
        self,
        segments: Sequence[np.ndarray],
        labels: Sequence[int] = (),
        recordings: Sequence[int] = (),
    ) -> None:
        """Take the codebooks from stretches of audio, the clock's period, and the labels' shares.

        A label that is one recording has a clock of its own, where it has a steady pulse.

        Args:
            segments: `(n,)` or `(n, channels)`.
            labels: of each segment, for a model with labels.
            recordings: how many each label is; by default each segment is one.
        """
        self.spectral_codec.fit(segments)
        if self.labels:
            lengths = np.bincount(labels, [len(s) for s in segments], len(self.labels))
            self.label_shares.assign(lengths / lengths.sum())
        if self.prior.clock_harmonics:
            codes = self.rate / self.block * self.frame  # per second
            count = len(self.labels)
            turns = np.array(clock_seconds(segments, labels, count, self.rate, recordings))
            self.prior.set_period((turns * codes).tolist())

    def count_codes(self, rows: Sequence[np.ndarray], labels: Sequence[int]) -> None:
        """Take the code frequencies of each label, as `log_code_frequencies` does."""
        shape = (len(self.labels), self.frame, self.spectral_codec.codebook_size)
        self.label_codes.assign(log_code_frequencies(rows, labels, shape))

    def find_beats(
        self, rows: Sequence[np.ndarray], starts: Sequence[int], labels: Sequence[int]
    ) -> None:
        """Take from codes where each clock has its strongest beat, as `beat_phases` does."""
        if self.prior.clock_harmonics:
            strengths = [np.asarray(band) for band in self.spectral_codec.onset_strengths()]
            periods = np.atleast_1d(np.asarray(self.prior.period, np.float64)).tolist()
            self.prior.set_beat(beat_phases(rows, starts, labels, strengths, periods))

    def find_sections(self, rows: Sequence[np.ndarray], labels: Sequence[int]) -> None:
        """Take the sections from codes, as `SectionChain.fit` does."""
        if self.sections:
            self.sections.fit(rows, labels)

    def keep_train_part(self, rows: Sequence[np.ndarray]) -> None:
        """Take the spectra in which copies are sought from codes, as `CopyDetector.fit` does."""
        if self.copies:
            self.copies.fit(rows)

    def settings(self) -> dict[str, Any]:
        """The arguments that make a model like this one."""
        prior = self.prior.get_config()
        names = ("units", "layers", "dropout", "input_noise", "clock_harmonics")
        return {
            "rate": self.rate,
            "channels": self.channels,
            "codebook_size": self.spectral_codec.codebook_size,
            "components": self.spectral_codec.components,
            "own_draws": self.own_draws,
            "labels": list(self.labels),
            "sections": self.sections.count if self.sections else 0,
            "train_places": self.copies.places if self.copies else 0,
            "repetition_penalty": self.penalty is not None,
            **{name: prior[name] for name in names},
        }

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **self.settings()}
