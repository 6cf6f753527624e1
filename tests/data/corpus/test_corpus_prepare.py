import json
import os
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import soundfile

from keras_rawaudio.data.codecs import fit_codec
from keras_rawaudio.data.corpus import PARTS, Corpus, CorpusSettings, decoding, preparing
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


KINDS = ["wav", "flac", "ogg", "mp3", "aiff"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rate", [44100, 22050])
@pytest.mark.parametrize("channels", [1, 2])
def test_every_kind_and_rate_to_mono(tmp_path, prepare, kind, rate, channels):
    left = tone(2, rate)
    audio = left if channels == 1 else np.stack([left, np.zeros_like(left)], axis=1)
    source = write(tmp_path / f"a.{kind}", audio, rate)
    corpus = prepare(source, trim=False, channels=1, max_sample_rate=16000)
    assert (corpus.sample_rate, corpus.channels) == (16000, 1)
    decoded = whole(corpus)
    assert len(decoded) == pytest.approx(32000, abs=2000 if kind == "mp3" else 2)  # MP3 pads
    spectrum = np.abs(np.fft.rfft(decoded[8000:24000] * np.hanning(16000)))
    assert np.argmax(spectrum) == 440
    assert np.abs(decoded[8000:24000]).max() == pytest.approx(0.5 / channels, rel=0.1)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("rate", "expected"), [(44100, 44100), (48000, 48000), (22050, 22050)])
