"""What the command line writes, where it can be written and where it cannot."""

import errno
import json
import os
import runpy
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

import keras_rawaudio.__main__
from keras_rawaudio.cli import main
from keras_rawaudio.cli.tensorflow_loader import gpu_names, load_tensorflow
from keras_rawaudio.data.corpus.synthesis import write_demo_piece
from keras_rawaudio.errors import UserError
from keras_rawaudio.recipes import load_recipe, recipe_names

ROOT = Path(__file__).parents[2]


def shell(command):
    """Run `keras-rawaudio` words in a shell, with its redirections."""
    return subprocess.run(
        command.replace("keras-rawaudio", f"{sys.executable} -m keras_rawaudio"),
        shell=True,
        capture_output=True,
        text=True,
        timeout=60,
        env={k: v for k, v in os.environ.items() if k != "PYTHONUNBUFFERED"},  # as users have it
    )


def test_recipe_lists_prints_and_describes(capsys, tmp_path):
    assert main(["recipe"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == recipe_names()
    assert all(len(line.split()) > 3 for line in lines)

    assert main(["recipe", "demo", "--set", "data.batch=3", "tiers.0.units=[4, 5]"]) == 0
    out = capsys.readouterr().out
    (tmp_path / "mine.yaml").write_text(out)
    again = load_recipe(str(tmp_path / "mine.yaml"))
    assert again == load_recipe("demo", {"data.batch": 3, "tiers.0.units": [4, 5]})
    assert yaml.safe_load(out)["training"]["clip_norm"] == 1.0  # what the file leaves out

    assert main(["recipe", "--schema"]) == 0
    schema = json.loads(capsys.readouterr().out)
    recipe = schema["$defs"]["Recipe"]
    assert recipe["properties"]["head"]["discriminator"]["propertyName"] == "kind"
    rate = schema["$defs"]["TrainingSettings"]["properties"]["learning_rate"]
    assert (rate["exclusiveMinimum"], rate["maximum"]) == (0, 10)
    assert "warm-up" in rate["description"]


def test_editors_accept_every_recipe(capsys):
    assert main(["recipe", "--schema"]) == 0
    check = Draft202012Validator(json.loads(capsys.readouterr().out))
    for name in recipe_names():
        assert main(["recipe", name]) == 0
        printed = yaml.safe_load(capsys.readouterr().out)
        check.validate(printed)
        printed["training"]["optimizer"] = "adm"
        assert not check.is_valid(printed)


def test_the_file_of_a_recipe_is_found_by_any_spelling(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "MINE.YAML").write_text(yaml.safe_dump(load_recipe("demo").to_json()))
    assert main(["recipe", "MINE.YAML"]) == 0
    (tmp_path / "MINE.YAML").rename("mine.yaml")
    assert main(["recipe", "mine"]) == 2
    assert "did you mean the file mine.yaml?" in capsys.readouterr().err


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_under_stdout_is_one_line():
    done = shell("keras-rawaudio recipe > /dev/full")
    assert done.returncode == 2
    assert done.stderr == "keras-rawaudio recipe: error: the system refuses 'stdout': " + (
        "No space left on device\n"
    )


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_under_stderr_changes_no_exit_code():
    assert shell("keras-rawaudio compare nowhere 2> /dev/full").returncode == 2


def test_ctrl_c_while_the_code_is_read_is_no_traceback(monkeypatch, capsys):
    def interrupted(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("keras_rawaudio.cli.main", interrupted)
    assert keras_rawaudio.__main__.main() == 130
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("script", ["train.py", "export.py"])
def test_ctrl_c_while_a_script_is_read_is_no_traceback(script, monkeypatch):
    def interrupted(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("keras_rawaudio.cli.main", interrupted)
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(ROOT / script), run_name="__main__")
    assert ended.value.code == 130


def test_what_a_signal_leaves_half_made_is_removed_in_silence(monkeypatch):
    """As TensorFlow's objects, whose removal reads what they have not got."""

    class HalfMade:
        def __init__(self):
            signal.raise_signal(signal.SIGTERM)
            self.handle = 1

        def __del__(self):
            del self.handle

    dropped = []
    monkeypatch.setattr(sys, "unraisablehook", dropped.append)
    monkeypatch.setattr("keras_rawaudio.cli.recipe.run", lambda options: HalfMade() and 0)
    assert main(["recipe"]) == 130
    assert dropped == []


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (
            ImportError("libz.so.1: failed to map segment from shared object\nand more"),
            "cannot load a library: libz.so.1: failed to map segment from shared object;",
        ),
        (
            RuntimeError("can't start new thread"),
            "can't start new thread; look at the limits of the system",
        ),
    ],
    ids=["a library that does not load", "no more threads"],
)
def test_a_limit_of_the_system_is_one_line(error, text, monkeypatch, capsys):
    """As `ulimit -v` and `ulimit -u` set them."""

    def limited(options):
        raise error

    monkeypatch.setattr("keras_rawaudio.cli.recipe.run", limited)
    assert main(["recipe"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert text in line


def test_an_error_of_the_system_names_the_whole_path(monkeypatch, capsys):
    path = "/a/folder/of/a/name/that/is/long/train.i16"

    def gone(options):
        raise FileNotFoundError(errno.ENOENT, "No such file or directory", path)

    monkeypatch.setattr("keras_rawaudio.cli.recipe.run", gone)
    assert main(["recipe"]) == 2
    assert f"refuses '{path}': No such file" in capsys.readouterr().err


def test_an_error_of_the_system_leaves_stdout_as_it_is(capfd):
    before = os.fstat(sys.stdout.fileno())
    assert main(["train", "--audio", "x" * 5000, "--run", "new"]) == 2
    assert os.path.samestat(os.fstat(sys.stdout.fileno()), before)


@pytest.mark.skipif(os.name == "nt", reason="a POSIX shell")
@pytest.mark.parametrize("command", ["recipe --schema", "--help", "recipe"])
def test_a_closed_stdout_is_no_error(command):
    closed = shell(f"keras-rawaudio {command} >&-")
    assert (closed.returncode, closed.stderr) == (0, "")
    left = shell(f"(keras-rawaudio {command}; echo $? >&2) | true")
    assert left.stderr == "0\n"


@pytest.mark.skipif(os.name == "nt", reason="a POSIX shell")
def test_closed_streams_end_no_command_early():
    whole, closed = shell("keras-rawaudio recipe"), shell("keras-rawaudio recipe 2>&-")
    assert "default" in whole.stdout
    assert (closed.returncode, closed.stdout) == (0, whole.stdout)
    wrong = shell("keras-rawaudio recipe nothing 2>&-")
    assert (wrong.returncode, wrong.stdout) == (2, "")


@pytest.mark.skipif(os.name == "nt", reason="a POSIX shell")
def test_no_file_gets_the_number_of_a_closed_stream(tmp_path):
    """What is kept from stderr would else be kept from the audio file."""
    write_demo_piece(tmp_path / "song.wav", 1.0, 2000)
    words = f"spectrogram {tmp_path}/song.wav --out {tmp_path}/new.png"
    assert shell(f"keras-rawaudio {words} <&- 2>&-").returncode == 0


def test_a_newline_in_a_name_stays_in_one_line(capsys):
    assert main(["recipe", "a\nb.yaml"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert r"a\nb.yaml" in line


@pytest.mark.skipif(sys.platform != "linux", reason="names that are not UTF-8")
def test_a_recipe_whose_name_is_not_utf8(tmp_path, capsys):
    path = tmp_path / os.fsdecode(b"caf\xe9.yaml")
    path.write_text("codec: {name: mulaw}\ntiers: [{frame_size: 8}]\nhead: {kind: categorical}\n")
    assert main(["recipe", str(path)]) == 0
    assert yaml.safe_load(capsys.readouterr().out)["name"] == "caf\N{REPLACEMENT CHARACTER}"


def test_a_tensorflow_that_cannot_be_imported_is_one_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    for load in (gpu_names, load_tensorflow):
        with pytest.raises(UserError, match=r"^TensorFlow does not start: import of tensorflow"):
            load()


LOAD = """
from keras_rawaudio.cli.tensorflow_loader import load_tensorflow
from keras_rawaudio.errors import UserError
try:
    load_tensorflow()
except UserError as error:
    print(error)
else:
    import keras
    print(keras.backend.backend())
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("settings", "printed"),
    [('{"backend": "jax"}', "tensorflow"), ("[1]", "TensorFlow does not start: ")],
)
def test_what_keras_is_set_to_ends_in_no_traceback(tmp_path, settings, printed):
    (tmp_path / "keras.json").write_text(settings)
    environment = os.environ | {"KERAS_HOME": str(tmp_path), "KERAS_BACKEND": "jax"}
    done = subprocess.run(
        [sys.executable, "-c", LOAD], env=environment, capture_output=True, text=True
    )
    assert done.stdout.startswith(printed), done.stderr
    assert done.stdout.count("\n") == 1
    assert done.stderr == ""
