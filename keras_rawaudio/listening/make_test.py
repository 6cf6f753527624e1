"""Make a listening test: a folder with the page for listeners, and the key of its answers."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from keras_rawaudio.errors import UserError
from keras_rawaudio.files import (
    partial_path,
    refuse_immovable,
    sync_tree,
    without_empty_parents,
    write_errors,
)
from keras_rawaudio.listening.design import (
    RATED_ANCHORS,
    Key,
    Source,
    System,
    clips_needed,
    design_trials,
    new_id,
)
from keras_rawaudio.listening.excerpts import cut_excerpts, fade, mp3_anchor, noise_anchor
from keras_rawaudio.listening.loudness import match_loudness
from keras_rawaudio.listening.systems import AudioFiles, Model, Prompt, open_system
from keras_rawaudio.reports.page import Player

PAGE, KEY = "index.html", "key.json"
TEMPLATE = Path(__file__).with_name("page.html")  # the page may load nothing from elsewhere
PROMPT_SECONDS = 1.0


def make_test(
    real: Path,
    systems: list[Path],
    out: Path,
    trials: int = 6,
    seconds: float = 8.0,
    random_seed: int = 0,
) -> Key:
    """Write a listening test.

    All audio is brought to the lowest sample rate among it, and to mono where some of it is mono,
    so that nothing but what a system has learned gives it away. Models go on from a second of one
    excerpt of the recording, which is in no clip; each stream from another one, as far as the
    excerpt is long.

    Args:
        real: the recording: an audio file, or a folder of them.
        systems: one or two of what `open_system` opens.
        out: the folder to make; it must not hold anything yet.
        trials: pairs of each kind for each system.
        seconds: length of a clip.
        random_seed: of excerpts, draws and order. The same audio and seed make the same test.

    Returns:
        The key, as it is written.

    Raises:
        UserError: audio that cannot be used or is too short, no run, or a folder that is taken or
            cannot be written.
    """
    with _making(out) as folder:
        key, text = _compose(real, systems, trials, seconds, random_seed)
        with write_errors(out):
            (folder / PAGE).write_text(text, encoding="utf-8")
            (folder / KEY).write_text(key.model_dump_json(indent=1) + "\n", encoding="utf-8")
    return key


def _compose(
    real: Path, systems: list[Path], trials: int, seconds: float, random_seed: int
) -> tuple[Key, str]:
    recording = AudioFiles.open(real)
    names: tuple[System, System] = ("a", "b")
    opened = dict(zip(names, map(open_system, systems), strict=False))
    every = [recording, *opened.values()]
    rate = min(one.sample_rate for one in every)
    channels = min(one.channels for one in every)
    needed = clips_needed([*opened], trials)
    generator = np.random.default_rng(random_seed)

    parts = recording.read(rate, channels)
    excerpts = cut_excerpts(parts, rate, seconds, needed["recording"], generator, real)
    level_check, start, *real_clips = excerpts
    prompt = _prompt(start, rate)
    clips: dict[Source, list[np.ndarray]] = {"recording": real_clips}
    for (name, system), path in zip(opened.items(), systems, strict=True):
        audio = _audio(system, rate, channels, needed[name], seconds, prompt, random_seed)
        clips[name] = cut_excerpts(audio, rate, seconds, needed[name], generator, path)
    clips["noise"] = [noise_anchor(clip, rate, generator) for clip in real_clips[: needed["noise"]]]
    # Of the last clips: the first ones are rated as they are.
    clips["mp3"] = [mp3_anchor(clip, rate) for clip in real_clips[-RATED_ANCHORS:]]

    flat = [level_check, *(clip for group in clips.values() for clip in group)]
    matched, loudness = match_loudness([fade(clip, rate) for clip in flat], rate)
    # Ids depend on the audio: with the seed alone nobody can compute them.
    digest = hashlib.sha256(b"".join(clip.tobytes() for clip in matched)).digest()
    generator = np.random.default_rng([random_seed, *digest])
    sources = [name for name, group in clips.items() for _ in group]
    ids = [new_id(generator) for _ in sources]
    by_source: dict[Source, list[str]] = {
        name: [i for i, source in zip(ids, sources, strict=True) if source == name]
        for name in clips
    }
    shuffled = generator.permutation(len(ids))
    key = Key(
        test=new_id(generator),
        # Half a surrogate pair stands for a byte of a name that is no UTF-8.
        systems={
            name: str(path).encode(errors="backslashreplace").decode()
            for name, path in zip(opened, systems, strict=True)
        },
        random_seed=random_seed,
        seconds=seconds,
        sample_rate=rate,
        channels=channels,
        loudness_lufs=round(loudness, 2),
        clips={ids[i]: sources[i] for i in shuffled},
        trials=design_trials(by_source, generator),
    )
    audio_of = dict(zip(ids, matched[1:], strict=True))
    return key, _page(key, {i: audio_of[i] for i in key.clips}, matched[0])


def _page(key: Key, clips: Mapping[str, np.ndarray], level_check: np.ndarray) -> str:
    """The page's text; it holds the questions and the audio, and not where a clip comes from.

    Args:
        key: of the test.
        clips: audio of each id, `(n,)` or `(n, 2)` in [-1, 1].
        level_check: an excerpt of the recording, named as such, by which listeners set the level.
    """
    import jinja2

    test = {
        "test": key.test,
        "trials": [trial.model_dump() for trial in key.trials],
        "level_check": Player("", level_check, key.sample_rate).uri,
        "clips": {name: Player("", clip, key.sample_rate).uri for name, clip in clips.items()},
    }
    templates = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    template = templates.from_string(TEMPLATE.read_text(encoding="utf-8"))
    return template.render(test=test, questions=len(key.trials))


def _prompt(audio: np.ndarray, rate: int) -> Prompt:
    """Seconds of an excerpt, evenly spaced, at whatever rate and channels a model takes.

    Streams that all went on from one second would begin alike, and listeners would know them by it.
    """
    import soxr

    def prompt(streams: int, wanted: int, channels: int) -> np.ndarray:
        there = soxr.resample(_in_channels(audio, channels), rate, wanted)
        length = min(len(there), round(PROMPT_SECONDS * wanted))
        starts = np.linspace(0, len(there) - length, streams).astype(int)
        return np.stack([there[start : start + length] for start in starts]).astype(np.float32)

    return prompt


def _audio(
    system: AudioFiles | Model,
    rate: int,
    channels: int,
    count: int,
    seconds: float,
    prompt: Prompt,
    random_seed: int,
) -> list[np.ndarray]:
    """Audio of a system: its files, or one stream per clip."""
    if isinstance(system, AudioFiles):
        return system.read(rate, channels)
    import soxr

    # A little more, which resampling may lose at the end.
    streams = system.draw(count, seconds + 0.05, prompt, random_seed)
    length = round(seconds * rate)
    return [
        soxr.resample(_in_channels(stream, channels), system.sample_rate, rate)[:length]
        for stream in np.clip(streams, -1, 1)
    ]


def _in_channels(audio: np.ndarray, channels: int) -> np.ndarray:
    """`(n,)` or `(n, 2)` as mono or stereo."""
    if channels == 1:
        return audio if audio.ndim == 1 else audio.mean(axis=1)
    return audio if audio.ndim == 2 else np.repeat(audio[:, None], 2, axis=1)


@contextlib.contextmanager
def _making(out: Path) -> Iterator[Path]:
    """A folder that takes the name `out` when the block ends well, and vanishes if not."""
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise UserError(f"{out} is there already; a test keeps its folder: choose another --out")
    if not out.name or out.name == "..":
        raise UserError(f"{out} is no new folder; give it a name: choose another --out")
    if out.is_symlink() or out.is_mount():
        raise UserError(f"{out} is a link or a mounted folder; choose another --out")
    refuse_immovable(out)
    partial = partial_path(out)
    with without_empty_parents(out):
        try:
            with write_errors(out):
                partial.mkdir(parents=True)
            yield partial
            with write_errors(out):
                sync_tree(partial)
                if out.exists():
                    partial.chmod(stat.S_IMODE(out.stat().st_mode))
                    out.rmdir()
                partial.rename(out)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
