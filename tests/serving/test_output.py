"""Files out: clipping, names, atomic writing."""

import errno
import os
import shutil
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
from keras_rawaudio_serving import ServingError, scratch
from keras_rawaudio_serving.output import (
    FileOutput,
    PipeOutput,
    check_room,
    output_paths,
    to_pcm16,
    write_all,
)
from keras_rawaudio_serving.scratch import Scratch

from .conftest import SERVING


def test_pcm_is_clipped_not_wrapped() -> None:
    """Pitfall 18: samples beyond full scale stay at full scale, and int16 comes back as it was."""
    loud = to_pcm16(np.array([1.0, 1.5, 1e9, -1.0, -1.5, -1e9]))
    assert loud.tolist() == [32767] * 3 + [-32768] * 3
    every = np.arange(-32768, 32768).astype(np.int16)
    np.testing.assert_array_equal(to_pcm16(every / np.float32(32768)), every)


@pytest.mark.parametrize("extension", ["wav", "flac"])
def test_files_hold_the_samples(tmp_path: Path, extension: str) -> None:
    """Pitfall 18: the file holds what was asked, at the rate, cast and clipped."""
    audio = np.random.default_rng(0).normal(0, 0.6, (1, 70_001)).astype(np.float32)
    with FileOutput(tmp_path / f"new.{extension}", 1, 11025) as file:
        file.write(audio[:, :1])
        file.write(audio[:, 1:])
    data, rate = soundfile.read(tmp_path / f"new.{extension}", dtype="int16")
    assert rate == 11025
    np.testing.assert_array_equal(data, to_pcm16(audio[0]))
    assert [p.name for p in tmp_path.iterdir()] == [f"new.{extension}"]


def test_ogg_is_the_same_bit_for_bit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """libsndfile's random stream serial numbers don't reach the file, and its pages stay valid."""
    audio = 0.3 * np.sin(2 * np.pi * 440 / 16000 * np.arange(48000))[None]
    for name in ("a.ogg", "b.ogg"):
        with FileOutput(tmp_path / name, 1, 16000) as file:
            file.write(audio)
    assert (tmp_path / "a.ogg").read_bytes() == (tmp_path / "b.ogg").read_bytes()
    data, rate = soundfile.read(tmp_path / "a.ogg")  # libogg drops pages with a wrong checksum
    assert (len(data), rate) == (48000, 16000)
    assert np.abs(data[4000:-4000] - audio[0, 4000:-4000]).max() < 0.05


def test_several_streams_are_numbered_files(tmp_path: Path) -> None:
    with FileOutput(tmp_path / "new.wav", 3, 8000) as file:
        file.write(np.array([[0.1] * 9, [0.2] * 9, [0.3] * 9]))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["new-1.wav", "new-2.wav", "new-3.wav"]
    assert soundfile.read(tmp_path / "new-2.wav")[0] == pytest.approx(0.2, abs=1e-4)


def test_failure_leaves_the_old_file(tmp_path: Path) -> None:
    (tmp_path / "new.wav").write_text("old")

    def interrupted() -> None:
        with FileOutput(tmp_path / "new.wav", 1, 8000) as file:
            file.write(np.zeros((1, 100)))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert [p.name for p in tmp_path.iterdir()] == ["new.wav"]
    assert (tmp_path / "new.wav").read_text() == "old"


def test_what_a_killed_process_left_is_removed_by_the_next_one(tmp_path: Path) -> None:
    """And nothing else: not what another process is making, nor what belongs to another file."""
    code = (
        "import os, sys; from keras_rawaudio_serving.output import FileOutput; "
        "FileOutput(sys.argv[1], 1, 8000); os.kill(os.getpid(), 9)"
    )
    for name in ("new.wav", "other.wav"):
        subprocess.run([sys.executable, "-c", code, str(tmp_path / name)])
    assert len(list(tmp_path.glob(".new-*.part/0.wav"))) == 1
    with FileOutput(tmp_path / "new.wav", 1, 8000) as first:
        assert len(list(tmp_path.glob(".new-*.part"))) == 1
        with FileOutput(tmp_path / "new.wav", 1, 8000) as second:
            second.write(np.full((1, 9), 0.2))
        first.write(np.full((1, 9), 0.1))
    assert soundfile.read(tmp_path / "new.wav")[0] == pytest.approx(0.1, abs=1e-4)
    assert [p.name[:7] for p in tmp_path.iterdir() if p.is_dir()] == [".other-"]


def test_a_folder_that_is_named_like_a_leftover_stays(tmp_path: Path) -> None:
    mine = tmp_path / ".new-mixes.part"
    mine.mkdir()
    for name in ("0.wav", "old-0"):
        (mine / name).write_text("as of a process that was killed")
    (mine / "song.wav").write_text("mine")
    Scratch(tmp_path / "new.wav").remove()
    assert len(list(mine.iterdir())) == 3
    (mine / "song.wav").unlink()
    Scratch(tmp_path / "new.wav").remove()
    assert not mine.exists()


