"""`evaluate-audio` by its command line, on files whose faults are known."""

import base64
import io
import re

import numpy as np
import pytest
import soundfile

from keras_rawaudio.cli import main

RATE = 4000


@pytest.fixture(scope="module")
def song():
    """Forty seconds of chords, none of which comes twice."""
    rng, beat = np.random.default_rng(0), np.arange(RATE // 2) / RATE
    chords = [
        np.sin(2 * np.pi * np.outer(rng.uniform(100, 1900, 5), beat)).sum(axis=0)
        * np.exp(-3 * beat)
        for _ in range(80)
    ]
    return np.concatenate(chords) * 0.1 + 1e-3 * rng.normal(size=40 * RATE)


@pytest.fixture
def evaluated(song, tmp_path, capfd):
    """Evaluates a file that holds the audio: the console lines, and the page."""

    def judge(audio, rate=RATE, *words):
        soundfile.write(tmp_path / "song.wav", song, RATE)
        soundfile.write(tmp_path / "new.wav", audio, rate)
        files = f"--real {tmp_path}/song.wav --generated {tmp_path}/new.wav --out {tmp_path}/a.html"
        assert main(["evaluate-audio", *files.split(), *words]) == 0
        out, err = capfd.readouterr()
        assert out == ""
        return err, (tmp_path / "a.html").read_text()

    return judge


def test_a_copy_is_named_with_its_place(song, evaluated):
    err, page = evaluated(song[20 * RATE : 26 * RATE])
    found = re.search(r"new.wav: (\d) s copied from 0:(\d\d) of the source", err)
    assert 5 <= int(found[1]) <= 6
    assert 19 <= int(found[2]) <= 21
    assert "copied from" in page
    assert page.count("<audio") == 2
    assert page.count("<img") == 2


def test_noise_at_another_rate_is_noise(evaluated):
    err, page = evaluated(np.random.default_rng(0).normal(size=5 * 8000) * 0.05, 8000)
    assert "new.wav: noise from the start" in err
    assert "mono, 4000 Hz" in page


def test_a_seed_that_leaks(song, evaluated, tmp_path):
    """Pitfall 16: the seed in the output."""
    seed = ["--seed-audio", f"{tmp_path}/song.wav", "--seed-start", "20", "--seed-seconds", "1.5"]
    noise = np.random.default_rng(0).normal(size=3 * RATE) * 0.05
    leaked = np.concatenate([song[20 * RATE : int(21.5 * RATE)], noise])
    err, page = evaluated(leaked, RATE, *seed)
    assert "the seed leaks" in err
    assert page.count("<audio") == 3
    assert "where the seed ends" in page
    err, _ = evaluated(leaked, RATE, *seed, "--keep-seed")
    assert "the seed leaks" not in err


def test_in_a_seed_of_less_than_half_a_second_nothing_is_sought(song, evaluated, tmp_path):
    """It had "best match with the seed: 0.00", also where the seed was in the output."""
    seed = ["--seed-audio", f"{tmp_path}/song.wav", "--seed-start", "20", "--seed-seconds", "0.4"]
    _, page = evaluated(song[20 * RATE : 23 * RATE], RATE, *seed)
    assert "best match with the seed" not in page


def test_files_of_one_name_are_told_apart_by_their_paths(song, tmp_path, capfd):
    for folder in "ab":
        (tmp_path / folder).mkdir()
        soundfile.write(tmp_path / folder / "new.wav", song[: 3 * RATE], RATE)
    soundfile.write(tmp_path / "song.wav", song, RATE)
    words = f"--real {tmp_path}/song.wav --generated {tmp_path}/a/new.wav {tmp_path}/b/new.wav"
    assert main(["evaluate-audio", *words.split(), "--out", f"{tmp_path}/page.html"]) == 0
    err = capfd.readouterr().err
    for folder in "ab":
        assert f"{folder}/new.wav:" in err


@pytest.mark.slow
def test_stereo_stays_stereo_in_the_players(song, tmp_path, capfd):
    """Where all files are stereo; measures are those of the mono mix."""
    excerpt = song[20 * RATE : 26 * RATE]
    wide = np.stack([excerpt, 0.5 * excerpt], axis=1)
    for name, audio in (("song", np.stack([song, song], axis=1)), ("wide", wide)):
        soundfile.write(tmp_path / f"{name}.wav", audio, RATE)
    words = ["--real", tmp_path / "song.wav", "--generated", tmp_path / "wide.wav"]
    words += ["--out", tmp_path / "page.html"]
    assert main(["evaluate-audio", *map(str, words)]) == 0
    page = (tmp_path / "page.html").read_text()
    assert f"stereo, {RATE} Hz" in page
    held = [
        soundfile.read(io.BytesIO(base64.b64decode(data)))[0]
        for data in re.findall(r'src="data:audio/flac;base64,([^"]*)"', page)
    ]
    assert [audio.ndim for audio in held] == [2, 2]
    np.testing.assert_allclose(held[1], np.clip(wide, -1, 1), atol=1e-4)
    assert "copied from" in page
