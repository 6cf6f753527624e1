"""The test's folder: what is in it, what the page does not hold, and what is refused."""

import base64
import errno
import io
import json
import os
import re
import shutil
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

from keras_rawaudio.cli import main
from keras_rawaudio.data.codecs import fit_codec
from keras_rawaudio.data.corpus import CorpusSettings, prepare
from keras_rawaudio.errors import UserError
from keras_rawaudio.exporters.export import export
from keras_rawaudio.listening import make_test
from keras_rawaudio.listening.design import Key
from keras_rawaudio.listening.loudness import integrated_loudness
from keras_rawaudio.listening.systems import open_system
from keras_rawaudio.models import Refiner
from keras_rawaudio.recipes import load_recipe
from keras_rawaudio.training.build import build_model
from keras_rawaudio.training.run_folder import FORMAT_VERSION, RunFolder


def content(folder):
    """What the page holds."""
    text = (folder / "index.html").read_text()
    return json.loads(
        re.search(r'<script id="test" type="application/json">(.*)</script>', text)[1]
    )


def decoded(uri):
    assert uri.startswith("data:audio/flac;base64,")
    return soundfile.read(io.BytesIO(base64.b64decode(uri.partition(",")[2])))


def test_questions(key):
    kinds = [trial.question for trial in key.trials]
    # 4 pairs of each system and 4 of noise; 4 preferences; 2 clips of each of 3 sources, 4 anchors.
    assert [kinds.count(kind) for kind in ("identify", "prefer", "rate")] == [12, 4, 10]
    pairs = [key.sources(trial) for trial in key.trials if trial.question == "identify"]
    assert all("recording" in pair for pair in pairs)
    others = [source for pair in pairs for source in pair if source != "recording"]
    assert sorted(others) == ["a"] * 4 + ["b"] * 4 + ["noise"] * 4


def test_no_clip_comes_back_in_pairs(key):
    for question in ("identify", "prefer"):
        clips = [c for trial in key.trials if trial.question == question for c in trial.clips]
        assert len(set(clips)) == len(clips)


def test_the_page_holds_every_clip_and_no_source(made, key):
    page = content(made)
    assert page.keys() == {"test", "trials", "level_check", "clips"}
    assert page["clips"].keys() == key.clips.keys()
    for trial in page["trials"]:
        assert trial.keys() == {"id", "question", "clips"}
    ids = [*key.clips, *(trial.id for trial in key.trials), key.test]
    assert all(re.fullmatch("[0-9a-f]{8}", one) for one in ids)
    assert len(set(ids)) == len(ids)
    assert "hiss" not in (made / "index.html").read_text()


def test_the_order_of_ids_tells_nothing(key):
    first = [key.sources(t)[0] == "recording" for t in key.trials if t.question == "identify"]
    assert 0 < sum(first) < len(first)


def test_clips_are_equally_long_and_equally_loud(made, key):
    page = content(made)
    clips = [decoded(uri) for uri in [page["level_check"], *page["clips"].values()]]
    assert {rate for _, rate in clips} == {16000}
    assert {len(audio) for audio, _ in clips} == {16000}
    levels = [integrated_loudness(audio, rate) for audio, rate in clips]
    assert np.allclose(levels, key.loudness_lufs, atol=0.1)
    assert key.loudness_lufs <= -23
    assert max(np.abs(audio).max() for audio, _ in clips) <= 10 ** (-1 / 20)


def test_same_seed_same_test_and_another_seed_another(made, audio, tmp_path):
    def make(seed):
        out = tmp_path / str(seed)
        words = f"--real {audio}/song.wav --a {audio}/hiss.wav --b {audio}/other.wav --out {out}"
        flags = ["--trials", "4", "--seconds", "1", "--random-seed", str(seed)]
        assert main(["listen-test", *words.split(), *flags]) == 0
        return out

    again, another = make(0), make(1)
    assert (again / "index.html").read_bytes() == (made / "index.html").read_bytes()
    assert (again / "key.json").read_bytes() == (made / "key.json").read_bytes()
    assert not content(another)["clips"].keys() & content(made)["clips"].keys()


def test_lowest_rate_and_fewest_channels_for_all(audio, tmp_path):
    song, _ = soundfile.read(audio / "hiss.wav")
    stereo = np.stack([song, song], axis=1)
    soundfile.write(tmp_path / "stereo.wav", stereo, 16000)
    soundfile.write(tmp_path / "low.wav", song[: 4 * 8000], 8000)
    out = tmp_path / "test"
    words = f"--real {audio}/song.wav --a {tmp_path}/stereo.wav --b {tmp_path}/low.wav --out {out}"
    assert main(["listen-test", *words.split(), "--trials", "2", "--seconds", "1"]) == 0
    shapes = {(rate, clip.shape) for clip, rate in map(decoded, content(out)["clips"].values())}
    assert shapes == {(8000, (8000,))}


