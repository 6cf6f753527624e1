"""The Sampler class against a toy generator whose output is known in closed form."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from keras_rawaudio_serving import Sampler, ServingError
from keras_rawaudio_serving.noise import Noise

Toy = Callable[..., Path]
RATE = 8000


@pytest.mark.parametrize("frame", [1, 4, 7, 250])
@pytest.mark.parametrize("samples", [1, 3, 799, 1001, 12345])
def test_exact_number_of_samples(toy: Toy, frame: int, samples: int) -> None:
    """Pitfall 15: so many seconds give so many samples at the model's rate, whatever the frame."""
    sampler = Sampler.load(toy(frame=frame), random_seed=0)
    assert sampler.generate(samples / RATE).shape == (1, samples)


def test_every_sample_is_a_sample(toy: Toy) -> None:
    """Pitfall 15: consecutive samples follow the recurrence, none is dropped or repeated."""
    sampler = Sampler.load(toy(frame=7), random_seed=3)
    audio = sampler.generate(0.5)[0]
    x = 2 * Noise(3, 1).draw(len(audio), 1)[0, :, 0] - 1
    level, expected = 0.0, []
    for value in x:
        level = 0.9 * level + 0.1 * value
        expected.append(level)
    np.testing.assert_allclose(audio, expected, atol=1e-6)


@given(parts=st.lists(st.integers(1, 900), min_size=1, max_size=6), block=st.integers(1, 700))
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_many_short_calls_are_one_long(toy: Toy, parts: list[int], block: int) -> None:
    path = toy(frame=6)
    one, many = (Sampler.load(path, streams=2, random_seed=5) for _ in range(2))
    long = one.generate(sum(parts) / RATE)
    short = [many.generate(n / RATE, block_seconds=block / RATE) for n in parts]
    np.testing.assert_array_equal(np.concatenate(short, axis=1), long)


def test_state_moves_once_per_sample(toy: Toy) -> None:
    """Pitfall 17: the step counter in the state equals the samples read and made."""
    sampler = Sampler.load(toy(frame=4), random_seed=0)
    sampler.prime(np.zeros(10, np.float32))
    assert sampler._generator.states[0]["clock"] == 12  # 10, padded to whole frames
    sampler.generate(400 / RATE)
    assert sampler._generator.states[0]["clock"] == 412


def test_fresh_state_has_its_initial_value(toy: Toy) -> None:
    sampler = Sampler.load(toy(deterministic=True, initial=0.5))
    expected = 0.5 * 0.9 ** np.arange(1, 4)
    np.testing.assert_allclose(sampler.generate(3 / RATE)[0], expected, rtol=1e-6)


@pytest.mark.parametrize("length", [1, 5, 8, 8001])
def test_primed_with_all_of_the_seed(toy: Toy, length: int) -> None:
    """Pitfall 16: the whole seed is read, its last sample just before the first new one."""
    seed = np.random.default_rng(0).uniform(-1, 1, length).astype(np.float32)
    level = 0.0
    for value in seed:
        level = 0.9 * level + 0.1 * value
    sampler = Sampler.load(toy(frame=8, deterministic=True))
    sampler.prime(seed)
    expected = level * 0.9 ** np.arange(1, 101)
    np.testing.assert_allclose(sampler.generate(100 / RATE)[0], expected, atol=1e-7)


def test_a_seed_per_stream_and_priming_starts_afresh(toy: Toy) -> None:
    sampler = Sampler.load(toy(deterministic=True), streams=2)
    sampler.prime(np.ones((2, 50)))
    sampler.prime(np.stack([np.zeros(4), [0, 0, 0, 1]]))
    np.testing.assert_allclose(sampler.generate(1 / RATE)[:, 0], [0, 0.09], atol=1e-7)


def test_streams_differ_and_do_not_depend_on_their_number(toy: Toy) -> None:
    path = toy()
    four = Sampler.load(path, streams=4, random_seed=1).generate(0.1)
    one = Sampler.load(path, streams=1, random_seed=1).generate(0.1)
    np.testing.assert_array_equal(four[:1], one)
    assert np.abs(np.corrcoef(four) - np.eye(4)).max() < 0.3


def test_threads_share_the_streams(toy: Toy) -> None:
    path = toy()
    seed = np.random.default_rng(0).uniform(-1, 1, (5, 30))
    samplers = [Sampler.load(path, streams=5, random_seed=1, threads=n) for n in (1, 2)]
    for sampler in samplers:
        sampler.prime(seed)
    one, two = (s.generate(0.2) for s in samplers)
    np.testing.assert_array_equal(one, two)


def test_temperature_per_stream(toy: Toy) -> None:
    path = toy()
    plain = Sampler.load(path, streams=2, random_seed=1)
    tempered = Sampler.load(path, streams=2, random_seed=1, temperature=[0.5, 1.0])
    np.testing.assert_allclose(
        tempered.generate(0.1), plain.generate(0.1) * [[0.5], [1.0]], atol=1e-6
    )


def test_temperature_between_blocks(toy: Toy) -> None:
    sampler = Sampler.load(toy(), random_seed=1)
    loud = sampler.generate(0.5)
    sampler.temperature = 0.1
    quiet = sampler.generate(0.5)
    assert np.std(quiet[:, -2000:]) == pytest.approx(0.1 * np.std(loud), rel=0.2)


