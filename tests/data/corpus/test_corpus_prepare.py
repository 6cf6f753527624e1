import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import soundfile

from keras_rawaudio.data.codecs import fit_codec
from keras_rawaudio.data.corpus import PARTS, Corpus, CorpusSettings, preparing
from keras_rawaudio.data.corpus import prepare as prepare_at
from keras_rawaudio.data.corpus.corpus import to_int16
from keras_rawaudio.errors import UserError


@pytest.fixture
def prepare(tmp_path):
    """`prepare` with a cache of the test's own and its settings as keywords."""

    def run(*sources, **settings):
        return prepare_at(list(sources), tmp_path / "cache", CorpusSettings(**settings))

    return run


def tone(seconds, rate=8000, pitch=440.0, gain=0.5):
    time = np.arange(round(seconds * rate)) / rate
    return (gain * np.sin(2 * np.pi * pitch * time)).astype(np.float32)


def noise(seconds, rate=8000, gain=0.1, seed=0):
    random = np.random.default_rng(seed)
    return (gain * random.uniform(-1, 1, round(seconds * rate))).astype(np.float32)


def write(path, audio, rate=8000, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, audio, rate, **options)
    return path


def whole(corpus):
    """All three parts, one after the other."""
    return np.concatenate([chunk for part in PARTS for chunk in corpus.chunks(part)])


# Decoding


@pytest.mark.parametrize("kind", ["wav", "flac"])
def test_sixteen_bits_at_the_same_rate_come_through_exactly(tmp_path, prepare, kind):
    audio = to_int16(noise(2))
    corpus = prepare(write(tmp_path / f"a.{kind}", audio))
    assert corpus.sample_rate == 8000
    np.testing.assert_array_equal(np.concatenate([*map(corpus.segments, PARTS)], axis=1)[0], audio)
    np.testing.assert_array_equal(whole(corpus), audio / np.float32(32768))


@pytest.mark.parametrize("kind", ["wav", "flac", "ogg", "mp3"])
@pytest.mark.parametrize("rate", [44100, 22050])
@pytest.mark.parametrize("channels", [1, 2])
def test_every_kind_rate_and_number_of_channels(tmp_path, prepare, kind, rate, channels):
    left = tone(2, rate)
    audio = left if channels == 1 else np.stack([left, np.zeros_like(left)], axis=1)
    corpus = prepare(write(tmp_path / f"a.{kind}", audio, rate), trim=False)
    assert corpus.sample_rate == 16000
    decoded = whole(corpus)
    assert len(decoded) == pytest.approx(32000, abs=2000 if kind == "mp3" else 2)  # MP3 pads
    spectrum = np.abs(np.fft.rfft(decoded[8000:24000] * np.hanning(16000)))
    assert np.argmax(spectrum) == 440
    assert np.abs(decoded[8000:24000]).max() == pytest.approx(0.5 / channels, rel=0.1)


def test_more_than_two_channels_are_averaged(tmp_path, prepare):
    audio = np.stack([noise(1, seed=seed) for seed in range(5)], axis=1)
    corpus = prepare(write(tmp_path / "a.wav", audio, subtype="FLOAT"))
    np.testing.assert_allclose(whole(corpus), audio.mean(axis=1), atol=1 / 32768)


@pytest.mark.parametrize(
    ("rates", "wanted", "expected"),
    [
        ([44100], None, 16000),
        ([8000], None, 8000),
        ([44100, 11025], None, 11025),
        ([8000], 22050, 22050),
        ([8000, 16000], 8000, 8000),
    ],
)
def test_the_rate_and_the_number_of_samples(tmp_path, prepare, rates, wanted, expected):
    for number, rate in enumerate(rates):
        write(tmp_path / "in" / f"{number}.wav", noise(1.5, rate), rate)
    corpus = prepare(tmp_path / "in", sample_rate=wanted)
    assert corpus.sample_rate == expected
    for source in corpus.describe()["sources"]:
        assert source["samples"] == pytest.approx(1.5 * expected, abs=1)


def test_streamed_resampling_is_the_resampling_of_the_whole(tmp_path, prepare):
    import soxr

    audio = noise(20, 44100)  # several blocks long
    corpus = prepare(write(tmp_path / "a.wav", audio, 44100, subtype="FLOAT"), sample_rate=16000)
    np.testing.assert_allclose(
        whole(corpus), soxr.resample(audio, 44100, 16000, quality="HQ"), atol=2 / 32768
    )


