"""Many streams: score as training judges, ranked, the best kept, and why."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from keras_rawaudio_serving import Sampler
from keras_rawaudio_serving.cli import main
from keras_rawaudio_serving.output import to_pcm16
from keras_rawaudio_serving.stream_ranker import (
    StreamRanker,
    StreamScore,
    faults,
    flat_tops,
    summary,
)

from keras_rawaudio.metrics import health

Toy = Callable[..., Path]
RATE = 8000
TIME = np.arange(RATE) / RATE
LIMITS = {"quietest": -40.0, "loudest": -10.0, "flattest": 0.3, "least_change": 0.001}


def noise(level: float, samples: int = RATE, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, level, samples)


def sounds() -> dict[str, np.ndarray]:
    """Ten seconds each. The melody changes its pitch eight times per second."""
    time = np.arange(10 * RATE) / RATE
    pitch = 200 * (1 + np.random.default_rng(1).integers(0, 8, 81)[(8 * time).astype(int)])
    melody = 0.1 * np.sin(2 * np.pi * np.cumsum(pitch) / RATE)
    half = np.where(time < 5, melody, 0)
    return {
        "melody": melody,
        "silence": half,
        "burst": melody * np.where(time < 9, 1, 5),
        "noise": np.where(time < 3, melody, noise(0.05, 10 * RATE)),
        "tone": np.where(time < 2, melody, 0.1 * np.sin(2 * np.pi * 1000 * time)),
        "clipping": np.clip(3 * melody, -0.1, 0.1),
    }


def rank(streams: np.ndarray, limits: dict[str, float], block: int) -> list[StreamScore]:
    ranker = StreamRanker(len(streams), RATE, limits)
    for start in range(0, streams.shape[1], block):
        ranker.write(streams[:, start : start + block])
    return ranker.ranking()


@pytest.mark.parametrize("block", [777, 4000, 80000])
def test_each_fault_is_named(block: int) -> None:
    made = sounds()
    ranking = rank(np.stack(list(made.values())), LIMITS, block)
    notes = {list(made)[score.stream]: str(score) for score in ranking}
    assert next(iter(notes)) == "melody"
    assert notes == {
        "melody": "healthy",
        "silence": "dead 50%, stuck 50% of its seconds",
        "burst": "loud 10% of its seconds",
        "noise": "noisy 70% of its seconds",
        "tone": "stuck 80% of its seconds",
        "clipping": "clipped 100% of its seconds",
    }
    assert [score.ill for score in ranking] == sorted(score.ill for score in ranking)


def test_of_the_healthy_the_likeliest_come_first() -> None:
    """Health first: the best bits are those of what is stuck or silent."""
    melody, silence = sounds()["melody"], np.zeros(10 * RATE)
    ranker = StreamRanker(4, RATE, LIMITS)
    ranker.write(np.stack([melody, silence, melody, 3 * melody]))
    ranking = ranker.ranking(np.array([3.5, 0.1, 3.2, 3.4]))
    assert [score.stream for score in ranking] == [2, 3, 0, 1]
    assert str(ranking[0]) == "healthy, 3.20 bits per sample"
    assert str(ranking[3]) == "dead 100%, stuck 100% of its seconds, 0.10 bits per sample"
    assert summary(ranking[1:]) == "3 dropped: 2 less likely, 1 dead"


def test_without_limits_silence_and_clipping_are_found() -> None:
    made = sounds()
    ranking = rank(np.stack(list(made.values())), {}, 4000)
    found = {list(made)[score.stream]: score.fault for score in ranking if score.fault}
    assert found == {"silence": "dead", "clipping": "clipped"}


@pytest.mark.parametrize("samples", [RATE, RATE // 2 + 3, 50])
def test_seconds_are_ill_where_training_says_so(samples: int) -> None:
    """The same formulas: one limit after the other is put to each side of training's own value."""
    rng = np.random.default_rng(2)
    streams = np.stack(
        [
            noise(0.1, samples),
            np.clip(noise(0.3, samples, 1), -0.4, 0.4),
            0.3 + 0.2 * np.sin(440 * TIME[:samples]),
            rng.uniform(0, 1, samples) ** 8 * np.sin(2000 * TIME[:samples]),
            np.zeros(samples),
        ]
    ).astype(np.float32)
    for row, audio in enumerate(streams):
        seconds = health.health(audio, RATE)
        values = {
            "quietest": (seconds.level, "dead"),
            "loudest": (seconds.level, "loud"),
            "flattest": (seconds.flatness, "noisy"),
            "least_change": (seconds.change, "stuck"),
            "largest_offset": (np.abs(seconds.offset), "offset"),
            "most_clipped": (seconds.clipped, "clipped"),
        }
        for limit, ((value,), name) in values.items():
            for side in (-1e-6, 1e-6):
                limits = {**dict.fromkeys(values, 0.0), limit: value + side}
                expected = health.ill_seconds(seconds, limits)[name]
                found = faults(streams, RATE, {limit: value + side})[name]
                assert found[row] == expected[0], (row, limit, side)


