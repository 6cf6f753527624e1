"""What the command line refuses, in one line, and what it does without CUDA."""

import os
from collections.abc import Callable
from pathlib import Path

import onnxruntime
import pytest
import soundfile
from keras_rawaudio_serving.cli import main
from keras_rawaudio_serving.command import Say

from .command_line import check_error, run, words_of

Toy = Callable[..., Path]
Tone = Callable[..., Path]
RATE = 8000
ERRORS = [
    ("--out OUT", "--seconds"),
    ("--seconds 1", "--out"),
    ("--seconds 0 --out OUT", "more than 0"),
    ("--seconds -1 --out OUT", "more than 0"),
    ("--seconds 1 --block 0 --out OUT", "--block"),
    ("--seconds 1e308 --out OUT", "at most 1e+09"),
    ("--seconds 1 --block 1e308 --out OUT", "at most 1e+09"),
    ("--seconds 1 --temperature 0 --out OUT", "temperature is 0"),
    ("--seconds 1 --temperature warm --out OUT", "not a number"),
    ("--seconds 1 --temperature 1,1,1 --streams 2 --out OUT", "3 temperatures for 2 streams"),
    ("--seconds 1 --streams 0 --out OUT", "streams is 0"),
    ("--seconds 1 --streams 10000000000 --out OUT", "must be from 1 to 65536"),
    ("--seconds 1 --out none/new.wav", "no such folder"),
    ("--seconds 1 --out new.xyz", "unknown extension"),
    ("--seconds 1 --keep-seed --out OUT", "--seed-audio"),
    ("--seconds 1 --seed-audio none.wav --out OUT", "no such seed audio"),
    ("--seconds 1 --seed-audio TONE --seed-start 9 --out OUT", "beyond the end"),
]


@pytest.mark.parametrize(("words", "message"), ERRORS)
def test_errors(
    toy: Toy,
    tone: Tone,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    words: str,
    message: str,
) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    words = words.replace("OUT", str(folder / "new.wav")).replace("TONE", str(tone(rate=RATE)))
    check_error(main(words_of(toy(), words)), capsys.readouterr().err, message)
    assert list(folder.iterdir()) == []


def test_model_errors(toy: Toy, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "text.onnx").write_text("hello")
    for model, message in [
        (tmp_path / "none.onnx", "no such model"),
        (tmp_path / "text.onnx", "not an ONNX file"),
        (toy("other.onnx", metadata=None), "not a keras-rawaudio generator"),
        (toy("new.onnx", format_version=99), "format version 99"),
    ]:
        code = main(words_of(model, "--seconds 1", out=tmp_path / "new.wav"))
        check_error(code, capsys.readouterr().err, message)


@pytest.mark.parametrize("model", ["a\nb", "a\0b", "", "\x1b[2J", "x" * 5000])
def test_odd_names_are_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], model: str
) -> None:
    try:
        code = main([model, "--seconds", "1", "--out", str(tmp_path / "new.wav")])
    except SystemExit as error:
        code = int(error.code or 0)
    line = capsys.readouterr().err
    check_error(code, line)
    assert line.rstrip("\n").isprintable()
    assert len(line) < 700


def test_errors_in_a_process(tmp_path: Path, toy: Toy) -> None:
    (tmp_path / "text.onnx").write_text("hello")
    for words in (["--seconds", "x", "m"], ["m", "--bogus"], [tmp_path / "text.onnx"], []):
        done = run(*words, "--out", tmp_path / "new.wav", "--seconds", "1")
        check_error(done.returncode, done.stderr.decode())


def test_unwritable_output_is_refused_before_the_work(
    toy: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*args: object, **options: object) -> None:
        raise AssertionError("the model was opened")

    monkeypatch.setattr(onnxruntime, "InferenceSession", never)
    assert main(words_of(toy(), "--seconds 1", out=tmp_path / "none" / "new.wav")) == 2


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_folder_without_permission(toy: Toy, tmp_path: Path) -> None:
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o500)
    assert main(words_of(toy(), "--seconds 1", out=folder / "new.wav")) == 2


def test_a_full_disk_is_one_line_and_no_file(
    toy: Toy, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: object) -> None:
        raise soundfile.LibsndfileError(2, "disk full: ")

    monkeypatch.setattr(soundfile.SoundFile, "write", full)
    folder = tmp_path / "out"
    folder.mkdir()
    code = main(words_of(toy(), "--seconds 1 --quiet", out=folder / "new.wav"))
    check_error(code, capsys.readouterr().err, "cannot write")
    assert list(folder.iterdir()) == []


@pytest.mark.skipif(
    "CUDAExecutionProvider" in onnxruntime.get_available_providers(), reason="CUDA is there"
)
@pytest.mark.filterwarnings("ignore:Specified provider")
def test_cuda_that_does_not_start(
    toy: Toy, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Listed but not startable: auto takes the CPU, without a word on stdout; cuda says so."""
    names = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: names)
    words = "--seconds 0.1 --quiet --streams 64 --provider"
    assert main(words_of(toy(), f"{words} auto", out=tmp_path / "a.wav")) == 0
    assert main(words_of(toy(), f"{words} cuda", out=tmp_path / "a.wav")) == 2
    assert capfd.readouterr().out == ""


def test_auto_takes_the_cpu_for_few_streams_and_says_so(
    toy: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    names = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: names)
    for streams, note in ((1, "1 stream: on the CPU"), (31, "31 streams: on the CPU")):
        words = f"--seconds 0.1 --streams {streams} --threads 2 --provider"
        assert main(words_of(toy(), f"{words} auto", out=tmp_path / "a.wav")) == 0
        assert f"{note}, the faster one for so few" in capsys.readouterr().err
        assert main(words_of(toy(), f"{words} cpu", out=tmp_path / "a.wav")) == 0
        assert "on the CPU" not in capsys.readouterr().err


def test_cuda_that_is_not_there(
    toy: Toy, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    words = "--seconds 1 --provider cuda"
    check_error(
        main(words_of(toy(), words, out=tmp_path / "a.wav")), capsys.readouterr().err, "no CUDA"
    )
    words = "--seconds 1 --provider auto --streams 64"
    assert main(words_of(toy(), words, out=tmp_path / "a.wav")) == 0


def test_play_without_sounddevice(toy: Toy, tmp_path: Path) -> None:
    (tmp_path / "sounddevice.py").write_text("raise ImportError")
    env = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = run(toy(), "--play", "--seconds", 1, env=env)
    check_error(done.returncode, done.stderr.decode(), "[play]")


def test_notes_escape_what_cannot_be_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """A name in a model file may hold escape sequences of terminals."""
    Say(quiet=False)("tempo\x1b[2J: move its knob\r")
    assert capsys.readouterr().err == "tempo\\x1b[2J: move its knob\\r\n"


@pytest.mark.parametrize("word", ["", "--curves=", "--refiner=", "a\0b"])
def test_an_empty_argument_is_refused(
    toy: Toy, capsys: pytest.CaptureFixture[str], word: str
) -> None:
    """As of a shell's variable that is not set."""
    with pytest.raises(SystemExit) as stop:
        main([str(toy()), "--seconds", "1", "--out", "-", word])
    check_error(2 if stop.value.code == 2 else 0, capsys.readouterr().err, "an argument is empty")
