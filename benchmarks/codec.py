"""What the spectral codec alone costs, with no prior: a piece's own codes, as audio; JSON lines.

python benchmarks/codec.py --audio song.flac

Two rows: the piece as it is, and its own codes. Both are measured on the same stretches of the
train part. Distances (KAD) need the extra `ears`.
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
    add("--entries", type=int, help="of each codebook (default: as for training)")
    add("--cache", type=Path, metavar="FOLDER", help="where prepared audio is kept")
    return parser


def main(options: argparse.Namespace) -> None:
    from keras_rawaudio.data.corpus import CorpusSettings, prepare
    from keras_rawaudio.dsp.block_spectra import BlockSpectra
    from keras_rawaudio.dsp.spectral_codebook import codebook_size, encode
    from keras_rawaudio.models.spectral_codec import SpectralCodec

    settings = CorpusSettings(sample_rate=options.sample_rate, channels=1)
    corpus = prepare(options.audio, options.cache, settings)
    segments = [np.asarray(s, np.float32) / 32768 for s in corpus.segments("train")]
    block = BlockSpectra(corpus.sample_rate).block
    entries = options.entries or codebook_size(sum(len(s) // block for s in segments))
    codec = SpectralCodec(corpus.sample_rate, codebook_size=entries)
    codec.fit(segments)
    books = codec.books()
    longest = max(segments, key=len)
    count = min(round(options.seconds * corpus.sample_rate), len(longest)) // block
    begins = np.linspace(0, len(longest) // block - count, STRETCHES).astype(int)
    true = [longest[b * block :][: count * block] for b in begins]
    codes = np.stack([encode(part, codec.spectra, books) for part in true])
    measure = _Measures(segments, corpus.sample_rate)
    about = {"codebooks": codec.bands, "entries": entries, "machine": machine()}
    print_line({"row": "as it is", **measure(true)} | about)
    print_line({"row": "codes", **measure(_audio(codes, codec))} | about)


def _audio(codes: np.ndarray, codec: Any) -> list[np.ndarray]:
    """Audio `(n,)` of each of some codes `(streams, blocks, bands)`, all at once."""
    import tensorflow as tf

    from keras_rawaudio.models.controls import PLACE
    from keras_rawaudio.models.spectral_codec import CODES
    from keras_rawaudio.models.spectral_decoder import CODES_BEFORE, SpectralDecoder

    decoder = SpectralDecoder(codec)
    streams, blocks, bands = codes.shape
    given = tf.constant(codes.transpose(1, 0, 2), tf.float32)
    tempo = tf.ones((streams, 1))
    first = {
        name: tf.fill((streams, *shape), value)
        for name, (shape, value) in decoder.state_spec().items()
    }

    @tf.function
    def decode() -> Any:
        state = first | {CODES: tf.fill((streams, bands), -1.0)}
        made = tf.TensorArray(tf.float32, blocks)
        for block in tf.range(blocks):
            both = decoder.moved(state[CODES], state[CODES_BEFORE], given[block], tempo > 0)
            state |= dict(zip((CODES, CODES_BEFORE), both, strict=True))
            places, _ = decoder.pace(state[PLACE], tempo)
            audio, state = decoder.block_of_audio(places, state)
            made = made.write(block, audio[..., 0])
        return made.stack()

    return list(decode().numpy().transpose(1, 0, 2).reshape(streams, -1))


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
