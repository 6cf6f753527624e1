"""What the parts of a corpus hold, and the codec fitted on one of them."""

import numpy as np
import pytest

from keras_rawaudio.data.codecs import fit_codec
from keras_rawaudio.data.corpus import PARTS, Corpus
from keras_rawaudio.errors import UserError

from .conftest import noise, write


def test_segments_are_views_that_together_are_the_part(tmp_path, prepare):
    for number in range(8):
        write(tmp_path / "in" / f"{number}.wav", noise(0.5 + number / 7, seed=number))
    corpus = prepare(tmp_path / "in")
    for part in PARTS:
        segments = corpus.segments(part)
        assert all(segment.dtype == np.int16 for segment in segments)
        assert all(isinstance(segment, np.memmap) for segment in segments)
        joined = np.concatenate(segments)
        assert len(joined) == corpus.samples(part)
        for size in (1000, 1 << 20):
            chunks = list(corpus.chunks(part, size))
            assert max(map(len, chunks)) <= size
            np.testing.assert_array_equal(np.concatenate(chunks), joined / np.float32(32768))
    with pytest.raises(UserError, match="no part 'valid'"):
        corpus.samples("valid")


def test_segments_are_the_files(tmp_path, prepare):
    """Pitfall 5: files of unequal length stay apart, each a segment of its own length."""
    lengths = {f"{number}.wav": 4000 + 1234 * number for number in range(6)}
    for name, length in lengths.items():
        write(tmp_path / "in" / name, noise(length / 8000))
    corpus = prepare(tmp_path / "in")
    assert [len(s) for part in PARTS for s in corpus.segments(part)] == list(lengths.values())


def test_a_second_of_a_part_is_found_in_its_file(tmp_path, prepare):
    silence = np.zeros(8000, np.float32)
    files = {tmp_path / "a.wav": np.concatenate([silence, noise(6)]), tmp_path / "b.wav": noise(5)}
    corpus = prepare(*(write(path, audio) for path, audio in files.items()))
    for part in PARTS:
        samples = np.concatenate(corpus.segments(part)) / np.float32(32768)
        for index in (0, len(samples) // 2, len(samples) - 1):
            path, second = corpus.place(part, index / 8000)
            np.testing.assert_allclose(files[path][round(second * 8000)], samples[index], atol=1e-4)
    assert corpus.place("train", 0)[1] >= 0.9


def test_segments_begin_at_their_starts_in_their_files(tmp_path, prepare):
    silence = np.zeros(8000, np.float32)
    corpus = prepare(write(tmp_path / "a.wav", audio := np.concatenate([silence, noise(9)])))
    for part in PARTS:
        (segment,), (start,) = corpus.segments(part), corpus.starts(part)
        expected = audio[start : start + len(segment)]
        np.testing.assert_allclose(expected, segment / np.float32(32768), atol=1e-4)


def test_levels_of_files_are_kept(tmp_path, prepare):
    """Pitfall 6: no file is rescaled; the whole corpus shares one codec."""
    for number, gain in enumerate([0.9, 0.01, 0.2, 0.3]):
        write(tmp_path / "in" / f"{number}.wav", 0.05 + noise(1, gain=gain))
    corpus = prepare(tmp_path / "in", split=(0.5, 0.25, 0.25))
    loud, quiet = corpus.segments("train")
    assert np.ptp(loud / 32768) == pytest.approx(1.8, rel=0.01)
    assert np.ptp(quiet / 32768) == pytest.approx(0.02, rel=0.01)
    assert fit_codec("mulaw", corpus.parts()).peak == pytest.approx(0.95, rel=0.01)


def test_the_codec_is_fitted_on_the_train_part(tmp_path, prepare):
    """Pitfall 1: a peak in the last tenth of the track leaves the codec as it is."""
    audio = noise(10, gain=0.1)
    audio[-4000:] *= 9
    corpus = prepare(write(tmp_path / "a.wav", audio))
    assert fit_codec("mulaw", corpus.parts()).peak == pytest.approx(0.1, rel=0.01)
    description = corpus.describe()
    assert description["parts"]["train"]["peak"] == pytest.approx(0.1, rel=0.01)
    assert description["peak"] == pytest.approx(0.9, rel=0.01)


@pytest.mark.parametrize("place", [0, -1])
def test_the_checksum_is_of_every_sample(tmp_path, prepare, place):
    corpus = prepare(write(tmp_path / "song.wav", noise(1)))
    before = corpus.sha256()
    assert Corpus.open(corpus.folder).sha256() == before
    np.memmap(corpus.folder / "train.i16", "<i2", "r+")[place] ^= 1
    assert Corpus.open(corpus.folder).sha256() != before