def test_reset_repeats(toy: Toy) -> None:
    sampler = Sampler.load(toy(frame=6))  # a random seed of its own
    first = sampler.generate(0.0333)
    sampler.reset()
    np.testing.assert_array_equal(first, sampler.generate(0.0333))
    sampler.reset(random_seed=sampler.random_seed + 1)
    assert (first != sampler.generate(0.0333)).any()


def test_first_block_is_short_and_blocks_grow_to_the_size_asked(toy: Toy) -> None:
    blocks = Sampler.load(toy(frame=10), random_seed=0).stream(block_seconds=0.5)  # endless
    sizes = [next(blocks).shape[1] / RATE for _ in range(6)]
    assert sizes == [0.1, 0.2, 0.4, 0.5, 0.5, 0.5]


def test_only_whole_frames_reach_the_graph(toy: Toy) -> None:
    sampler = Sampler.load(toy(frame=6), random_seed=0)
    run, shapes = sampler._generator._session.run, []

    class Spy:
        def run(self, outputs: list[str], feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
            shapes.append((feeds["forced"].shape[1], feeds["noise"].shape[1]))
            assert all(v.dtype == np.float32 for v in feeds.values())
            return run(outputs, feeds)

    sampler._generator._session = Spy()
    sampler.prime(np.ones(5001))
    sampler.generate(0.7777)
    assert all(p % 6 == 0 and n % 6 == 0 and p + n > 0 for p, n in shapes)
    assert sum(p for p, _ in shapes) == 5004
    # No more is made than asked, up to the last frame.
    assert sum(n for _, n in shapes) == -(-round(0.7777 * RATE) // 6) * 6


def test_noise_is_below_one_and_in_order() -> None:
    long = Noise(9, 2).draw(100_001, 3)
    assert long.dtype == np.float32
    assert long.min() >= 0
    assert long.max() < 1
    other = Noise(9, 2)
    parts = [other.draw(n, 3) for n in (1, 2, 7, 99_991)]
    np.testing.assert_array_equal(np.concatenate(parts, axis=1), long)
    assert abs(np.corrcoef(long.reshape(2, -1))[0, 1]) < 0.01


BAD = [
    ({"streams": 0}, "streams is 0"),
    ({"threads": 0}, "threads is 0"),
    ({"temperature": 0.0}, "temperature is 0: it must be 0.1 to 2"),
    ({"temperature": 2.1}, "temperature is 2.1: it must be 0.1 to 2"),
    ({"temperature": float("nan")}, "temperature is nan"),
    ({"temperature": [1.0, 1.0]}, "2 temperatures for 1 streams"),
    ({"random_seed": -1}, "random seed is -1"),
    ({"provider": "tpu"}, "unknown provider 'tpu'"),
]


@pytest.mark.parametrize(("options", "message"), BAD)
def test_bad_options(toy: Toy, options: dict[str, object], message: str) -> None:
    with pytest.raises(ServingError, match=message):
        Sampler.load(toy(), **options)


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf"), 1e-6])
def test_bad_seconds(toy: Toy, seconds: float) -> None:
    sampler = Sampler.load(toy())
    with pytest.raises(ServingError, match=r"more"):
        sampler.generate(seconds)
    with pytest.raises(ServingError, match="block"):
        sampler.stream(1.0, block_seconds=0)


def test_bad_seeds(toy: Toy) -> None:
    sampler = Sampler.load(toy(), streams=2)
    with pytest.raises(ServingError, match="NaN"):
        sampler.prime(np.array([0.0, np.nan]))
    with pytest.raises(ServingError, match=r"shape \(3, 4\)"):
        sampler.prime(np.zeros((3, 4)))


def test_a_model_that_gives_nan_is_refused(toy: Toy) -> None:
    sampler = Sampler.load(toy(deterministic=True, initial=1.0, gain=float("inf")))
    with pytest.raises(ServingError, match="the model gave NaN"):
        sampler.generate(0.1)


def test_refuses_what_it_does_not_know(toy: Toy, tmp_path: Path) -> None:
    with pytest.raises(ServingError, match="no such model"):
        Sampler.load(tmp_path / "none.onnx")
    with pytest.raises(ServingError, match="not a regular file"):
        Sampler.load(tmp_path)
    (tmp_path / "text.onnx").write_text("hello")
    with pytest.raises(ServingError, match="is not an ONNX file"):
        Sampler.load(tmp_path / "text.onnx")
    (tmp_path / "empty.onnx").touch()
    with pytest.raises(ServingError, match="is not an ONNX file"):
        Sampler.load(tmp_path / "empty.onnx")
    with pytest.raises(ServingError, match="not a keras-rawaudio generator"):
        Sampler.load(toy(metadata=None))
    with pytest.raises(ServingError, match="format version 2"):
        Sampler.load(toy(format_version=2))
    with pytest.raises(ServingError, match="damaged"):
        Sampler.load(toy(states=[{"name": "level"}]))
    with pytest.raises(ServingError, match="frame is 0, not a whole number"):
        Sampler.load(toy(frame=0))
    with pytest.raises(ServingError, match=r"lacks other, other_next"):
        Sampler.load(toy(states=[{"name": "other", "shape": [1], "initial": 0}]))
    broken = onnx.load(str(toy()))
    broken.metadata_props[0].value = "{"
    onnx.save(broken, str(tmp_path / "broken.onnx"))
    with pytest.raises(ServingError, match="damaged"):
        Sampler.load(tmp_path / "broken.onnx")
