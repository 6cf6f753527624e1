"""Sources and settings that cannot be used, and files that are cut off or odd."""

import os
import sys
from pathlib import Path

import numpy as np
import pytest

from keras_rawaudio.data.corpus import Corpus, CorpusSettings, decoding
from keras_rawaudio.data.corpus import prepare as prepare_at
from keras_rawaudio.errors import UserError

from .conftest import KINDS, noise, whole, write


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


def test_an_empty_path_is_not_the_folder_that_one_is_in(prepare):
    with pytest.raises(UserError, match="is empty; name a file or a folder"):
        prepare("")


def test_a_path_that_begins_with_an_unknown_user_is_taken_as_it_is(prepare, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="no such file or folder: ~nobody-of-this-name"):
        prepare("~nobody-of-this-name/song.wav")
    with pytest.raises(UserError, match="no prepared audio in ~nobody-of-this-name"):
        Corpus.open("~nobody-of-this-name")


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


def test_what_a_training_generated_is_no_music(tmp_path, prepare):
    """Samples of a run folder inside of the audio folder would be trained and tested on."""
    samples = tmp_path / "music" / "run" / "samples"
    samples.mkdir(parents=True)
    write(tmp_path / "music" / "song.wav", noise(2))
    write(samples / "step-0000001.wav", noise(2))
    for name in ("run.json", "recipe.json"):
        assert (
            len(decoding.find_files(tmp_path / "music")) == 2
        )  # one of them alone is somebody's own
        (tmp_path / "music" / "run" / name).write_text("{}")
    corpus = prepare(tmp_path / "music")
    assert [Path(source["path"]).name for source in corpus.describe()["sources"]] == ["song.wav"]
    named = prepare(samples / "step-0000001.wav")  # who names it wants it
    assert len(named.describe()["sources"]) == 1


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


def test_a_file_that_may_not_be_read_is_called_so(tmp_path, monkeypatch):
    """Libsndfile's text for what the system refuses is "System error." """
    write(tmp_path / "mine.wav", noise(3))

    def refuse(*arguments):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(UserError, match=r"cannot read .*mine\.wav: Permission denied"):
        decoding.open_audio(tmp_path / "mine.wav")


def test_a_folder_that_may_not_be_read_is_named(tmp_path, monkeypatch):
    (tmp_path / "closed").mkdir()
    write(tmp_path / "a.wav", noise(3))
    write(tmp_path / "closed" / "b.wav", noise(3))
    may = os.access
    monkeypatch.setattr(os, "access", lambda path, *how: path.name != "closed" and may(path, *how))
    with pytest.warns(UserWarning, match="closed may not be read: left out"):
        assert [path.name for path in decoding.find_files(tmp_path)] == ["a.wav"]
