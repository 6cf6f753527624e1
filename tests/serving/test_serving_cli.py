"""The real command line, mostly in a process of its own."""

import os
import runpy
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from keras_rawaudio_serving import Sampler
from keras_rawaudio_serving.cli import main
from keras_rawaudio_serving.command import run_command
from keras_rawaudio_serving.output import to_pcm16

from .command_line import COMMAND, FRONT_DOOR, check_error, run, words_of

Toy = Callable[..., Path]
Tone = Callable[..., Path]
RATE = 8000


def test_a_file_from_the_checkout(toy: Toy, tmp_path: Path) -> None:
    """Pitfall 15: 0.7777 s are round(0.7777 * rate) samples, at the rate."""
    out = tmp_path / "new.wav"
    done = run(toy(frame=250), "--seconds", 0.7777, "--out", out, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == b""
    info = soundfile.info(str(out))
    assert (info.frames, info.samplerate) == (round(0.7777 * RATE), RATE)
    assert (info.channels, info.subtype) == (1, "PCM_16")
    # A note names the random seed, so that it can be used again.
    number = done.stderr.split(b"--random-seed ")[1].split()[0].decode()
    assert main(words_of(toy(frame=250), "--seconds 0.7777 --random-seed", number, out=out)) == 0
    again = tmp_path / "again.wav"
    assert main(words_of(toy(frame=250), "--seconds 0.7777 --random-seed", number, out=again)) == 0
    assert again.read_bytes() == out.read_bytes()


def test_what_is_read_is_not_written(
    toy: Toy, tone: Tone, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    song, model = tone(), tmp_path / "model.wav"
    model.write_bytes(toy().read_bytes())
    (tmp_path / "link.wav").symlink_to(song)
    before = song.read_bytes()
    seeded = [str(toy()), "--seconds", "0.1", "--seed-audio", str(song)]
    for words in (
        [*seeded, "--out", str(song)],
        [*seeded, "--out", str(tmp_path / "link.wav")],
        [str(model), "--seconds", "0.1", "--out", str(model)],
    ):
        assert main(words) == 2
        check_error(2, capsys.readouterr().err, "it is what is read; choose another place")
    assert song.read_bytes() == before


@pytest.mark.skipif(os.name == "nt", reason="shell redirections")
def test_closed_and_full_streams(toy: Toy, tmp_path: Path) -> None:
    """Notes never get among the audio, and one that cannot be written stops nothing."""
    words = f"{shlex.join(COMMAND)} {toy()} --seconds 0.1 --random-seed 1 --out"

    def shell(text: str) -> "subprocess.CompletedProcess[bytes]":
        command = f"env -u PYTHONUNBUFFERED {words} {text}"  # as users have it
        return subprocess.run(command, shell=True, capture_output=True, cwd=tmp_path)

    audio = shell("- --quiet").stdout
    assert len(audio) == 2 * round(0.1 * RATE)
    assert shell("- 2>&-").stdout == audio
    closed = shell("- >&-")
    check_error(closed.returncode, closed.stderr.decode(), "standard output, and it is closed")
    if os.path.exists("/dev/full"):
        assert shell("new.wav 2>/dev/full").returncode == 0
        assert shell("nowhere/new.wav 2>/dev/full").returncode == 2


@pytest.mark.skipif(sys.platform != "linux", reason="names that are no Unicode")
def test_names_that_are_no_unicode(toy: Toy, tone: Tone, tmp_path: Path) -> None:
    song, new = (os.fsdecode(os.fsencode(tmp_path) + name) for name in (b"/\xff.wav", b"/\xfe.wav"))
    shutil.copy(tone(), song)
    assert main([str(toy()), "--seconds", "0.1", "--seed-audio", song, "--out", new]) == 0
    assert os.path.getsize(new) > 44


@pytest.mark.parametrize("extension", ["wav", "flac", "ogg"])
def test_same_random_seed_same_file(toy: Toy, tmp_path: Path, extension: str) -> None:
    files = []
    for name, seed in (("a", 7), ("b", 7), ("c", 8)):
        out = tmp_path / f"{name}.{extension}"
        assert main(words_of(toy(), "--seconds 1 --quiet --random-seed", seed, out=out)) == 0
        files.append(out.read_bytes())
    assert files[0] == files[1] != files[2]


def test_streams_temperatures_and_numbered_files(toy: Toy, tmp_path: Path) -> None:
    for n, text in enumerate(["0.5,1", "0.5 1"]):
        words = f"--seconds 0.3 --random-seed 2 --streams 2 --temperature {text}"
        assert main(words_of(toy(), words, out=tmp_path / f"new{n}.wav")) == 0
    sampler = Sampler.load(toy(), random_seed=2, streams=2, temperature=[0.5, 1])
    expected = to_pcm16(sampler.generate(0.3))
    for n in range(2):
        for stream in range(2):
            data, _ = soundfile.read(tmp_path / f"new{n}-{stream + 1}.wav", dtype="int16")
            np.testing.assert_array_equal(data, expected[stream])


def test_the_seed_is_read_but_not_in_the_output(toy: Toy, tone: Tone, tmp_path: Path) -> None:
    """Pitfall 16: new audio alone, unless --keep-seed, which puts the (resampled) seed first."""
    model, seed = toy(deterministic=True, frame=6), tone(seconds=2, rate=44100)
    words = f"--seconds 0.1 --seed-audio {seed} --seed-start 0.5 --seed-seconds 0.501"
    assert main(words_of(model, words, out=tmp_path / "new.flac")) == 0
    assert main(words_of(model, f"{words} --keep-seed", out=tmp_path / "kept.flac")) == 0
    new, _ = soundfile.read(tmp_path / "new.flac")
    kept, _ = soundfile.read(tmp_path / "kept.flac")
    assert len(new) == 800
    assert len(kept) == 800 + 4008
    np.testing.assert_array_equal(kept[-800:], new)
    t = 0.5 + np.arange(4008) / RATE
    np.testing.assert_allclose(kept[:4008], 0.5 * np.sin(2 * np.pi * 440 * t), atol=2e-4)
    # What follows is the state that the seed left, dying away.
    level = 0.0
    for value in kept[:4008]:
        level = 0.9 * level + 0.1 * value
    np.testing.assert_allclose(new[:50], level * 0.9 ** np.arange(1, 51), atol=2e-4)


def test_a_short_seed_is_padded_with_a_note(
    toy: Toy, tone: Tone, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seed = tone(seconds=0.5, rate=RATE)
    words = f"--seconds 0.1 --seed-audio {seed} --seed-start 0.25 --seed-seconds 1"
    assert main(words_of(toy(), words, out=tmp_path / "new.wav")) == 0
    assert "0.75 s shorter than asked" in capsys.readouterr().err


def test_clipping_in_the_file(toy: Toy, tmp_path: Path) -> None:
    """Pitfall 18: a model that is too loud is clipped, with no sample of the wrong sign."""
    assert (
        main(words_of(toy(gain=50.0), "--seconds 1 --random-seed 1", out=tmp_path / "a.wav")) == 0
    )
    audio = Sampler.load(toy(gain=50.0), random_seed=1).generate(1.0)[0]
    data, _ = soundfile.read(tmp_path / "a.wav", dtype="int16")
    assert np.abs(audio).max() > 1
    loud = np.abs(audio) > 1
    np.testing.assert_array_equal(np.sign(data[loud]), np.sign(audio[loud]))
    assert set(data[loud].tolist()) <= {32767, -32768}


def test_deterministic_model_says_that_temperature_does_nothing(
    toy: Toy, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = "--seconds 0.1 --temperature 0.9"
    assert main(words_of(toy(deterministic=True), words, out=tmp_path / "a.wav")) == 0
    err = capsys.readouterr().err
    assert "--temperature has no effect" in err
    assert "random-seed" not in err


def test_quiet_is_quiet(toy: Toy, tmp_path: Path) -> None:
    done = run(toy(), "--seconds", 0.1, "--out", tmp_path / "a.wav", "--quiet")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_a_closed_console_costs_no_audio(
    toy: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", None)
    monkeypatch.setattr("sys.stdout", None)
    monkeypatch.setattr("sys.stderr", None)
    assert main([str(toy()), "--seconds", "0.1", "--out", str(tmp_path / "new.wav")]) == 0
    assert (tmp_path / "new.wav").is_file()


def test_pipe(toy: Toy) -> None:
    done = run(*words_of(toy(), "--seconds 0.5001 --streams 2 --random-seed 4", out="-"))
    assert done.returncode == 0, done.stderr
    pcm = np.frombuffer(done.stdout, "<i2").reshape(-1, 2)
    sampler = Sampler.load(toy(), random_seed=4, streams=2)
    np.testing.assert_array_equal(pcm.T, to_pcm16(sampler.generate(0.5001)))


def test_closed_pipe_stops_cleanly(toy: Toy) -> None:
    """Without --seconds the stream is endless; it ends when the reader leaves, without a word."""
    process = subprocess.Popen(
        [*COMMAND, str(toy()), "--out", "-", "--quiet"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    assert len(process.stdout.read(RATE * 2)) == RATE * 2  # a second of it
    process.stdout.close()
    assert process.wait(timeout=300) == 0
    assert process.stderr.read() == b""
    process.stderr.close()


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_interrupted_leaves_nothing(
    toy: Toy, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    process = subprocess.Popen(
        [*COMMAND, str(toy()), "--seconds", "100000", "--out", str(folder / "new.wav")],
        stderr=subprocess.PIPE,
        # What runs the tests in the background may let its children ignore Ctrl-C or hang-ups.
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),
    )
    deadline = time.monotonic() + 300
    while not any(p.stat().st_size > 1000 for p in folder.rglob("*.wav")):
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(number)
    _, err = process.communicate(timeout=300)
    assert process.returncode == code
    assert b"Traceback" not in err
    assert list(folder.iterdir()) == []


def test_ctrl_c_while_the_script_is_read_is_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("keras_rawaudio_serving.cli.main", interrupted)
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(FRONT_DOOR), run_name="__main__")
    assert ended.value.code == 130


def test_a_library_that_does_not_load_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """As where memory is limited (ulimit -v)."""

    def broken() -> None:
        raise ImportError("libz.so.1: failed to map segment from shared object\nand more")

    assert run_command("keras-rawaudio-generate", broken) == 2
    message = "cannot load a library: libz.so.1: failed to map segment from shared object;"
    check_error(2, capsys.readouterr().err, message)


def test_a_limit_of_threads_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    def limited() -> None:
        raise RuntimeError("can't start new thread")

    assert run_command("keras-rawaudio-generate", limited) == 2
    check_error(2, capsys.readouterr().err, "can't start new thread: ask for fewer")


@pytest.mark.skipif(os.name == "nt", reason="a POSIX shell")
def test_no_file_gets_the_number_of_a_closed_stream() -> None:
    """ONNX Runtime's warnings on stderr would else be written into it."""
    code = (
        "import os, sys\n"
        "from keras_rawaudio_serving.command import run_command\n"
        "run_command('', lambda: print(os.open(os.devnull, os.O_WRONLY)))\n"
    )
    command = shlex.join([sys.executable, "-c", code])
    done = subprocess.run(f"{command} <&- 2>&-", shell=True, capture_output=True, check=True)
    assert int(done.stdout) > 2


def test_needs_no_tensorflow(toy: Toy, tmp_path: Path) -> None:
    code = (
        "import sys, runpy\n"
        f"sys.argv = ['generate.py', {str(toy())!r}, '--seconds', '0.1', '--quiet', '--out', "
        f"{str(tmp_path / 'a.wav')!r}]\n"
        f"try: runpy.run_path({str(FRONT_DOOR)!r}, run_name='__main__')\n"
        "except SystemExit as e: assert e.code == 0, e.code\n"
        "tops = {name.split('.')[0] for name in sys.modules}\n"
        "bad = tops & {'tensorflow', 'keras', 'keras_rawaudio', 'scipy', 'soxr', 'onnx', 'torch'}\n"
        "assert not bad, bad\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=600)


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys\n"
        f"sys.path.insert(0, {str(FRONT_DOOR.parent)!r})\n"
        "from keras_rawaudio_serving.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit as e: assert e.code == 0\n"
        "bad = {'numpy', 'onnxruntime', 'soundfile', 'tqdm'} & set(sys.modules)\n"
        "assert not bad, bad\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=600, stdout=subprocess.DEVNULL)


def test_nothing_is_sent(toy: Toy, tmp_path: Path) -> None:
    """ONNX Runtime would keep a number of the user, and what it means to send, in the cache."""
    home = tmp_path / "home"
    home.mkdir()
    unset = ("CI", "ORT_DISABLE_TELEMETRY", "ORT_RUNNING_UNIT_TESTS", "XDG_CACHE_HOME")
    environment = {name: value for name, value in os.environ.items() if name not in unset}
    done = run(
        *words_of(toy(), "--seconds 0.1 --quiet", out=tmp_path / "new.wav"),
        env=environment | {"HOME": str(home)},
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert list(home.rglob("*")) == []