def test_overshoot_is_clipped_and_never_wraps(tmp_path, prepare):
    """Pitfall 18: resampling a full-scale square wave goes beyond 1; its sign must stay."""
    square = np.sign(tone(2, 16000, pitch=101.0)).astype(np.float32)
    source = write(tmp_path / "a.wav", square, 16000, subtype="FLOAT")
    with pytest.warns(UserWarning, match="clipped"):
        decoded = whole(prepare(source, sample_rate=8000))
    middle = slice(20, 40)  # of the first half period, 40 samples long
    assert np.all(decoded[middle] > 0.5)
    assert decoded.max() == 32767 / 32768
    assert decoded.min() == -1
    np.testing.assert_array_equal(
        to_int16(np.float32([-9, -1, 0, 1, 9])), [-32768, -32768, 0, 32767, 32767]
    )


# Trimming


def test_silent_head_and_tail_are_trimmed(tmp_path, prepare):
    silence = np.zeros(8000, np.float32)
    audio = np.concatenate([silence, noise(4), silence, noise(4), silence])
    source = write(tmp_path / "a.wav", audio)
    kept = prepare(source).describe()["sources"][0]["kept"]
    assert kept == [8000, len(audio) - 8000]  # the silence in the middle stays
    assert len(whole(prepare(source))) == len(audio) - 16000
    assert len(whole(prepare(source, trim=False))) == len(audio)


def test_a_fade_out_is_music(tmp_path, prepare):
    fade = noise(8, gain=0.9) * np.logspace(0, -4, 64000)  # down by 80 dB
    source = write(tmp_path / "a.wav", fade.astype(np.float32), subtype="PCM_24")
    assert prepare(source).describe()["sources"][0]["kept"] == [0, 64000]
    strict = prepare(source, trim_decibels=-60.0).describe()["sources"][0]["kept"]
    assert strict[1] == pytest.approx(64000 * 55 / 80, rel=0.03)  # 5 dB from peak to level


def test_the_trim_level_is_relative_to_the_files_own_peak(tmp_path, prepare):
    hum = tone(1, gain=0.0005)
    loud = np.concatenate([hum, noise(2, gain=0.9), hum])
    quiet = np.concatenate([hum, noise(2, gain=0.01), hum])
    kept = {
        name: prepare(write(tmp_path / name, audio), trim_decibels=-60.0).describe()["sources"][0][
            "kept"
        ]
        for name, audio in (("loud.wav", loud), ("quiet.wav", quiet))
    }
    assert kept == {"loud.wav": [8000, 24000], "quiet.wav": [0, 32000]}


def test_a_silent_file_among_others_is_left_out(tmp_path, prepare):
    for number in range(4):
        write(tmp_path / "in" / f"{number}.wav", noise(1, gain=0.1 * (number != 1)))
    corpus = prepare(tmp_path / "in")
    used = [s["source"] for part in PARTS for s in corpus.describe()["parts"][part]["segments"]]
    assert used == [0, 2, 3]


# The corpus on disk


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


def test_a_second_run_reads_no_audio(tmp_path, prepare, monkeypatch):
    source = write(tmp_path / "a.wav", noise(1))
    first = prepare(source)
    monkeypatch.setattr(preparing, "decode", lambda *_: pytest.fail("decoded again"))
    again = prepare(source)
    assert again.folder == first.folder
    assert again.describe() == first.describe() == Corpus.open(first.folder).describe()
    assert [path.name for path in first.folder.parent.iterdir()] == [first.fingerprint]


def test_changed_sources_or_settings_are_another_corpus(tmp_path, prepare):
    source = write(tmp_path / "a.wav", noise(1))
    folders = [
        prepare(source).folder,
        prepare(source, trim=False).folder,
        prepare(source, split=(0.5, 0.25, 0.25)).folder,
    ]
    os.utime(source, ns=(0, 0))
    folders.append(prepare(source).folder)
    write(source, noise(2))
    folders.append(prepare(source).folder)
    assert len(set(folders)) == 5


def test_a_damaged_corpus_is_made_again(tmp_path, prepare):
    source = write(tmp_path / "a.wav", noise(1))
    corpus = prepare(source)
    expected = whole(corpus)
    (corpus.folder / "train.i16").write_bytes(b"short")
    with pytest.raises(UserError, match="damaged"):
        Corpus.open(corpus.folder)
    np.testing.assert_array_equal(whole(prepare(source)), expected)


def test_nothing_stays_behind_after_a_failure(tmp_path, prepare):
    good, bad = write(tmp_path / "a.wav", noise(1)), tmp_path / "b.wav"
    bad.write_text("no audio")
    with pytest.raises(UserError):
        prepare(good, bad)
    assert list((tmp_path / "cache").iterdir()) == []


def test_two_at_once_agree(tmp_path, prepare):
    source = write(tmp_path / "a.wav", noise(5, 44100), 44100)
    with ThreadPoolExecutor(4) as pool:
        corpora = list(pool.map(lambda _: prepare(source), range(4)))
    assert len({corpus.folder for corpus in corpora}) == 1
    assert len(list((tmp_path / "cache").iterdir())) == 1
    assert whole(corpora[0]).shape == (80000,)


