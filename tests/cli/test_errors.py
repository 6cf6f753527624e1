"""Bad input: one clear line on stderr, exit code 2, nothing on stdout, no folder left behind."""

import re
import shutil

import numpy as np
import pytest
import soundfile

from keras_rawaudio.cli import main
from keras_rawaudio.data.corpus.synthesis import write_demo_piece
from keras_rawaudio.files import write_errors

RATE = 2000


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """A folder with bad audio of all kinds, the working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    write_demo_piece("song.wav", 2.0, RATE)
    write_demo_piece("short.wav", 0.25, RATE)
    for name in ("take.png", "overview.png"):
        shutil.copy("song.wav", name)
    tmp_path.joinpath("notes.wav").write_text("these are not samples")
    tmp_path.joinpath("nothing.wav").write_bytes(b"")
    soundfile.write("none.wav", np.zeros(0), RATE)
    soundfile.write("silent.wav", np.zeros(RATE), RATE)
    bad = np.ones(RATE, np.float32)
    bad[700] = np.nan
    soundfile.write("nan.wav", bad, RATE, subtype="FLOAT")
    tmp_path.joinpath("folder").mkdir()
    return tmp_path


SONG = "--audio song.wav --run new/run"
CASES = {
    "no-such-file": ("train --audio sing.wav --run new/run", "no such file.*sing.wav"),
    "not-audio": ("train --audio notes.wav --run new/run", "notes.wav"),
    "empty-file": ("train --audio nothing.wav --run new/run", "nothing.wav.*empty"),
    "no-samples": ("train --audio none.wav --run new/run", "none.wav"),
    "no-files": ("train --audio folder --run new/run", "folder"),
    "short": ("train --audio short.wav --run new/run", "holds one window|too short|too few"),
    "nan-audio": ("train --audio nan.wav --run new/run", "nan.wav.*(NaN|not a number|finite)"),
    "silent": ("train --audio silent.wav --run new/run", "silence.*silent.wav"),
    "no-audio": ("train --run new/run", "--audio is missing"),
    "window": (
        f"train {SONG} --recipe raw --window 100",
        "divide into frames of 128; try 128",
    ),
    "frames": (
        f"train {SONG} --recipe categorical --set tiers.0.frame_size=60",
        "60 do not divide into frames of 8",
    ),
    "recipe": (f"train {SONG} --recipe defalt", "did you mean 'default'"),
    "recipe-file": (f"train {SONG} --recipe my.yaml", "no such recipe file: my.yaml"),
    "key": (f"train {SONG} --set training.learning_rat=1", "did you mean 'learning_rate'"),
    "tier": (f"train {SONG} --recipe raw --set tiers.7.units=1", "no tier '7'"),
    "codec-key": (f"train {SONG} --recipe raw --set codec.levles=16", "levles"),
    "head-key": (
        f"train {SONG} --recipe raw --set head.hiden_units=16",
        "did you mean 'hidden_units'",
    ),
    "value": (f"train {SONG} --set data.batch=many", "'many' should be a valid integer"),
    "not-a-pair": (f"train {SONG} --set data.batch", "key=value"),
    "not-yaml": (f"train {SONG} --set data.batch=[1", r"cannot read '\[1'"),
    "optimizer": (f"train {SONG} --optimizer adm", "'adam'"),
    "minutes": (f"train {SONG} --minutes 0", "minutes must be above 0 and up to 1000000, not 0"),
    "endless": (f"train {SONG} --minutes inf", "minutes must be above 0.*not inf"),
    "epochs": (f"train {SONG} --epochs -1", "epochs must be from 1 to 1000000000, not -1"),
    "budgets": (f"train {SONG} --minutes 1 --epochs 1", "two budgets"),
    "rate": (
        f"train {SONG} --sample-rate -8000",
        "from 1000 to 384000 Hz, not -8000",
    ),
    "rate-too-high": (f"train {SONG} --sample-rate 1000000000", "from 1000 to 384000 Hz"),
    "seed": (f"train {SONG} --random-seed -1", "--random-seed: must be from 0"),
    "port": (f"train {SONG} --live 65536", "--live: must be from 0 to 65535: 65536"),
    "nan": (f"train {SONG} --learning-rate nan", "learning_rate: nan should be a finite number"),
    "flag": ("train --adio song.wav", "arguments are required: --run"),
    "no-value": ("train --audio song.wav --run", "argument --run: expected one argument"),
    "leading-dash": ("export --run -run --out new", "argument --run: expected one argument"),
    "path-too-long": (f"train --audio {'x' * 5000} --run new/run", "File name too long"),
    "null-byte": ("train --audio so\0ng.wav --run new/run", "null byte"),
    "recipe-nothing": ("recipe defalt", "did you mean 'default'"),
    "recipe-key": ("recipe default --set data.bacth=2", "did you mean 'batch'"),
    "recipe-unnamed": ("recipe --set data.batch=2", "--set needs the name of a recipe"),
    "recipe-schema": ("recipe default --schema", "leave the others out"),
    "run-is-a-file": ("train --audio song.wav --run song.wav", "song.wav is a file"),
    "run-in-a-file": ("train --audio song.wav --run song.wav/run", "cannot write to song.wav/run"),
    "run-is-taken": ("train --audio song.wav --run .", "not empty and holds no run"),
    "resume-nothing": ("train --resume --run new/run", "no such run folder: new/run"),
    "resume-no-run": ("train --resume --run folder", "folder is not a run folder"),
    "resume-audio": ("train --resume --run folder --audio song.wav", "own audio"),
    "resume-recipe": ("train --resume --run folder --recipe demo", "own audio, recipe"),
    "export-nothing": ("export --run new/run --out new/out", "no such run folder"),
    "export-no-run": ("export --run folder --out new/out", "is not a run folder"),
    "evaluate-nothing": ("evaluate --run new/run", "no such run folder"),
    "evaluate-no-run": ("evaluate --run folder", "is not a run folder"),
    "explore-nothing": ("explore sing.wav --out new", "no such file: sing.wav"),
    "explore-no-audio": ("explore notes.wav --out new", "notes.wav"),
    "explore-no-samples": ("explore none.wav --out new", "none.wav.*0 samples"),
    "explore-nan": ("explore nan.wav --out new", "nan.wav.*not a finite number"),
    "explore-nowhere": (
        "explore song.wav --out song.wav/new",
        "cannot write song.wav/new/waveforms.png: Not a directory",
    ),
    "report-nothing": ("report --run new/run", "no such run folder"),
    "report-no-run": ("report --run folder", "is not a run folder"),
    "report-no-time": ("report --run folder --seconds -1", "--seconds: must be from 0"),
    "compare-nothing": ("compare folder song.wav", "no run folder among folder, song.wav"),
    "evaluate-audio-nothing": (
        "evaluate-audio --real song.wav --generated new.wav --out a.html",
        "new.wav",
    ),
    "evaluate-audio-no-audio": (
        "evaluate-audio --real notes.wav --generated song.wav --out a.html",
        "notes.wav",
    ),
    "evaluate-audio-silence": (
        "evaluate-audio --real silent.wav --generated song.wav --out a.html",
        "silent",
    ),
    "evaluate-audio-short": (
        "evaluate-audio --real song.wav --generated short.wav --out a.html",
        "short.wav is too",
    ),
    "evaluate-audio-no-seed": (
        "evaluate-audio --real song.wav --generated song.wav --out a.html --seed-start 1",
        "--seed-audio is missing",
    ),
    "evaluate-audio-late-seed": (
        "evaluate-audio --real song.wav --generated song.wav --out a.html --seed-audio song.wav "
        "--seed-start 9",
        "song.wav ends before the seed begins",
    ),
    "evaluate-audio-bad-seed": (
        "evaluate-audio --real song.wav --generated song.wav --out a.html --seed-audio song.wav "
        "--seed-seconds 0",
        "--seed-seconds: must be",
    ),
    "evaluate-audio-nowhere": (
        "evaluate-audio --real song.wav --generated song.wav --out song.wav/a.html",
        "cannot write song.wav/a.html",
    ),
    "draw-nothing": ("spectrogram sing.wav --out new.png", "no such file: sing.wav"),
    "draw-no-audio": ("spectrogram notes.wav --out new.png", "notes.wav"),
    "draw-no-samples": ("spectrogram none.wav --out new.png", "none.wav holds no audio"),
    "draw-no-time": ("spectrogram song.wav --seconds 0 --out new.png", "--seconds"),
    "draw-endless": ("spectrogram song.wav --seconds inf --out new.png", "--seconds: must be from"),
    "evaluate-audio-late": (
        "evaluate-audio --real song.wav --generated song.wav --out a.html --seed-start inf",
        "--seed-start: must be from 0",
    ),
    "evaluate-audio-over-a-folder": (
        "evaluate-audio --real song.wav --generated song.wav --out folder",
        "cannot write folder: it is no file",
    ),
    "no-name": ("evaluate --run ", "an argument is empty"),
    "unset": ("explore song.wav --out=", "an argument is empty"),
    "draw-over-audio": ("spectrogram take.png --out take.png", "take.png: it is what is read"),
    "explore-over-audio": ("explore overview.png --out .", "overview.png: it is what is read"),
    "workers": ("train --audio song.wav --run new --workers 3", "into 3 replicas; try --batch 9"),
    "one-run-alone": ("compare folder", "folder is not a run folder: it has no run.json"),
    "draw-nowhere": ("spectrogram song.wav --out new/new.png", "cannot write new/new.png"),
    "draw-no-ending": ("spectrogram song.wav --out notes", "notes: its name has no ending"),
    "draw-no-format": ("spectrogram song.wav --out new.xyz", "new.xyz"),
}


@pytest.mark.parametrize("case", CASES)
def test_one_line_and_code_2(case, here, capfd):
    command, words = CASES[case]
    before = sorted(here.rglob("*"))
    try:
        code = main(command.split(" "))
    except SystemExit as end:  # how argparse ends
        code = end.code
    assert code == 2
    out, err = capfd.readouterr()
    assert out == ""
    # TensorFlow's start has its own lines, which the test runner's stderr does not keep out.
    (line,) = [w for w in err.splitlines() if w.startswith("keras-rawaudio")]
    program = (
        "keras-rawaudio"
        if case in ("null-byte", "no-name", "unset")
        else f"keras-rawaudio {command.split()[0]}"
    )
    assert line.startswith(f"{program}: error: ")
    assert re.search(words, line), line
    assert "Traceback" not in err
    left = [p for p in sorted(here.rglob("*")) if p not in before and "cache" not in p.parts]
    assert left == []


class ResourceExhaustedError(Exception):
    """As TensorFlow's."""

    __module__ = "tensorflow.python.framework.errors_impl"
    error_code = 8


Fail = type("Fail", (Exception,), {"__module__": "onnxruntime.capi.onnxruntime_pybind11_state"})


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        ResourceExhaustedError("OOM when allocating tensor"),
        Fail("AllocateRawInternal Failed to allocate memory"),
    ],
)
def test_too_little_memory_is_one_line(here, monkeypatch, capsys, error):
    """Of whatever library, where a file is written, too."""

    def greedy(*_):
        with write_errors(here / "new.png"):
            raise error

    monkeypatch.setattr("keras_rawaudio.cli.spectrogram.read", greedy)
    assert main(["spectrogram", "song.wav", "--out", "new.png"]) == 2
    assert "out of memory" in capsys.readouterr().err
