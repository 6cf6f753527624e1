"""Bad flags, paths and audio, for `abuse.py`."""

from __future__ import annotations

import os
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from abuse_case import RATE, Group, nothing


def odd_paths() -> dict[str, Callable[[], Any]]:
    """Paths that are no file, and what has to be made for them."""
    return {
        "missing": nothing,
        "a\0b": nothing,
        "x" * 300: nothing,
        "/".join(["deep"] * 3000): nothing,
        "new\nline": nothing,
        "$HOME": nothing,
        os.fsdecode(b"not-utf-8-\xff"): nothing,
        "": nothing,
        "folder": lambda: os.mkdir("folder"),
        "fifo": lambda: os.mkfifo("fifo"),
        "/dev/null": nothing,
        "loop": lambda: os.symlink("loop", "loop"),
        "dangling": lambda: os.symlink("nowhere", "dangling"),
        "empty": lambda: Path("empty").touch(),
        "tiny.yaml": nothing,
    }


def flags() -> Group:
    """Numbers of flags, and flags that are none."""
    train = ["train", "--audio", "short.wav", "--run", "new"]
    given = {
        **dict.fromkeys(("--minutes", "--learning-rate", "--validate-every"), "nan inf 0 x"),
        **dict.fromkeys(("--epochs", "--batch", "--window", "--sample-rate"), "nan 1.5 0 -1 1e9 x"),
        **dict.fromkeys(("--sample-seconds",), "nan inf -1 x"),
        **dict.fromkeys(("--live", "--random-seed"), "nan -1 99999999999 x"),
        **dict.fromkeys(("--shift",), "nan -1 0 lane"),
        **dict.fromkeys(("--optimizer",), "adm 1"),
    }
    for flag, values in given.items():
        for value in values.split():
            yield [*train, flag, value], nothing, False
    for words in (
        *("", "trian", "train", "train --run", "export --run run", "evaluate --run run --split x"),
        *("report --run run --seconds nan", "report --run run --seconds -1", "compare", "rerun"),
        *(
            "spectrogram short.wav --out a.png --seconds nan",
            "explore",
            "train --nonsense",
        ),
        *("spectrogram short.wav --out a.png --seconds inf", "evaluate --run run --checkpoint x"),
        "train --resume --run run --audio song.wav",
        "train --resume --run run --recipe tiny.yaml",
        "train --resume --run run --learning-rate nan",
        "train --resume --run run --learning-rate -1",
        "train --audio song.wav --run new --minutes 1 --epochs 1",
    ):
        yield words.split(), nothing, False


def paths() -> Group:
    """Every path of every command."""
    for path, prepare in odd_paths().items():
        yield ["train", "--audio", path, "--run", "new"], prepare, False
        yield (
            ["train", "--audio", "short.wav", "--run", "new", f"--recipe={path}.yaml"],
            nothing,
            False,
        )
        yield ["train", "--resume", f"--run={path}"], prepare, False
        yield ["export", f"--run={path}", "--out", "new"], prepare, False
        yield ["evaluate", f"--run={path}"], prepare, False
        yield ["report", f"--run={path}"], prepare, False
        yield ["compare", path], prepare, False
        yield ["rerun", path], prepare, False
        yield ["explore", path, "--out", "new"], prepare, False
        yield ["spectrogram", path, "--out", "new.png"], prepare, False
        real = ["evaluate-audio", "--real", path, "--generated", "short.wav", "--out", "new.html"]
        yield real, prepare, False
        if (
            path not in ("folder", "missing", "new\nline", "$HOME", "dangling")
            and "utf" not in path
        ):
            yield ["train", "--audio", "short.wav", f"--run={path}"], prepare, False
            if path:  # else it is a folder at the root
                yield ["explore", "song.wav", f"--out={path}/new"], prepare, False


def audio() -> Group:
    """Files that are no audio, or only begin as if they were."""
    import soundfile

    song = Path("song.wav").read_bytes()[:44]
    contents = {
        "empty.wav": b"",
        "text.flac": b"these are no samples",
        "noise.mp3": bytes(range(256)) * 8,
        "riff.wav": b"RIFF",
        "zeros.ogg": bytes(1000),
        **{f"cut{n}.wav": song[:n] for n in (11, 20, 36, 43, 44)},
        "channels.wav": song[:22] + struct.pack("<H", 0) + song[24:] + bytes(400),
        "many.wav": song[:22] + struct.pack("<H", 65535) + song[24:] + bytes(400),
        "rate.wav": song[:24] + struct.pack("<I", 0) + song[28:] + bytes(400),
        "fast.wav": song[:24] + struct.pack("<I", 2**32 - 1) + song[28:] + bytes(400),
        "bits.wav": song[:34] + struct.pack("<H", 0) + song[36:] + bytes(400),
        "long.wav": song[:40] + struct.pack("<I", 2**32 - 1) + bytes(100),
    }
    for name, content in contents.items():
        for command in (
            ["train", "--audio", name, "--run", "new"],
            ["explore", name, "--out", "new"],
            ["spectrogram", name, "--out", "new.png"],
        ):
            # A cut file of a few samples may be drawn as it is.
            harmless = command[0] != "train" and name in ("many.wav", "fast.wav", "long.wav")
            prepare = lambda name=name, content=content: Path(name).write_bytes(content)  # noqa: E731
            yield command, prepare, harmless
    bad = np.ones(4000)
    bad[700] = np.nan

    def write(samples: Any, subtype: str = "FLOAT") -> Callable[[], Any]:
        return lambda: soundfile.write("bad.wav", samples, RATE, subtype=subtype)

    for samples in (bad, bad * np.inf, np.zeros(4000), np.zeros(0), np.zeros(1)):
        yield ["train", "--audio", "bad.wav", "--run", "new"], write(samples), False