def test_the_default_cache_follows_xdg(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    corpus = prepare_at([write(tmp_path / "a.wav", noise(1))])
    assert corpus.folder.parent == tmp_path / "xdg" / "keras_rawaudio"


def test_folders_are_searched_in_order_and_a_file_counts_once(tmp_path, prepare):
    folder = tmp_path / "in"
    for name in ("b/2.wav", "a/9.flac", "c.WAV", ".hidden/x.wav", "a/._9.flac"):
        kind = "FLAC" if name.endswith("flac") else "WAV"
        write(folder / name, noise(1), format=kind)
    (folder / "cover.jpg").write_bytes(b"...")
    (folder / "a" / "again.flac").symlink_to(folder / "a" / "9.flac")
    corpus = prepare(folder, folder / "c.WAV", str(folder))
    names = [source["path"].rsplit("/", 1)[1] for source in corpus.describe()["sources"]]
    assert names == ["9.flac", "2.wav", "c.WAV"]


# Bad input


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, "no such file or folder"),
        (lambda path: path.write_bytes(b""), "is empty"),
        (lambda path: path.write_text("words " * 1000), "not an audio file"),
        (lambda path: path.mkdir(), "no audio file"),
        (lambda path: write(path, np.zeros(0)), "holds no audio"),
        (lambda path: write(path, np.zeros(8000)), "nothing but silence"),
        (lambda path: write(path, np.float32([0.1] * 9 + [np.nan]), subtype="FLOAT"), "finite"),
        (lambda path: write(path, np.float32([0.1] * 9 + [np.inf]), subtype="FLOAT"), "finite"),
        (lambda path: write(path, np.float32([0.1, 0.2])), "too short to split"),
    ],
)
def test_bad_sources_get_one_clear_line(tmp_path, prepare, make, message):
    path = tmp_path / "song.wav"
    make(path)
    for trim in (True, False):
        with pytest.raises(UserError, match=message) as caught:
            prepare(path, trim=trim)
        assert "\n" not in str(caught.value)


def test_a_truncated_file_does_not_pass_in_silence(tmp_path, prepare):
    path = write(tmp_path / "a.flac", noise(20))
    path.write_bytes(path.read_bytes()[:20000])
    with pytest.raises(UserError, match=r"cannot decode|not an audio file"):
        prepare(path)


def test_where_the_nan_is(tmp_path, prepare):
    audio = noise(30)
    audio[8000 * 25] = np.nan
    path = write(tmp_path / "a.wav", audio, subtype="FLOAT")
    with pytest.raises(UserError, match=r"a\.wav holds .* at 25\.000 s"):
        prepare(path)


def test_no_source_and_no_room_for_a_cache(tmp_path):
    with pytest.raises(UserError, match="no audio given"):
        prepare_at([], tmp_path)
    source = write(tmp_path / "a.wav", noise(1))
    with pytest.raises(UserError, match="cannot write to the cache"):
        prepare_at([source], source)


@pytest.mark.parametrize(
    "settings",
    [
        {"sample_rate": 0},
        {"sample_rate": -8000},
        {"sample_rate": 8000.5},
        {"sample_rate": True},
        {"trim_decibels": 0.0},
        {"trim_decibels": float("nan")},
        {"split": (0.8, 0.1)},
        {"split": (0.8, 0.1, 0.2)},
        {"split": (1.0, 0.0, 0.0)},
        {"split": (1.2, -0.1, -0.1)},
        {"split": (float("nan"), 0.1, 0.1)},
    ],
)
def test_impossible_settings_are_refused(settings):
    with pytest.raises(UserError):
        CorpusSettings(**settings)


def test_what_is_no_corpus(tmp_path, prepare):
    with pytest.raises(UserError, match="not a prepared corpus"):
        Corpus.open(tmp_path)
    corpus = prepare(write(tmp_path / "a.wav", noise(1)))
    copy = tmp_path / "copy"
    shutil.copytree(corpus.folder, copy)
    assert Corpus.open(copy).describe() == corpus.describe()  # it may be moved
    for text in ("[]", "{", json.dumps({"format_version": 99})):
        (copy / "corpus.json").write_text(text)
        with pytest.raises(UserError):
            Corpus.open(copy)


def test_importing_the_room_stays_light():
    code = "import sys, keras_rawaudio.data.corpus, keras_rawaudio.data.codecs; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    heavy = {"tensorflow", "keras", "soxr", "soundfile", "scipy", "matplotlib"}
    assert not heavy & set(loaded.stdout.split())