def test_one_system(audio, tmp_path):
    out = tmp_path / "test"
    words = f"--real {audio}/song.wav --a {audio}/hiss.wav --out {out} --trials 2 --seconds 1"
    assert main(["listen-test", *words.split()]) == 0
    kinds = [trial["question"] for trial in content(out)["trials"]]
    assert [kinds.count(kind) for kind in ("identify", "prefer", "rate")] == [6, 0, 6]


@pytest.fixture
def run(audio, tmp_path):
    """A run folder of 8 kHz, as training leaves it; the weights are random and large."""
    run = RunFolder(tmp_path / "run")
    recipe = load_recipe("frame-mixture", {"tiers.0.units": 8})
    corpus = prepare([audio / "hiss.wav"], tmp_path / "cache", CorpusSettings(sample_rate=8000))
    codec = fit_codec(recipe.codec.name, corpus.parts())
    run.write_json(run.recipe, recipe.to_json())
    description = {"format_version": FORMAT_VERSION, "sample_rate": 8000}
    run.write_json(run.description, {**description, "corpus": str(corpus.folder)})
    model = build_model(recipe, codec)
    rng = np.random.default_rng(0)
    for weight in model.trainable_weights:
        weight.assign(weight + rng.normal(size=weight.shape))
    model.save(run.best)
    return run.path


@pytest.mark.usefixtures("audio")  # which skips where soundfile cannot write MP3
@pytest.mark.parametrize("seed", range(4))
def test_a_recording_with_a_passage_at_the_gate_of_silence(tmp_path, seed):
    """Noise and MP3 made of it would be under the gate."""
    rng, time = np.random.default_rng(0), np.arange(6 * 8000) / 8000
    quiet = 10 ** (-70 / 20) * np.sin(2 * np.pi * 3000 * time)
    song = np.concatenate([0.1 * rng.normal(size=30 * 8000), quiet])
    soundfile.write(tmp_path / "song.wav", song, 8000, "FLOAT")
    soundfile.write(tmp_path / "hiss.wav", 0.1 * rng.normal(size=9 * 8000), 8000)
    words = f"--real {tmp_path}/song.wav --a {tmp_path}/hiss.wav --out {tmp_path}/test --trials 2"
    assert main(["listen-test", *words.split(), "--seconds", "1", "--random-seed", str(seed)]) == 0


def test_streams_go_on_from_seconds_of_their_own():
    excerpt = np.arange(8 * 8000, dtype=np.float64) / 1e5
    seconds = make_test._prompt(excerpt, 8000)(3, 8000, 1)
    assert seconds.shape == (3, 8000)
    np.testing.assert_allclose(seconds[:, 0] * 1e5, [0, 3.5 * 8000, 7 * 8000], atol=1)
    assert make_test._prompt(np.zeros((4000, 2)), 8000)(3, 16000, 2).shape == (3, 8000, 2)


@pytest.mark.slow
def test_a_run_folder_beside_its_exported_file(audio, run, tmp_path):
    export(run, tmp_path / "exported")
    file, out = tmp_path / "exported" / "generator.onnx", tmp_path / "test"
    words = f"--real {audio}/song.wav --a {run} --b {file} --out {out} --trials 2 --seconds 1"
    assert main(["listen-test", *words.split()]) == 0
    key = Key.model_validate_json((out / "key.json").read_text())
    assert key.systems == {"a": str(run), "b": str(file)}
    clips = content(out)["clips"]
    assert {(rate, len(clip)) for clip, rate in map(decoded, clips.values())} == {(8000, 8000)}
    drawn = [clips[clip] for clip, source in key.clips.items() if source in "ab"]
    assert len(set(drawn)) == len(drawn) == 4  # two of each system


CASES = {
    "nothing": ("", "missing: --real, --a, --out"),
    "no-file": ("--real none.wav --a {a}/hiss.wav --out {o}", "no such file or folder: none.wav"),
    "no-system": ("--real {a}/song.wav --a none --out {o}", "no such file or folder: none"),
    "no-onnx": ("--real {a}/song.wav --a {a}/no.onnx --out {o}", "no.onnx"),
    "short": (
        "--real {a}/song.wav --a {a}/hiss.wav --out {o} --seconds 4",
        "hiss.wav has 2 audible excerpts of 4 s, and the test needs 6: give more audio",
    ),
    "silent": (
        "--real {a}/song.wav --a {o}-silence.wav --out {o} --seconds 1",
        "silence.wav has 0 audible excerpts",
    ),
    "taken": ("--real {a}/song.wav --a {a}/hiss.wav --out {a}", "is there already"),
    "both": ("--results {a}/x.json --real {a}/song.wav", "not both"),
    "no-file-deep": ("--real none.wav --a {a}/hiss.wav --out {o}/a/b", "no such file or folder"),
    "no-results": ("--results {a}/x.json", "cannot read .*x.json: there is no such file"),
    "no-json": ("--results {a}/song.wav", "song.wav is not a JSON file of a listening test"),
}