def test_flat_tops() -> None:
    """A sine of amplitude a that is cut at 1 is flat for 1 - 2 asin(1/a) / pi of the time."""
    sine = np.sin(2 * np.pi * 50 * TIME)
    cut = np.stack([np.clip(a * sine, -1, 1) for a in (1.0, 1.5, 4.0)] + [noise(0.1)])
    expected = [0, 1 - 2 * np.arcsin(1 / 1.5) / np.pi, 1 - 2 * np.arcsin(1 / 4) / np.pi, 0]
    np.testing.assert_allclose(flat_tops(cut).mean(axis=1), expected, atol=0.02)


def test_the_best_are_kept_in_order(
    toy: Toy, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Streams of a toy that gets louder with its temperature: the middle one is right."""
    # It draws noise of a level in proportion to its temperature.
    levels = [level_of(toy, t) for t in (0.1, 0.5, 2.0)]
    limits = {"quietest": np.mean(levels[:2]), "loudest": np.mean(levels[1:])}
    model = toy(limits=limits)
    words = "--seconds 3 --random-seed 4 --streams 4 --keep 2 --temperature 0.1,0.5,2,0.5"
    assert main([str(model), *words.split(), "--out", str(tmp_path / "best.wav")]) == 0
    assert sorted(p.name for p in tmp_path.glob("*best*")) == ["best-1.wav", "best-2.wav"]
    sampler = Sampler.load(model, random_seed=4, streams=4, temperature=[0.1, 0.5, 2, 0.5])
    expected = to_pcm16(sampler.generate(3))
    for number, stream in ((1, 1), (2, 3)):
        data, _ = soundfile.read(tmp_path / f"best-{number}.wav", dtype="int16")
        np.testing.assert_array_equal(data, expected[stream])
    notes = capfd.readouterr().err
    assert "best-1.wav: stream 2, healthy\n" in notes
    assert "best-2.wav: stream 4, healthy\n" in notes
    assert "2 dropped: 1 dead, 1 loud\n" in notes


def level_of(toy: Toy, temperature: float) -> float:
    audio = Sampler.load(toy(), random_seed=0, temperature=temperature).generate(1)
    return float(10 * np.log10(np.mean(np.square(audio))))


def test_a_file_without_limits_says_so(
    toy: Toy, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    words = "--seconds 1.5 --streams 3 --keep 1 --random-seed 1"
    assert main([str(toy()), *words.split(), "--out", str(tmp_path / "best.flac")]) == 0
    notes = capfd.readouterr().err
    assert "carries no limits of its piece" in notes
    assert "best.flac: stream " in notes
    assert "2 dropped: " in notes
    assert [p.name for p in tmp_path.glob("*best*")] == ["best.flac"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--keep 3 --streams 2 --out new.wav", "--keep is 3: it must be 1 to --streams (2)"),
        ("--keep 0 --streams 2 --out new.wav", "--keep is 0"),
        ("--keep 1 --streams 2 --out -", "--keep chooses at the end"),
        ("--keep 1 --streams 2 --out new.wav --play", "--keep chooses at the end"),
        ("--keep 1 --streams 2 --out new.wav --control level=-30", "leave out the control level"),
    ],
)
def test_what_cannot_be_kept(words: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["no.onnx", "--seconds", "1", *words.split()]) == 2
    assert message in capsys.readouterr().err


def test_the_seed_in_front_is_not_ranked(
    toy: Toy, tone: Callable[..., Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Three seconds of a loud seed would hide that one second of four is dead."""
    model = toy(limits={"quietest": level_of(toy, 1) + 6})
    words = ["--streams", "2", "--keep", "1", "--keep-seed", "--seed-seconds", "3"]
    out, seed = tmp_path / "best.wav", tone(seconds=3, rate=8000)
    assert (
        main([str(model), *words, "--seconds", "1", "--seed-audio", str(seed), "--out", str(out)])
        == 0
    )
    assert "dead 100% of its seconds" in capfd.readouterr().err
    assert soundfile.info(out).frames == 4 * RATE
