"""The comparison with other systems: contract, fetching and table, with a system of no code."""

import importlib
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
NAMES = ("contract", "systems", "run", "common", "music_bars", "quality")


@pytest.fixture
def peers(monkeypatch):
    """The modules of benchmarks/peers by their names."""
    monkeypatch.setattr(sys, "path", [str(BENCHMARKS / "peers"), str(BENCHMARKS), *sys.path])
    before = {name: sys.modules.pop(name, None) for name in NAMES}
    yield SimpleNamespace(**{n: importlib.import_module(n) for n in ("contract", "systems", "run")})
    for name, module in before.items():
        sys.modules.pop(name, None)
        if module is not None:
            sys.modules[name] = module


@pytest.fixture
def data(tmp_path):
    """The parts of a piece at 1 kHz with a peak of a half."""
    folder = tmp_path / "data"
    folder.mkdir()
    wave = 0.5 * np.sin(np.arange(20_000) / 7)
    wave[3] = 0.5
    soundfile.write(folder / "train.wav", wave, 1000, "FLOAT")
    for part in ("validation", "test"):
        soundfile.write(folder / f"{part}.wav", 2 * wave[:2000], 1000, "FLOAT")
    return folder


def test_parts_are_scaled_by_the_train_part_and_clipped(peers, data):
    parts = peers.contract.Parts.read(data)
    assert parts.peak == pytest.approx(0.5)
    assert np.abs(parts.train).max() == pytest.approx(1)
    assert np.abs(parts.validation).max() == np.abs(parts.test).max() == 1


