"""Generators of several channels: seeds, streams, every output, and ranking on the mono mix."""

import io
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from keras_rawaudio_serving import Sampler, ServingError
from keras_rawaudio_serving.audio import read_seed
from keras_rawaudio_serving.cli import main
from keras_rawaudio_serving.output import to_pcm16
from keras_rawaudio_serving.stream_ranker import StreamRanker

Toy = Callable[..., Path]
RATE = 8000


@pytest.fixture
def seed_file(tmp_path: Path) -> Path:
    """Two seconds whose left channel is 0.5 and whose right is -0.25."""
    path = tmp_path / "seed.wav"
    soundfile.write(path, np.tile([0.5, -0.25], (2 * RATE, 1)), RATE, subtype="FLOAT")
    return path


def test_audio_has_a_last_axis_of_channels(stereo_toy: Toy) -> None:
    sampler = Sampler.load(stereo_toy(), streams=3, random_seed=1)
    audio = sampler.generate(0.3)
    assert sampler.channels == 2
    assert audio.shape == (3, 2400, 2)
    np.testing.assert_allclose(audio[..., 1], 0.5 * audio[..., 0], atol=1e-7)
    threaded = Sampler.load(stereo_toy(), streams=3, random_seed=1, threads=2)
    np.testing.assert_array_equal(threaded.generate(0.3), audio)


@pytest.mark.parametrize(
    ("seed", "level"),
    [
        (np.tile([0.5, -0.25], (10, 1)), [[0.5, -0.25]] * 2),
        (np.full(7, 0.125), [[0.125, 0.125]] * 2),
        (np.stack([np.full((5, 2), 0.5), np.full((5, 2), -0.5)]), [[0.5] * 2, [-0.5] * 2]),
    ],
)
def test_a_seed_is_read_into_its_channels(
    stereo_toy: Toy, seed: np.ndarray, level: list[list[float]]
) -> None:
    sampler = Sampler.load(stereo_toy(gains=(0.0, 0.0)), streams=2)
    sampler.prime(seed)
    np.testing.assert_allclose(sampler.generate(1 / RATE)[:, 0], level)


@pytest.mark.parametrize("shape", [(10, 3), (3, 10, 2), (1, 2, 10, 2), ()])
def test_seeds_of_other_shapes_are_refused(stereo_toy: Toy, shape: tuple[int, ...]) -> None:
    with pytest.raises(ServingError, match=r"give \(samples, channels\)"):
        Sampler.load(stereo_toy(), streams=2).prime(np.zeros(shape))


def test_a_file_keeps_its_channels_or_is_mixed(seed_file: Path, tmp_path: Path) -> None:
    kept = read_seed(seed_file, RATE, channels=2).audio
    np.testing.assert_allclose(kept, np.tile([0.5, -0.25], (RATE, 1)), atol=1e-7)
    mixed = read_seed(seed_file, RATE, channels=1).audio
    np.testing.assert_allclose(mixed, np.full(RATE, 0.125), atol=1e-7)
    mono = tmp_path / "mono.wav"
    soundfile.write(mono, np.full(RATE, 0.25), RATE, subtype="FLOAT")
    np.testing.assert_allclose(read_seed(mono, RATE, channels=2).audio, np.full((RATE, 2), 0.25))
    resampled = read_seed(seed_file, RATE // 2, channels=2).audio
    assert resampled.shape == (RATE // 2, 2)
    np.testing.assert_allclose(resampled[1000:-1000], np.tile([0.5, -0.25], (2000, 1)), atol=1e-3)


@pytest.mark.parametrize("extension", ["wav", "flac", "ogg"])
def test_files_have_the_models_channels(
    stereo_toy: Toy, seed_file: Path, tmp_path: Path, extension: str
) -> None:
    out = tmp_path / f"new.{extension}"
    words = [
        "--seconds",
        "0.5",
        "--streams",
        "2",
        "--random-seed",
        "3",
        "--keep-seed",
        "--seed-audio",
    ]
    assert main([str(stereo_toy()), *words, str(seed_file), "--out", str(out)]) == 0
    sampler = Sampler.load(stereo_toy(), streams=2, random_seed=3)
    sampler.prime(read_seed(seed_file, RATE, channels=2).audio)
    expected = sampler.generate(0.5)
    for number in range(2):
        audio, rate = soundfile.read(tmp_path / f"new-{number + 1}.{extension}")
        assert (audio.shape, rate) == ((RATE + RATE // 2, 2), RATE)
        if extension != "ogg":
            np.testing.assert_array_equal(
                (audio[RATE:] * 32768).astype(np.int16), to_pcm16(expected[number])
            )
            np.testing.assert_allclose(audio[:RATE], np.tile([0.5, -0.25], (RATE, 1)))


def test_a_pipe_interleaves_channels_of_each_stream(
    stereo_toy: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Pipe(io.TextIOWrapper):
        def isatty(self) -> bool:
            return False

    pipe = Pipe(io.BytesIO())
    monkeypatch.setattr(sys, "stdout", pipe)
    words = ["--seconds", "0.25", "--streams", "2", "--random-seed", "3", "--quiet", "--out", "-"]
    assert main([str(stereo_toy()), *words]) == 0
    raw = np.frombuffer(pipe.buffer.getvalue(), "<i2").reshape(-1, 4)  # type: ignore[attr-defined]
    expected = to_pcm16(Sampler.load(stereo_toy(), streams=2, random_seed=3).generate(0.25))
    np.testing.assert_array_equal(raw, np.concatenate([*expected], axis=1))


def test_ranking_is_on_the_mono_mix() -> None:
    """Channels that cancel are silence to it; a mono block and its copy in two channels agree."""
    noise = np.random.default_rng(0).normal(0, 0.1, (1, RATE))
    opposite = np.stack([noise, -noise], axis=2)
    ranker = StreamRanker(1, RATE, {})
    ranker.write(opposite)
    assert ranker.ranking()[0].fault == "dead"
    ranker = StreamRanker(1, RATE, {})
    ranker.write(np.stack([noise, noise], axis=2))
    assert ranker.ranking()[0].fault is None


def test_the_best_stereo_streams_are_kept(stereo_toy: Toy, tmp_path: Path) -> None:
    words = ["--seconds", "1.5", "--streams", "3", "--keep", "1", "--random-seed", "1", "--quiet"]
    assert main([str(stereo_toy()), *words, "--out", str(tmp_path / "best.flac")]) == 0
    assert soundfile.info(tmp_path / "best.flac").channels == 2
