"""The folder of an export: whole, or the one before."""

import errno
import itertools
import os
import resource
import signal

import pytest

from keras_rawaudio.errors import UserError
from keras_rawaudio.exporters.export import FILES, _made_whole, export
from keras_rawaudio.locks import exclusive
from keras_rawaudio.training.interrupt import ending_as_ctrl_c

# What names a model as ours, and then whose it is.
OLD, NEW = "keras_rawaudio old", "keras_rawaudio new"


@pytest.fixture
def quick(monkeypatch):
    """Exports whose files are text, each export with a text of its own."""
    number = itertools.count()

    def write_onnx(model, metadata, path, int8):
        path.write_text(f"keras_rawaudio {next(number)}")

    def write_saved(model, metadata, path):
        path.mkdir()
        (path / "saved_model.pb").write_text(f"model {next(number)}")

    monkeypatch.setattr("keras_rawaudio.exporters.export.export_onnx", write_onnx)
    monkeypatch.setattr("keras_rawaudio.exporters.export.export_saved_model", write_saved)


@pytest.mark.usefixtures("quick")
def test_an_export_is_whole_or_the_one_before(run, tmp_path, monkeypatch):
    """However it ends: an error while it is made, and one between the two names."""
    out = tmp_path / "out"
    export(run[0].path, out)
    (out / ".partial-1").mkdir()  # of an export that was killed
    (out / ".partial-1" / "generator.onnx").write_bytes(b"half")
    (out / "notes.txt").write_text("mine")
    (out / ".partial-mine").mkdir()
    (out / ".partial-mine" / "notes.txt").write_text("mine")
    before = {
        path: path.read_bytes()
        for path in out.rglob("*")
        if path.is_file() and ".partial-1" not in str(path)
    }

    def files():
        return {p: p.read_bytes() for p in out.rglob("*") if p.is_file()}

    def full(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("keras_rawaudio.exporters.export.export_saved_model", full)
        with pytest.raises(UserError, match=r"cannot write .*: No space left on device"):
            export(run[0].path, out)
        assert files() == before
        with pytest.raises(UserError, match="No space left on device"):
            export(run[0].path, tmp_path / "new" / "out")
        assert not (tmp_path / "new").exists()
    replace = os.replace

    def interrupted(source, target):
        if target == out / "generator.onnx" and source.parent.name != "old":
            raise KeyboardInterrupt
        replace(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", interrupted)
        with pytest.raises(KeyboardInterrupt):
            export(run[0].path, out)
    assert files() == before
    export(run[0].path, out)
    assert files().keys() == before.keys()
    assert files() != before
    assert (out / "notes.txt").read_text() == "mine"


PLAIN = FILES[2:]


def paths(folder):
    inner = {"saved_model": "saved_model.pb", "triton": "generator"}
    return {n: folder / n / inner[n] if n in inner else folder / n for n in FILES}


def write(folder, names, text):
    for name in names:
        path = paths(folder)[name]
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)


@pytest.mark.parametrize("renames", range(11))
@pytest.mark.parametrize(
    ("before", "after"), [((), FILES), (FILES, FILES), (FILES, PLAIN), (PLAIN, FILES)]
)
def test_an_export_killed_between_its_names(tmp_path, capsys, before, after, renames):
    """Files never come from two exports; the next export completes it, and says so."""

    def found():
        return {n: p.read_text() for n, p in paths(tmp_path).items() if p.exists()}

    def killed():
        replace, done = os.replace, []

        def counting(source, target):
            if len(done) == renames:
                os.kill(os.getpid(), signal.SIGKILL)
            done.append(target)
            replace(source, target)

        os.replace = counting
        with _made_whole(tmp_path, FILES) as making:
            write(making, after, NEW)

    write(tmp_path, before, OLD)
    if child := os.fork():
        os.waitpid(child, 0)
    else:
        try:
            killed()
        finally:
            os._exit(0)
    assert len(set(found().values())) <= 1
    with pytest.raises(RuntimeError), _made_whole(tmp_path, FILES):
        raise RuntimeError("the next export fails")
    # The first rename makes it complete.
    expected = dict.fromkeys(after, NEW) if renames else dict.fromkeys(before, OLD)
    assert found() == expected
    noted = "finished the export" in capsys.readouterr().err
    assert noted == (0 < renames < 2 + len(before) + len(after))
    assert not list(tmp_path.glob(".partial-*"))


@pytest.mark.parametrize("renames", range(1, 11))
def test_signals_between_the_names_lose_nothing(tmp_path, monkeypatch, renames):
    """Not even a second one, while the first is dealt with."""
    replace, done = os.replace, []

    def signalled(source, target):
        replace(source, target)
        done.append(target)
        if len(done) >= renames:
            signal.raise_signal(signal.SIGINT)

    write(tmp_path, FILES, OLD)
    monkeypatch.setattr(os, "replace", signalled)
    with (
        pytest.raises(KeyboardInterrupt),
        ending_as_ctrl_c(),
        _made_whole(tmp_path, FILES) as making,
    ):
        write(making, FILES, NEW)
    found = [path.read_text() for path in tmp_path.rglob("*") if path.is_file()]
    assert found == [OLD] * len(FILES) or found == [NEW] * len(FILES)


def test_an_export_folder_in_use_is_refused(run, tmp_path):
    with exclusive(tmp_path / "out"), pytest.raises(UserError, match="is in use by process"):
        export(run[0].path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("quick")
def test_what_no_export_made_is_not_replaced(run, tmp_path):
    for name in ("saved_model", "triton", "generator.onnx", "generator.html"):
        out = tmp_path / f"beside-{name}"
        mine = out / name if "." in name else out / name / "mine.txt"
        mine.parent.mkdir(parents=True)
        mine.write_text("mine")
        beside = "" if name == "generator.onnx" else " with generator.onnx beside it"
        with pytest.raises(UserError, match=f"{name} is not of an export{beside}; move it away"):
            export(run[0].path, out)
        assert [path for path in out.rglob("*") if path.is_file()] == [mine]
        assert mine.read_text() == "mine"


@pytest.mark.parametrize(
    "name",
    [
        *("triton/other/config.pbtxt", "triton/generator/2/model.onnx"),
        *("saved_model/NOTES.md", "saved_model/variables.old/x"),
    ],
)
def test_what_lies_in_the_folders_of_an_export_is_not_removed(tmp_path, name):
    """An export replaces triton/, where a server's other models may lie, and saved_model/."""
    (tmp_path / "generator.onnx").write_text(OLD)
    own, mine = tmp_path / "triton" / "generator" / "1" / "model.onnx", tmp_path / name
    for path in (own, mine):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(OLD)
    with (
        pytest.raises(UserError, match="is not of an export; move it away"),
        _made_whole(tmp_path, FILES) as folder,
    ):
        (folder / "generator.onnx").write_text(NEW)
    assert mine.read_text() == (tmp_path / "generator.onnx").read_text() == OLD


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="a POSIX system")
def test_another_users_export_is_refused_before_the_work(tmp_path, monkeypatch):
    (tmp_path / "generator.onnx").write_text(OLD)
    tmp_path.chmod(0o1777)
    monkeypatch.setattr(os, "geteuid", lambda: tmp_path.stat().st_uid + 1)
    with pytest.raises(UserError, match="another user's"), _made_whole(tmp_path, FILES):
        pytest.fail("the work began")


def test_a_foreign_model_of_any_size_is_refused_without_reading_it(tmp_path):
    with (tmp_path / "generator.onnx").open("wb") as file:
        file.truncate(1 << 40)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for size in (1 << 40, 1 << 27, 0):
        os.truncate(tmp_path / "generator.onnx", size)
        with pytest.raises(UserError, match="is not of an export"), _made_whole(tmp_path, FILES):
            pass
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < before + (1 << 18)