def test_own_rate_and_channels_by_default(tmp_path, prepare, kind, rate, expected):
    """Stereo in, stereo out at its own rate: each channel keeps its own pitch."""
    audio = np.stack([tone(2, rate), tone(2, rate, pitch=1000.0)], axis=1)
    corpus = prepare(write(tmp_path / f"a.{kind}", audio, rate), trim=False)
    assert (corpus.sample_rate, corpus.channels) == (expected, 2)
    assert corpus.describe()["channels"] == 2
    decoded = whole(corpus)
    assert decoded.shape == (pytest.approx(2 * expected, abs=0.1 * expected), 2)
    second = decoded[expected // 2 : expected // 2 + expected]
    spectrum = np.abs(np.fft.rfft(second * np.hanning(expected)[:, None], axis=0))
    assert np.argmax(spectrum, axis=0).tolist() == [440, 1000]


def test_rates_above_48_khz_come_down(tmp_path, prepare):
    source = write(tmp_path / "a.wav", noise(1, 96000), 96000)
    assert prepare(source).sample_rate == 48000
    assert prepare(source, sample_rate=96000).sample_rate == 96000


def test_stereo_is_kept_exactly_and_mixed_to_mono_beside_it(tmp_path, prepare):
    audio = np.stack([noise(2), noise(2, seed=1)], axis=1)
    audio = to_int16(audio)
    corpus = prepare(write(tmp_path / "a.flac", audio))
    for part, stretch in zip(PARTS, np.split(audio, [12800, 14400]), strict=True):
        (stereo,), (mono,) = corpus.segments(part), corpus.segments(part, mono=True)
        np.testing.assert_array_equal(stereo, stretch)
        np.testing.assert_allclose(mono, stretch.mean(axis=1), atol=0.5)
        assert isinstance(stereo, np.memmap)
        assert mono.dtype == np.int16
        assert corpus.samples(part) == len(mono) == len(stereo)
        floats = np.concatenate([*corpus.chunks(part, 1000, mono=True)])
        np.testing.assert_array_equal(floats, mono / np.float32(32768))
    assert Corpus.open(corpus.folder).channels == 2
    alone = prepare(tmp_path / "a.flac", channels=1)
    np.testing.assert_allclose(whole(alone), audio.mean(axis=1) / 32768, atol=0.6 / 32768)
    assert alone.segments("test", mono=True)[0].shape == alone.segments("test")[0].shape == (1600,)


def test_mixed_channels_become_stereo(tmp_path, prepare):
    left, right, mono = noise(1), noise(1, seed=1), noise(1, seed=2)
    many = np.stack([noise(1, seed=seed) for seed in range(5)], axis=1)
    write(tmp_path / "in" / "0.wav", mono)
    write(tmp_path / "in" / "1.wav", np.stack([left, right], axis=1))
    write(tmp_path / "in" / "2.wav", many)
    corpus = prepare(tmp_path / "in")
    assert corpus.channels == 2
    expected = [[mono, mono], [left, right], [many.mean(axis=1)] * 2]
    found = [segment for part in PARTS for segment in corpus.segments(part)]
    for segment, channels in zip(found, expected, strict=True):
        np.testing.assert_allclose(segment / 32768, np.stack(channels, axis=1), atol=1.5 / 32768)


@pytest.mark.parametrize(("channels", "expected"), [(None, 1), (1, 1), (2, 2)])
def test_more_than_two_channels_are_averaged(tmp_path, prepare, channels, expected):
    audio = np.stack([noise(1, seed=seed) for seed in range(5)], axis=1)
    source = write(tmp_path / "a.wav", audio, subtype="FLOAT")
    corpus = prepare(source, channels=channels)
    assert corpus.channels == expected
    mean = audio.mean(axis=1)
    wanted = mean if expected == 1 else np.stack([mean, mean], axis=1)
    np.testing.assert_allclose(whole(corpus), wanted, atol=1 / 32768)


def test_what_cancels_in_mono_is_not_silent_in_stereo(tmp_path, prepare):
    """Trimming looks at the power of the channels, not at that of their sum."""
    side = np.concatenate([np.zeros(8000, np.float32), noise(4)])
    source = write(tmp_path / "a.wav", np.stack([side, -side], axis=1))
    assert prepare(source).describe()["sources"][0]["kept"] == [8000, 40000]
    with pytest.raises(UserError, match="nothing but silence"):
        prepare(source, channels=1)


def test_one_codec_for_both_channels(tmp_path, prepare):
    audio = np.stack([noise(2, gain=0.5), noise(2, gain=0.1, seed=1)], axis=1)
    corpus = prepare(write(tmp_path / "a.wav", audio))
    (segment,) = corpus.segments("train")
    values = segment / 32768
    assert fit_codec("peak", corpus.parts()).peak == np.abs(values).max()
    assert fit_codec("standardize", corpus.parts()).std == pytest.approx(values.std())


@pytest.mark.parametrize(
    ("rates", "wanted", "expected"),
    [
        ([44100], None, 44100),
        ([44100, 48000, 96000], None, 44100),
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
    assert not (tmp_path / "cache").exists()


def test_two_at_once_agree(tmp_path, prepare, monkeypatch, capsys):
    """One prepares, the others wait for it and decode nothing."""
    source = write(tmp_path / "a.wav", noise(5, 44100), 44100)
    decoded, once = [], preparing.decode

    def slowly(*arguments):
        decoded.append(arguments)
        time.sleep(0.2)
        return once(*arguments)

    monkeypatch.setattr(preparing, "decode", slowly)
    with ThreadPoolExecutor(4) as pool:
        corpora = list(pool.map(lambda _: prepare(source), range(4)))
    assert len({corpus.folder for corpus in corpora}) == len(decoded) == 1
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [corpora[0].fingerprint]
    assert whole(corpora[0]).shape == (220500,)
    assert f"waiting for process {os.getpid()}" in capsys.readouterr().err


def test_leftovers_of_a_killed_process_are_cleared(tmp_path, prepare):
    (tmp_path / "cache" / ".preparing-0f3a" / "corpus").mkdir(parents=True)
    (tmp_path / "cache" / ".preparing-0f3a" / "0.i16").write_bytes(b"half")
    corpus = prepare(write(tmp_path / "a.wav", noise(1)))
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [corpus.fingerprint]


def test_a_killed_process_leaves_a_cache_that_works(tmp_path, prepare):
    source = write(tmp_path / "a.wav", noise(1))
    code = f"""
import os, signal
from keras_rawaudio.data.corpus import preparing
preparing.sync_tree = lambda folder: os.kill(os.getpid(), signal.SIGKILL)
preparing.prepare([{str(source)!r}], {str(tmp_path / "cache")!r})
"""
    assert subprocess.run([sys.executable, "-c", code]).returncode == -signal.SIGKILL
    left = sorted(path.name[:11] for path in (tmp_path / "cache").iterdir())
    assert ".preparing-" in left
    corpus = prepare(source)
    assert len(whole(corpus)) == 8000
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [corpus.fingerprint]


@pytest.mark.skipif(sys.platform == "win32", reason="no limit on file sizes")
@pytest.mark.parametrize("existing", [False, True])
def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path, prepare, existing):
    import resource

    source, cache = write(tmp_path / "a.wav", noise(30)), tmp_path / "cache"
    if existing:
        cache.mkdir()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        with pytest.raises(UserError, match=r"cannot prepare the corpus in .*cache: ") as caught:
            prepare(source)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "None" not in str(caught.value)
    assert "\n" not in str(caught.value)
    assert cache.exists() == existing
    assert not existing or not any(cache.iterdir())


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


@pytest.mark.parametrize("kind", KINDS)
def test_of_a_truncated_file_the_rest_is_used_and_one_line_says_so(tmp_path, prepare, kind, capfd):
    path = write(tmp_path / f"a.{kind}", noise(20, 16000), 16000)
    full = whole(prepare(path, trim=False))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.warns(UserWarning, match=rf"a\.{kind} is cut off or damaged: its first ") as caught:
        cut = whole(prepare(path, trim=False))
    assert len(caught) == 1
    assert 0.3 * len(full) < len(cut) < 0.7 * len(full)
    inner = slice(0, len(cut) - 4000)
    np.testing.assert_allclose(cut[inner], full[inner], atol=1e-3)
    assert capfd.readouterr().err == ""  # no chatter of a decoder


@pytest.mark.parametrize("kind", KINDS)
def test_a_whole_file_is_not_called_cut_off(tmp_path, prepare, kind, recwarn):
    prepare(write(tmp_path / f"a.{kind}", noise(3, 16000), 16000))
    assert not recwarn.list


def test_a_wav_from_a_pipe_is_not_called_cut_off(tmp_path, prepare, recwarn):
    """Its sizes were not known when its header was written."""
    path = write(tmp_path / "a.wav", noise(3))
    data = bytearray(path.read_bytes())
    data[4:8] = data[40:44] = b"\xff\xff\xff\xff"
    path.write_bytes(data)
    assert len(whole(prepare(path))) == 24000
    assert not recwarn.list


@pytest.mark.parametrize("rate", [1, 999, 384_001, 10**9])
def test_a_header_with_an_impossible_rate_is_refused(tmp_path, prepare, rate):
    path = write(tmp_path / "a.wav", noise(1), rate)
    with pytest.raises(UserError, match=f"a.wav claims a sample rate of {rate} Hz"):
        prepare(path)


@pytest.mark.skipif(sys.platform != "linux", reason="names are Unicode there")
def test_a_name_that_is_no_unicode_is_a_name_like_others(tmp_path, prepare):
    write(tmp_path / "in" / "a.wav", noise(1))
    name = os.path.join(os.fsencode(tmp_path / "in"), b"\xff.wav")
    os.rename(tmp_path / "in" / "a.wav", name)
    corpus = prepare(tmp_path / "in")
    assert len(whole(Corpus.open(corpus.folder))) == 8000
    assert corpus.place("train", 0)[0] == Path(os.fsdecode(name))


def test_many_channels_take_no_more_memory(tmp_path, prepare, monkeypatch):
    audio = np.tile(noise(1)[:, None], (1, 300))
    sizes, mix = [], decoding._mix
    monkeypatch.setattr(decoding, "_mix", lambda b, c: sizes.append(b.nbytes) or mix(b, c))
    assert prepare(write(tmp_path / "a.wav", audio)).channels == 1
    assert 0 < max(sizes) <= 1 << 20


def test_pipes_and_devices_are_refused(tmp_path, prepare):
    os.mkfifo(tmp_path / "pipe.wav")
    for path in (tmp_path / "pipe.wav", "/dev/zero"):
        with pytest.raises(UserError, match="is not a file"):
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
    with pytest.raises(UserError, match="cannot write to"):
        prepare_at([source], source)


@pytest.mark.parametrize(
    "settings",
    [
        {"sample_rate": 0},
        {"sample_rate": -8000},
        {"sample_rate": 8000.5},
        {"sample_rate": True},
        {"sample_rate": 999},
        {"sample_rate": 10**9},
        {"sample_rate": 10**23},
        {"sample_rate": float("nan")},
        {"max_sample_rate": 0},
        {"channels": 0},
        {"channels": 3},
        {"channels": "stereo"},
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


def _set(*keys):
    """Puts the last of the keys where the others lead."""

    def change(values):
        *path, name, value = keys
        for key in path:
            values = values[key]
        values[name] = value

    return change


SEGMENT = ("parts", "train", "segments", 0)


@pytest.mark.parametrize(
    "change",
    [
        _set("sample_rate", "2000"),
        _set("sample_rate", 10**9),
        _set("channels", 3),
        _set("fingerprint", 1),
        _set("sources", {}),
        _set("parts", []),
        _set("parts", "test", {}),
        _set("parts", "train", "segments", []),
        _set(*SEGMENT, "samples", -1),
        _set(*SEGMENT, "samples", 1.5),
        _set(*SEGMENT, "start", "0"),
        _set(*SEGMENT, "source", 9),
    ],
)
def test_a_description_changed_by_hand_is_one_line(tmp_path, prepare, change):
    path = prepare(write(tmp_path / "song.wav", noise(1))).folder / "corpus.json"
    values = json.loads(path.read_text())
    change(values)
    path.write_text(json.dumps(values))
    with pytest.raises(UserError, match="is damaged"):
        Corpus.open(path.parent)


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: path.write_text("[" * 99_999)])
def test_a_description_that_is_no_file_of_ours_is_one_line(tmp_path, make):
    make(tmp_path / "corpus.json")
    with pytest.raises(UserError, match="is not a prepared corpus"):
        Corpus.open(tmp_path)


def test_importing_the_room_stays_light():
    code = "import sys, keras_rawaudio.data.corpus, keras_rawaudio.data.codecs; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    heavy = {"tensorflow", "keras", "soxr", "soundfile", "scipy", "matplotlib"}
    assert not heavy & set(loaded.stdout.split())