@pytest.mark.parametrize(("count", "seconds"), [(1, 8), (5, 4), (7, 2), (100, 1)])
def test_chunks_are_whole_seconds_and_enough(peers, data, count, seconds):
    chunks = peers.contract.Parts.read(data).chunks(count)
    assert chunks.shape == (20 // seconds, 1000 * seconds)


def test_a_train_part_of_less_than_a_batch_is_refused(peers, data):
    """Its loader would wait without end."""
    parts = peers.contract.Parts.read(data)
    assert parts.chunks_of_batch(20).shape == (20, 1000)
    with pytest.raises(ValueError, match="a batch is 21 chunks of a second"):
        parts.chunks_of_batch(21)


def test_codes_are_those_of_the_codec(peers):
    from keras_rawaudio.data.codecs import codec_from_json

    audio = np.linspace(-1, 1, 999, dtype=np.float32)
    codec = codec_from_json({"name": "mulaw", "peak": 1.0, "levels": 256})
    codes = peers.contract.mu_law_codes(audio)
    off = np.abs(codes - np.asarray(codec.encode(audio)))
    assert off.max() <= 1  # where rounding falls on an edge
    assert off.mean() < 0.01
    assert np.abs(peers.contract.mu_law_audio(codes) - audio).max() < 0.025


def test_the_first_step_is_not_counted(peers, monkeypatch):
    times = iter([10.0, 40.0, 40.0, 75.0])
    monkeypatch.setattr(peers.contract, "CLOCK", lambda: next(times))
    calls = []

    def step():
        calls.append(1)
        return 100

    learned = peers.contract.learn_by_steps(step, 1.0)
    assert learned == {"steps": 2, "samples": 200, "seconds": 65.0}
    assert len(calls) == 3


def test_validation_is_checked_evenly_and_after_the_last_step_off_the_clock(peers):
    now = [0.0]
    checked = []

    def step():
        now[0] += 1.0
        return 10

    def check():
        now[0] += 100.0
        checked.append(True)
        return 4.0

    learned = peers.contract.learn_by_steps(step, 1.0, check, lambda: now[0])
    assert learned == {"steps": 60, "samples": 600, "seconds": 60.0}
    assert len(checked) == peers.contract.CHECKS


def test_what_cannot_learn_on_a_gpu_is_refused_first(peers, tmp_path):
    words = ["--pieces", "a.wav", "--out", str(tmp_path / "out"), "--learn-on", "cuda"]
    options = peers.run.arguments().parse_args([*words, "--systems", "sashimi", "raw"])
    with pytest.raises(Exception, match="is for samplernn-pytorch, sashimi; name them"):
        peers.run.main(options)
    assert not (tmp_path / "out").exists()


class Fake:
    """Draws a level that the result can be recognised by."""

    def __init__(self, options, parts):
        self.settings, self.levels, self.parameters = {"changed": ""}, "256 mu-law levels", 7

    def learn(self, minutes):
        return {"steps": 3, "samples": 300, "seconds": 1.5}

    def test_bits(self):
        return 4.25

    def generator(self, streams):
        return lambda samples: np.full((streams, samples + 9), 1.5)


def test_the_contract_writes_streams_and_a_result(peers, data, tmp_path, monkeypatch):
    out = tmp_path / "out"
    words = ["fake.py", "--data", data, "--out", out, "--streams", 2, "--seconds", 0.5]
    monkeypatch.setattr(sys, "argv", list(map(str, words)))
    peers.contract.main(Fake, ("numpy",))
    result = json.loads((out / "result.json").read_text())
    assert result["test_bits_per_sample"] == 4.25
    assert result["learned_samples_per_second"] == 200
    assert result["packages"] == {"numpy": np.__version__}
    assert sorted(path.name for path in out.iterdir()) == [
        "result.json",
        "stream-1.wav",
        "stream-2.wav",
    ]
    audio, rate = soundfile.read(out / "stream-2.wav")
    assert (len(audio), rate) == (500, 1000)
    assert audio == pytest.approx(0.75, abs=1e-3)  # at the piece's own level


def test_each_peer_has_a_commit_and_an_adapter(peers):
    for name, peer in peers.systems.PEERS.items():
        assert len(peer.commit) == 40, name
        assert set(peer.commit) <= set("0123456789abcdef"), name
        assert (BENCHMARKS / "peers" / peer.adapter).is_file(), name


def test_code_is_fetched_at_its_commit(peers, tmp_path, monkeypatch):
    source = tmp_path / "sources" / "thing"

    def git(*words):
        who = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
        command = ["git", "-C", str(source), *who, *words]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    source.mkdir(parents=True)
    git("init", "--quiet")
    for text in ("first", "second"):
        (source / "code.py").write_text(text)
        git("add", "code.py")
        git("commit", "--quiet", "-m", text)
    address, commit = "https://example.org/thing", git("rev-parse", "HEAD~1")
    peer = peers.systems.Peer("a.py", address, commit, (".",), ())
    monkeypatch.setitem(peers.systems.PEERS, "thing", peer)
    for _ in range(2):  # again: it is there
        folder = peers.systems.code_of("thing", tmp_path / "out", tmp_path / "sources")
        assert (folder / "code.py").read_text() == "first"


def test_a_failed_fetch_is_one_line(peers, tmp_path):
    from keras_rawaudio.errors import UserError

    with pytest.raises(UserError, match="git clone"):
        peers.systems.code_of("prism-samplernn", tmp_path / "out", tmp_path)


def result_of(healthy, system, levels, bits):
    """A result of no piece."""
    own = {"own 50 %": 10.0, "held-out": 15.0, "grains": 20.0, "noise": 200.0}
    return {
        **healthy,
        "asked": {"system": system},
        "sample_rate": 8000,
        "levels": levels,
        "test_bits_per_sample": bits,
        "streams": [{"beat_strength_by_10_s": [0.5], "longest_copy": None}] * 2,
        "distances": {"KAD (musicnn)": {"mean": 19.0, "low": 17.0, "high": 21.0, **own}},
        "seconds_per_second_of_sound": 0.5,
        "learned_samples_per_second": None,
        "steps": 40,
        "parameters": 1_000_000,
        "peak_memory_mb": 300,
    }


def test_the_table_marks_bits_of_other_levels_and_who_exports(peers, healthy, tmp_path):
    results = [
        result_of(healthy, "raw", "256 mu-law levels", 4.0),
        result_of(healthy, "samplernn-pytorch", "256 linear levels", 3.0),
        result_of(healthy, "default", None, None),
    ]
    header, *rows = peers.run.table(results)
    columns = {name: [row[i] for row in rows] for i, name in enumerate(header)}
    assert columns["bits per sample"] == ["4.00", "3.00 †", "-"]
    assert columns["export"] == ["ONNX, SavedModel", "no", "ONNX, SavedModel"]
    assert columns["KAD x 100, 95 % interval"] == ["19 (17 to 21)"] * 3
    assert columns["of held-out audio, grains, noise"] == ["15, 20, 200"] * 3
    peers.run.write_results(results, tmp_path)
    lines = (tmp_path / "table.md").read_text().splitlines()
    assert lines[2] == "| system | raw | samplernn-pytorch | default |"
    assert len(json.loads((tmp_path / "results.json").read_text())["results"]) == 3


def test_what_is_there_is_not_run_again(peers, data, tmp_path, monkeypatch):
    words = ["--pieces", str(data / "train.wav"), "--out", str(tmp_path / "out")]
    options = peers.run.arguments().parse_args(words)
    ran = []

    def fake_run(command, **_):
        out = Path(command[command.index("--out") + 1])
        ran.append(command)
        (out / "result.json").write_text(json.dumps({"steps": 1}))
        return SimpleNamespace(returncode=0)

    monkeypatch.setattr(peers.run.subprocess, "run", fake_run)
    monkeypatch.setattr(peers.run, "measures", lambda *_: {"collapsed": 0})
    for _ in range(2):
        result = peers.run.one_system("raw", Path("song.wav"), data, options)
    assert (result["steps"], result["collapsed"], len(ran)) == (1, 0, 1)
    options.minutes = 60.0  # another question
    peers.run.one_system("raw", Path("song.wav"), data, options)
    assert len(ran) == 2


def test_a_wrong_interpreter_is_one_line(peers, capsys):
    words = ["--pieces", "a.wav", "--out", "out", "--python", "raw=python3"]
    with pytest.raises(SystemExit) as exit:
        peers.run.arguments().parse_args(words)
    assert exit.value.code == 2
    assert "'raw=python3' is not SYSTEM=PATH" in capsys.readouterr().err


def test_a_failed_system_is_one_line_and_runs_again(peers, data, tmp_path, monkeypatch):
    from keras_rawaudio.errors import UserError

    words = ["--pieces", str(data / "train.wav"), "--out", str(tmp_path / "out")]
    options = peers.run.arguments().parse_args(words)
    left = []

    def fake_run(command, **_):
        out = Path(command[command.index("--out") + 1])
        left.append(sorted(path.name for path in out.iterdir()))
        (out / "half").touch()
        return SimpleNamespace(returncode=-9)

    monkeypatch.setattr(peers.run.subprocess, "run", fake_run)
    for _ in range(2):
        with pytest.raises(UserError, match=r"exit code -9\); see .*log\.txt"):
            peers.run.one_system("raw", Path("song.wav"), data, options)
    assert left == [["log.txt"], ["log.txt"]]  # nothing of the run before