@pytest.mark.parametrize("case", CASES)
def test_bad_input(audio, tmp_path, capsys, case):
    words, expected = CASES[case]
    soundfile.write(tmp_path / "new-silence.wav", np.zeros(8 * 16000), 16000)
    before = {*tmp_path.iterdir()}
    words = words.format(a=audio, o=tmp_path / "new")
    assert main(["listen-test", *words.split()]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert re.search(expected, err)
    assert err.count("\n") == 1
    assert {*tmp_path.iterdir()} == before


def test_a_failure_to_write_leaves_nothing(audio, tmp_path, capsys, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("keras_rawaudio.listening.make_test.sync_tree", full)
    words = (
        f"--real {audio}/song.wav --a {audio}/hiss.wav --out {tmp_path}/x --trials 2 --seconds 1"
    )
    assert main(["listen-test", *words.split()]) == 2
    assert "No space left" in capsys.readouterr().err
    assert [*tmp_path.iterdir()] == []


def test_the_folder_that_one_is_in_has_no_name(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["listen-test", "--real", "song.wav", "--a", "song.wav", "--out", "."]) == 2
    assert "give it a name" in capsys.readouterr().err
    assert [*tmp_path.iterdir()] == []


def test_a_sampler_that_fails_as_it_draws_is_one_line(tmp_path, monkeypatch):
    serving = pytest.importorskip("keras_rawaudio_serving")

    def failing(*_, **more):
        if more:  # as it draws
            raise serving.ServingError("the model gave NaN")
        return SimpleNamespace(metadata=SimpleNamespace(sample_rate=8000, channels=1))

    monkeypatch.setattr(serving.Sampler, "load", failing)
    system = open_system(tmp_path / "generator.onnx")
    with pytest.raises(UserError, match="gave NaN"):
        system.draw(2, 1.0, lambda streams, rate, channels: np.zeros((streams, rate)), 0)


def test_a_refiner_is_no_system(tmp_path, monkeypatch):
    (tmp_path / "run.json").write_text('{"format_version": 1}')
    (tmp_path / "recipe.json").write_text("{}")
    refiner = object.__new__(Refiner)
    monkeypatch.setattr("keras_rawaudio.training.model_files.load_model", lambda run: refiner)
    with pytest.raises(UserError, match="a refiner's run"):
        open_system(tmp_path)


@pytest.mark.skipif(sys.platform != "linux", reason="names that are not UTF-8")
def test_a_system_whose_name_is_not_utf8(audio, tmp_path):
    named = tmp_path / os.fsdecode(b"caf\xe9.wav")
    shutil.copy(audio / "hiss.wav", named)
    words = ["--real", f"{audio}/song.wav", "--a", str(named), "--out", str(tmp_path / "test")]
    assert main(["listen-test", *words, "--trials", "2", "--seconds", "1"]) == 0
    key = Key.model_validate_json((tmp_path / "test/key.json").read_text())
    assert key.systems["a"].endswith(r"caf\udce9.wav")


def test_the_folder_keeps_its_mode_and_a_link_is_refused(audio, tmp_path):
    """The key is secret."""
    out, link = tmp_path / "test", tmp_path / "link"
    out.mkdir(mode=0o700)
    link.symlink_to(out)
    words = f"listen-test --real {audio}/song.wav --a {audio}/hiss.wav --trials 2 --seconds 1"
    assert main([*words.split(), "--out", str(link)]) == 2
    assert main([*words.split(), "--out", str(out)]) == 0
    assert out.stat().st_mode & 0o777 == 0o700


def test_what_cannot_be_read_is_not_blamed_on_the_folder(audio, tmp_path, monkeypatch, capsys):
    def refuse(*_):
        raise PermissionError(errno.EACCES, "Permission denied", "song.wav")

    monkeypatch.setattr("keras_rawaudio.listening.make_test.AudioFiles.open", refuse)
    words = f"listen-test --real {audio}/song.wav --a {audio}/hiss.wav --out {tmp_path}/test"
    assert main(words.split()) == 2
    assert "the system refuses 'song.wav': Permission denied" in capsys.readouterr().err
    assert not (tmp_path / "test").exists()
