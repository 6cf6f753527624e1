"""What the spectral codec alone costs, with no prior: a piece's own codes, as audio; JSON lines.

python benchmarks/codec.py --audio song.flac

Three rows: the piece as it is; its true magnitudes with phases that were found; its own codes. Each
is measured on the same stretches of the train part. Distances (KAD) need the extra `ears`.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np
from common import machine, print_line, run_main

STRETCHES = 4


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    add = parser.add_argument
    add("--audio", nargs="+", required=True, help="files and folders; as mono")
    add("--sample-rate", type=int, help="hertz (default: as train.py)")
    add("--seconds", type=float, default=40.0, help=f"of each of {STRETCHES} stretches (40)")
    add("--iterations", type=int, help="rounds of phase retrieval (default: the model's)")
    add("--momentum", type=float, help="of phase retrieval (default: the model's)")
    add("--entries", type=int, help="of each codebook (default: as for training)")
    add("--cache", type=Path, metavar="FOLDER", help="where prepared audio is kept")
    return parser


def main(options: argparse.Namespace) -> None:
    from keras_rawaudio.data.corpus import CorpusSettings, prepare
    from keras_rawaudio.dsp.block_spectra import BlockSpectra
    from keras_rawaudio.dsp.spectral_codebook import codebook_size, encode, fit_codebooks

    settings = CorpusSettings(sample_rate=options.sample_rate, channels=1)
    corpus = prepare(options.audio, options.cache, settings)
    segments = [np.asarray(s, np.float32) / 32768 for s in corpus.segments("train")]
    spectra = BlockSpectra(corpus.sample_rate)
    entries = options.entries or codebook_size(sum(len(s) // spectra.block for s in segments))
    longest = max(segments, key=len)
    count = min(round(options.seconds * corpus.sample_rate), len(longest)) // spectra.block
    begins = np.linspace(0, len(longest) // spectra.block - count, STRETCHES).astype(int)
    true = [longest[b * spectra.block :][: count * spectra.block] for b in begins]
    magnitudes = [np.sqrt(spectra.power(part[:, None])) for part in true]
    books = fit_codebooks(segments, spectra, entries)
    coded = []
    for part in true:
        codes = encode(part, spectra, books)
        bands = [book.magnitudes[codes[:, band]] for band, book in enumerate(books)]
        coded.append(np.concatenate(bands, axis=-1))
    measure = _Measures(segments, corpus.sample_rate)
    about = {"codebooks": len(books), "entries": entries, "machine": machine()}
    print_line({"row": "as it is", **measure(true)} | about)
    for row, given in (("phases found", magnitudes), ("codes", coded)):
        print_line({"row": row, **measure(_audio(given, spectra, options))} | about)


def _audio(given: list[Any], spectra: Any, options: argparse.Namespace) -> list[np.ndarray]:
    """Audio `(n,)` of each `(blocks, 4, bins)` of magnitudes, all at once."""
    import tensorflow as tf

    from keras_rawaudio.layers.phase_retrieval import PhaseRetrieval

    chosen = {k: v for k in ("iterations", "momentum") if (v := getattr(options, k)) is not None}
    phases = PhaseRetrieval(spectra.fft_size, **chosen)
    frames = np.stack(given).reshape(len(given), -1, spectra.bins)
    silent = np.zeros((len(given), phases.look_ahead, spectra.bins), np.float32)
    magnitudes = tf.constant(np.concatenate([silent, frames], axis=1))
    gains = tf.one_hot(tf.zeros((len(given), 1, spectra.bins), tf.int32), 2)
    hops = frames.shape[1]

    @tf.function
    def retrieve() -> Any:
        state = [tf.zeros((len(given), *shape)) for shape in phases.state_shapes()]
        made = tf.TensorArray(tf.float32, hops)
        for hop in tf.range(hops):
            waiting = [magnitudes[:, hop + i] for i in range(phases.look_ahead + 1)]
            audio, state = phases.hop_of_audio(waiting, gains, state)
            made = made.write(hop, audio[..., 0])
        return made.stack()

    return list(retrieve().numpy().transpose(1, 0, 2).reshape(len(given), -1))


class _Measures:
    """Means over some stretches of audio."""

    def __init__(self, train: list[np.ndarray], rate: int) -> None:
        from keras_rawaudio.metrics.musicnn import MusicNN

        self.rate, self.network = rate, MusicNN.load()
        self.reference = np.concatenate([self.network.features(s, rate).values for s in train])

    def __call__(self, stretches: list[np.ndarray]) -> dict[str, float]:
        from keras_rawaudio.metrics.beat_strength import beat_strength
        from keras_rawaudio.metrics.kernel_audio_distance import kernel_audio_distance
        from keras_rawaudio.metrics.tonal_prominence import tonal_prominence

        def distance(audio: np.ndarray) -> float:
            features = self.network.features(audio, self.rate).values
            return kernel_audio_distance(self.reference, features)

        def mean(of: Any, digits: int) -> float:
            return round(float(np.mean([of(audio) for audio in stretches])), digits)

        return {
            "kad_musicnn": mean(distance, 1),
            "beat_strength": mean(lambda a: beat_strength(a, self.rate), 2),
            "tonal_prominence_db": mean(lambda a: tonal_prominence(a, self.rate), 1),
        }


if __name__ == "__main__":
    sys.exit(run_main(arguments(), main))