def test_unwritable_outputs(tmp_path: Path) -> None:
    (tmp_path / "folder.wav").mkdir()
    os.mkfifo(tmp_path / "pipe.wav")
    (tmp_path / "device.wav").symlink_to("/dev/null")
    for name, message in [
        ("new.mp4", "unknown extension '.mp4'"),
        ("new", "unknown extension ''"),
        ("none/new.wav", "no such folder"),
        ("folder.wav", "it is a folder"),
        ("pipe.wav", "it is a pipe or a device"),
        ("device.wav", "it is a pipe or a device"),
    ]:
        with pytest.raises(ServingError, match=message):
            FileOutput(tmp_path / name, 1, 8000)
    assert {p.name for p in tmp_path.iterdir()} == {"folder.wav", "pipe.wav", "device.wav"}


@pytest.mark.parametrize(
    ("name", "samples", "files", "message"),
    [
        ("new.wav", 2**31, 1, "holds 4 GB at most"),
        ("new.flac", 10**15, 1, "the disk has"),
        ("new.ogg", 10**9, 10**6, "the disk has"),
    ],
)
def test_what_no_disk_holds_is_refused(
    tmp_path: Path, name: str, samples: int, files: int, message: str
) -> None:
    check_room(tmp_path / name, 10**4, 1)
    with pytest.raises(ServingError, match=message):
        check_room(tmp_path / name, samples, files)


@pytest.mark.parametrize("links", [True, False])
def test_several_files_are_all_new_or_all_those_of_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    """Ctrl-C between two names left new files beside old ones."""
    for number in (1, 3):
        (tmp_path / f"new-{number}.wav").write_text(f"old {number}")
    replace = os.replace

    def interrupted(source: Path, target: Path) -> None:
        replace(source, target)
        if target.name == "new-2.wav" and "old" not in source.name:
            raise KeyboardInterrupt

    def refused(*_: object, **__: object) -> None:
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(os, "replace", interrupted)
    if not links:
        monkeypatch.setattr(os, "link", refused)

    def write() -> None:
        with FileOutput(tmp_path / "new.wav", 3, 8000) as file:
            file.write(np.zeros((3, 100)))

    with pytest.raises(KeyboardInterrupt):
        write()
    left = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert left == {"new-1.wav": "old 1", "new-3.wav": "old 3"}
    monkeypatch.setattr(os, "replace", replace)
    write()
    for number in (1, 2, 3):
        assert len(soundfile.read(tmp_path / f"new-{number}.wav")[0]) == 100


@pytest.mark.skipif(os.name == "nt", reason="umask")
def test_a_folder_of_files_in_the_making_can_be_entered(tmp_path: Path) -> None:
    before = os.umask(0o777)
    try:
        scratch = Scratch(tmp_path / "new.wav")
    finally:
        os.umask(before)
    assert scratch.path.stat().st_mode & 0o777 == 0o700
    scratch.remove()


@pytest.mark.parametrize("extension", [".wav", ".ogg"])
def test_every_name_that_the_system_takes_is_written(tmp_path: Path, extension: str) -> None:
    """The folder beside it, where it is made, had a longer name."""
    path = tmp_path / ("x" * (255 - len(extension)) + extension)
    with FileOutput(path, 1, 8000) as output:
        output.write(np.zeros((1, 800), np.float32))
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="a POSIX system")
def test_another_users_file_is_refused_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "new.wav"
    path.write_text("another's")
    monkeypatch.setattr(os, "geteuid", lambda: path.stat().st_uid + 1)
    assert output_paths(path, 1) == [path]
    tmp_path.chmod(0o1777)
    with pytest.raises(ServingError, match="another user's"):
        output_paths(path, 1)


@pytest.mark.skipif(sys.platform == "win32", reason="a POSIX system")
@pytest.mark.parametrize("extension", [".wav", ".flac", ".ogg"])
def test_why_no_more_can_be_written(tmp_path: Path, extension: str) -> None:
    """Libsndfile's text for what the system refuses is "System error." """
    import resource

    noise = np.random.default_rng(0).uniform(-1, 1, (1, 100_000))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8000, before[1]))
    try:
        with (
            pytest.raises(ServingError, match="File too large; make room"),
            FileOutput(tmp_path / f"new{extension}", 1, 8000) as output,
        ):
            output.write(noise)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="a POSIX system")
def test_a_full_disk_behind_standard_output(monkeypatch: pytest.MonkeyPatch) -> None:
    with open("/dev/full", "wb", buffering=0) as full:
        monkeypatch.setattr(sys, "stdout", SimpleNamespace(buffer=full, isatty=lambda: False))
        with pytest.raises(ServingError, match="standard output: No space left"), PipeOutput() as p:
            p.write(np.zeros((1, 9)))