def odd_audio() -> Group:
    """Headers that claim what the file does not hold, and folders that hold no audio."""
    import soundfile

    def saved(name: str, kind: str, subtype: str) -> bytes:
        soundfile.write(name, np.sin(np.arange(4000) / 9), RATE, format=kind, subtype=subtype)
        content = Path(name).read_bytes()
        os.remove(name)
        return content

    flac, ogg = saved("a", "FLAC", "PCM_16"), saved("a", "OGG", "VORBIS")
    aiff, wav64 = saved("a", "AIFF", "PCM_16"), saved("a", "WAV", "DOUBLE")
    au, caf, w64 = (saved("a", kind, "PCM_16") for kind in ("AU", "CAF", "W64"))
    rf64, adpcm = saved("a", "RF64", "PCM_16"), saved("a", "WAV", "IMA_ADPCM")
    rate = aiff.index(b"COMM") + 16
    tag = b"ID3\x04\0\0\x7f\x7f\x7f\x7f"
    contents = {
        "count.flac": flac[:21] + b"\xff" * 5 + flac[26:],
        "rate.flac": flac[:18] + b"\0\0\0" + flac[21:],
        "block.flac": flac[:8] + b"\0\0\0\0" + flac[12:],
        "metadata.flac": flac[:5] + b"\xff\xff\xff" + flac[8:],
        "frames.flac": flac[:200] + bytes(len(flac) - 200),
        "crossed.ogg": ogg[: len(ogg) // 2] + flac,
        "half.ogg": ogg[: len(ogg) // 2],
        "page.ogg": ogg[:26] + b"\xff" + ogg[27:],
        "twice.ogg": ogg + ogg,
        "rate.aiff": aiff[:rate] + b"\x7f\xff" + b"\xff" * 8 + aiff[rate + 10 :],
        "rate0.aiff": aiff[:rate] + bytes(10) + aiff[rate + 10 :],
        "large.wav": wav64[:60] + np.full(3000, 1e300).tobytes(),
        "header.au": au[:4] + b"\xff\xff\xff\xff" + au[8:],
        "rate.au": au[:16] + b"\xff\xff\xff\xff" + au[20:],
        "chunk.caf": caf[:12] + b"\xff" * 8 + caf[20:],
        "size.w64": w64[:16] + b"\xff" * 8 + w64[24:],
        "size.rf64": rf64[:20] + b"\xff" * 24 + rf64[44:],
        "align.wav": adpcm[:32] + b"\0\0" + adpcm[34:],
        "tag.mp3": tag + bytes(100),
        "tag.wav": tag + wav64,
        "list.wav": wav64[:12] + b"LIST\xff\xff\xff\xff" + wav64[12:],
    }
    for name, content in contents.items():
        prepare = lambda name=name, content=content: Path(name).write_bytes(content)  # noqa: E731
        train = ["train", "--audio", name, "--recipe", "tiny.yaml", "--run", "new", "--epochs", "1"]
        # What a decoder makes of it may be audio.
        yield train, prepare, True
        yield ["explore", name, "--out", "new"], prepare, True
        yield ["spectrogram", name, "--out", "new.png"], prepare, True
        generate = "generate exported/generator.onnx --seconds 0.1 --out new.wav --seed-audio"
        yield [*generate.split(), name], prepare, True
    tiny = ["--recipe", "tiny.yaml", "--run", "new", "--epochs", "1"]
    for name, make in {
        "here": lambda: os.symlink(".", "here"),
        "hidden": lambda: (os.mkdir("hidden"), shutil.copy("song.wav", "hidden/.song.wav")),
        "texts": lambda: (os.mkdir("texts"), Path("texts/a.wav").write_text("no audio")),
        "fifos": lambda: (os.mkdir("fifos"), os.mkfifo("fifos/a.wav")),
        "http://127.0.0.1:1/song.wav": nothing,
        "file:///etc/passwd": nothing,
        "s3://bucket/song.wav": nothing,
        "x://": nothing,
        "-": nothing,
        "~": nothing,
        "/proc/self/mem": nothing,
        "/proc/self/fd/0": nothing,
        "/dev/zero": nothing,
    }.items():
        yield ["train", "--audio", name, *tiny], make, name in ("here", "~")


def outputs() -> Group:
    """Places where no file can be made, for each command that makes one."""
    places: dict[str, Callable[[], Any]] = {
        "folder": lambda: os.mkdir("folder"),
        "fifo": lambda: os.mkfifo("fifo"),
        "null": lambda: os.symlink("/dev/null", "null"),
        "song.wav/below": nothing,
        "/proc/new": nothing,
        "/dev/null/new": nothing,
        "x" * 300: nothing,
        "": nothing,
        "a\0b": nothing,
    }
    for place, make in places.items():
        for words, ending in (
            ("generate exported/generator.onnx --seconds 0.1 --out", ".wav"),
            ("compare run --out", ".html"),
            ("report --run run --seconds 0 --out", ".html"),
            ("evaluate-audio --real song.wav --generated song.wav --out", ".html"),
            ("spectrogram song.wav --out", ".png"),
            ("explore song.wav --out", ""),
            ("export --run run --out", ""),
        ):
            path = place + ending if place else ""

            def prepare(
                make: Callable[[], Any] = make, place: str = place, path: str = path
            ) -> None:
                make()
                if place in ("folder", "fifo", "null") and path != place:
                    os.rename(place, path)

            if path == "folder":
                continue  # a folder to write into
            yield [*words.split(), path], prepare, False


GROUPS = (
    flags,
    paths,
    audio,
    odd_audio,
    outputs,
)
