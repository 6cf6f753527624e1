"""The corpus as codes: encoded once, and kept in the run folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from keras_rawaudio.data.corpus import Corpus
from keras_rawaudio.dsp.block_spectra import HOPS
from keras_rawaudio.dsp.spectral_codebook import encode_shifted
from keras_rawaudio.errors import UserError
from keras_rawaudio.models.spectral_model import SpectralModel
from keras_rawaudio.training.checkpoint import DAMAGE

PARTS = ("train", "validation", "test")


class CodeCorpus:
    """The parts of a corpus as rows of codes instead of samples.

    The codes of a block lie side by side, counted from 1; 0 is kept for no code.

    Args:
        codes: of each part, by name: `(blocks * bands,)` int16 per stretch of audio.
        starts: where in its own file each stretch begins, in codes.
        labels: of each stretch, for a corpus that has labels.
    """

    def __init__(
        self,
        codes: dict[str, list[np.ndarray]],
        starts: dict[str, list[int]],
        labels: dict[str, list[int]] | None = None,
    ) -> None:
        self._codes, self._starts, self._labels = codes, starts, labels or {}

    @classmethod
    def encode(cls, corpus: Corpus, model: SpectralModel) -> CodeCorpus:
        """Read the codes off the audio.

        The train part is read once for each hop of a block, so that blocks begin everywhere and no
        one sequence of codes is memorised.

        Args:
            corpus: the audio.
            model: its codec has been fitted.
        """
        spectra, books = model.spectral_codec.spectra, model.spectral_codec.books()
        none: tuple[dict[str, Any], ...] = tuple({part: [] for part in PARTS} for _ in range(3))
        data = cls(*none)
        for part in PARTS:
            segments, starts = corpus.segments(part), corpus.starts(part)
            labels = corpus.segment_labels(part) if model.labels else [0] * len(segments)
            shifts = range(HOPS) if part == "train" else (0,)
            for segment, start, label in zip(segments, starts, labels, strict=True):
                encoded = encode_shifted(segment, spectra, books, shifts)
                for shift, codes in zip(shifts, encoded, strict=True):
                    place = (start + shift * spectra.hop) / spectra.block
                    data._add(part, codes, place, label)
        if not model.labels:
            data._labels = {}
        return data

    def _add(self, part: str, codes: np.ndarray, place: float, label: int) -> None:
        """A stretch: codes `(blocks, bands)` from 0, and where it begins, in blocks."""
        self._codes[part].append((codes + 1).astype(np.int16).ravel())
        self._starts[part].append(round(place * codes.shape[1]))
        self._labels[part].append(label)

    @classmethod
    def load(cls, path: Path, levels: int) -> CodeCorpus:
        """Read what `save` wrote.

        Args:
            path: the file.
            levels: entries of each codebook.

        Raises:
            UserError: the file is missing or damaged.
        """
        codes: dict[str, list[np.ndarray]] = {}
        starts: dict[str, list[int]] = {}
        labels: dict[str, list[int]] = {}
        try:
            if not path.is_file():
                raise ValueError("it is no file")
            with np.load(path, allow_pickle=False) as saved:
                for part in PARTS:
                    rows, lengths = saved[f"{part}_codes"], saved[f"{part}_lengths"]
                    if rows.dtype != np.int16 or rows.ndim != 1 or lengths.min() < 0:
                        raise ValueError("it holds no codes")
                    if rows.min() < 1 or rows.max() > levels:
                        raise ValueError(f"it holds codes that are not from 1 to {levels}")
                    if lengths.sum() != len(rows):
                        raise ValueError("its lengths are not those of its codes")
                    codes[part] = np.split(rows, np.cumsum(lengths)[:-1])
                    starts[part] = _facts(saved, f"{part}_starts", len(lengths), "i", 0)
                    if f"{part}_labels" in saved:
                        labels[part] = _facts(saved, f"{part}_labels", len(lengths), "i", 0)
        except DAMAGE as error:
            reason = str(error).partition("\n")[0] or type(error).__name__
            raise UserError(f"cannot read {path}: {reason}; train into a new folder") from None
        return cls(codes, starts, labels)

    def save(self, path: Path) -> None:
        """Write all parts into one `.npz` file."""
        arrays: dict[str, np.ndarray] = {}
        for part, rows in self._codes.items():
            arrays[f"{part}_codes"] = np.concatenate([np.zeros(0, np.int16), *rows])
            arrays[f"{part}_lengths"] = np.array([len(row) for row in rows], np.int64)
            arrays[f"{part}_starts"] = np.array(self._starts[part], np.int64)
            if part in self._labels:
                arrays[f"{part}_labels"] = np.array(self._labels[part], np.int64)
        with path.open("wb") as file:
            np.savez_compressed(file, **arrays)  # type: ignore[arg-type]

    def segments(self, part: str) -> list[np.ndarray]:
        """The codes of each stretch."""
        return self._codes[part]

    def starts(self, part: str) -> list[int]:
        """Where in its own file each stretch begins, in codes."""
        return self._starts[part]

    def read(self, part: str, bands: int, times: int = 1) -> list[np.ndarray]:
        """Codes `(blocks, bands)` from 0 of each stretch, in the order of the corpus.

        Args:
            part: its name.
            bands: codes of a block.
            times: how often the train part is read: 1, 2 or 4. The readings of a stretch follow
                each other, and begin at equal distances within a block.
        """
        rows = self.segments(part)[:: HOPS // times if part == "train" else 1]
        return [codes.reshape(-1, bands) - 1 for codes in rows]

    def labels(self, part: str) -> list[int] | None:
        """The label of each stretch; None for a corpus without."""
        return self._labels.get(part)

    def samples(self, part: str) -> int:
        """How many codes a part has."""
        return sum(map(len, self._codes[part]))


def _facts(saved: Any, name: str, count: int, kind: str, least: float) -> list[Any]:
    """A number for each stretch, of a kind of NumPy's, and no less than some value."""
    values = saved[name]
    if values.shape != (count,) or values.dtype.kind != kind or not (values >= least).all():
        raise ValueError(f"{name} does not fit its codes")
    found: list[Any] = values.tolist()
    return found


def code_frequencies(corpus: CodeCorpus, part: str, bands: int, levels: int) -> float:
    """Bits per code by the frequencies of the train part: what no context gives."""
    bits = []
    for band in range(bands):
        train = np.concatenate([c[band::bands] for c in corpus.segments("train")])
        heldout = np.concatenate([c[band::bands] for c in corpus.segments(part)])
        counts = np.bincount(train, minlength=levels) + 0.5
        bits.append(-np.log2(counts[heldout] / counts[1:].sum()).mean())
    return float(np.mean(bits))