@pytest.mark.skipif(sys.platform == "win32", reason="a POSIX system")
@pytest.mark.parametrize("extension", [".wav", ".flac", ".ogg"])
def test_a_disk_that_is_full_at_the_very_end(tmp_path: Path, extension: str) -> None:
    """Libsndfile closes FLAC and Ogg without a word, and a broken file had the final name."""
    import resource

    noise = np.random.default_rng(0).uniform(-0.5, 0.5, (1, 5000))
    whole, cut = tmp_path / f"whole{extension}", tmp_path / f"cut{extension}"
    with FileOutput(whole, 1, 8000) as output:
        output.write(noise)
    size = whole.stat().st_size
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    for limit in (0, 81, size // 2, size - 200, size - 1):
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
        try:
            with (
                pytest.raises(ServingError, match="cannot write"),
                FileOutput(cut, 1, 8000) as output,
            ):
                output.write(noise)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(tmp_path.iterdir()) == [whole]


def test_a_name_that_cannot_be_taken_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as that of a file that is mounted in a container."""

    def busy(*paths: object) -> None:
        raise OSError(16, "Device or resource busy")

    monkeypatch.setattr(os, "replace", busy)
    with (
        pytest.raises(ServingError, match=r"new\.wav: Device or resource busy; choose"),
        FileOutput(tmp_path / "new.wav", 1, 8000) as output,
    ):
        output.write(np.zeros((1, 9)))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("streams", [1, 2])
def test_files_are_on_the_disk_before_they_take_their_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, streams: int
) -> None:
    log: list[str] = []
    fsync, replace = os.fsync, os.replace

    def logged_fsync(number: int) -> None:
        log.append("folder" if stat.S_ISDIR(os.fstat(number).st_mode) else "file")
        fsync(number)

    def logged_replace(*paths: Path) -> None:
        log.append("name")
        replace(*paths)

    monkeypatch.setattr(os, "fsync", logged_fsync)
    monkeypatch.setattr(os, "replace", logged_replace)
    with FileOutput(tmp_path / "new.wav", streams, 8000) as file:
        file.write(np.zeros((streams, 9)))
    assert log == ["file"] * streams + ["name"] * streams + ["folder"]


def test_a_folder_that_cannot_be_synchronised_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on shared folders of virtual machines."""
    fsync = os.fsync

    def refuse(number: int) -> None:
        if stat.S_ISDIR(os.fstat(number).st_mode):
            raise OSError(errno.EINVAL, "Invalid argument")
        fsync(number)

    monkeypatch.setattr(os, "fsync", refuse)
    with FileOutput(tmp_path / "new.wav", 1, 8000) as file:
        file.write(np.zeros((1, 9)))
    assert [p.name for p in tmp_path.iterdir()] == ["new.wav"]


def test_a_folder_that_another_process_takes_for_a_leftover_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between its making and its lock."""
    lock, taken = scratch._lock, []

    def held(folder: Path) -> int | None:
        if not taken:
            taken.append(folder)
            raise BlockingIOError
        return lock(folder)

    monkeypatch.setattr(scratch, "_lock", held)
    made = Scratch(tmp_path / "new.wav")
    assert made.path != taken[0]
    assert made.path.is_dir()


def test_only_formats_that_compress_may_seem_too_large_for_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=10_000))
    for name in ("new.flac", "new.ogg"):
        check_room(tmp_path / name, 50_000, 2)
    check_room(tmp_path / "new.wav", 5_000, 1)
    with pytest.raises(ServingError, match="the disk has"):
        check_room(tmp_path / "new.wav", 5_000, 2)


@pytest.mark.skipif(sys.platform == "win32", reason="a POSIX system")
@pytest.mark.parametrize("waits", [True, False])
def test_a_pipe_takes_all_however_little_at_a_time(waits: bool) -> None:
    """A write to one that does not wait may take a part, or nothing."""
    data = np.random.default_rng(0).bytes(1 << 20)
    reading, writing = os.pipe()
    os.set_blocking(writing, waits)

    def write() -> None:
        with open(writing, "wb", buffering=0) as file:
            write_all(file, data)

    writer = threading.Thread(target=write)
    writer.start()
    with open(reading, "rb", buffering=0) as pipe:
        found = b"".join(iter(lambda: pipe.read(5000), b""))
    writer.join()
    assert found == data


@pytest.mark.parametrize(
    ("flags", "unbuffered"),
    [("--seconds 1 --out -", ""), ("--seconds 1 --out -", "1"), ("--help", "")],
)
@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="a POSIX system")
def test_a_standard_output_that_takes_nothing_is_one_line(
    toy: Callable[..., Path], flags: str, unbuffered: str
) -> None:
    words = [sys.executable, "-m", "keras_rawaudio_serving", str(toy()), *flags.split()]
    environment = {**os.environ, "PYTHONPATH": str(SERVING), "PYTHONUNBUFFERED": unbuffered}
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            words, stdout=full, stderr=subprocess.PIPE, text=True, env=environment
        )
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].endswith("No space left on device")
    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr
