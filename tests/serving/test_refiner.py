"""The sampler's refiner: any blocks in, the same number of samples out, later by a window."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import soundfile
from keras_rawaudio_serving import Sampler
from keras_rawaudio_serving.cli import main
from keras_rawaudio_serving.errors import ServingError
from keras_rawaudio_serving.refiner import Refiner
from onnx import TensorProto, helper

from .test_controls import LEVEL

Toy = Callable[..., Path]
RATE, HOP, DELAY = 8000, 4, 8


@pytest.fixture
def doubler(tmp_path: Path) -> Callable[..., Path]:
    """Makes a refiner that doubles what it reads, `DELAY` samples later."""

    def make(**metadata: object) -> Path:
        def tensors(names: list[str]) -> list[onnx.ValueInfoProto]:
            return [
                helper.make_tensor_value_info(n, TensorProto.FLOAT, ["batch", size])
                for n, size in zip(names, [HOP, DELAY, DELAY], strict=True)
            ]

        def integers(name: str, *values: int) -> onnx.TensorProto:
            return helper.make_tensor(name, TensorProto.INT64, [len(values)], values)

        nodes = [
            helper.make_node("Concat", ["past", "audio"], ["window"], axis=1),
            helper.make_node("Slice", ["window", "zero", "hop", "one"], ["oldest"]),
            helper.make_node("Add", ["oldest", "oldest"], ["revised"]),
            helper.make_node("Slice", ["window", "hop", "end", "one"], ["past_next"]),
            helper.make_node("Identity", ["pending"], ["pending_next"]),
        ]
        constants = [
            integers("zero", 0),
            integers("hop", HOP),
            integers("one", 1),
            integers("end", 1 << 30),
        ]
        graph = helper.make_graph(
            nodes,
            "doubler",
            tensors(["audio", "past", "pending"]),
            tensors(["revised", "past_next", "pending_next"]),
            constants,
        )
        proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
        proto.ir_version = 8
        described = {
            "format_version": 1,
            "kind": "refiner",
            "sample_rate": RATE,
            "hop": HOP,
            "delay": DELAY,
        } | metadata
        helper.set_model_props(proto, {"keras_rawaudio": json.dumps(described)})
        path = tmp_path / "refiner.onnx"
        path.write_bytes(proto.SerializeToString())
        return path

    return make


@pytest.mark.parametrize("sizes", [[3], [4], [1, 1, 1], [30], [4, 5, 6, 7], [12, 0, 13]])
@pytest.mark.parametrize("last", [(), (2,)])
def test_every_sample_comes_out_in_its_place(
    doubler: Callable[..., Path], sizes: list[int], last: tuple[int, ...]
) -> None:
    audio = np.random.default_rng(0).uniform(-0.4, 0.4, (3, sum(sizes), *last)).astype("float32")
    blocks = np.split(audio, np.cumsum(sizes)[:-1], axis=1)
    made = np.concatenate(list(Refiner(doubler(), RATE).stream(iter(blocks))), axis=1)
    np.testing.assert_array_equal(made, 2 * audio)


def test_nothing_in_nothing_out(doubler: Callable[..., Path]) -> None:
    assert list(Refiner(doubler(), RATE).stream(iter([]))) == []


def test_the_first_sample_comes_when_a_window_is_there(doubler: Callable[..., Path]) -> None:
    refiner, taken = Refiner(doubler(), RATE), 0

    def one_by_one() -> object:
        nonlocal taken
        for _ in range(100):
            taken += 1
            yield np.ones((1, 1), "float32")

    next(refiner.stream(one_by_one()))  # type: ignore[arg-type]
    assert taken == refiner.latency == HOP + DELAY


def test_the_command_writes_revised_audio(
    toy: Toy, doubler: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "new.wav"
    model = toy(gain=0.2)
    words = [str(model), "--seconds", "0.3", "--random-seed", "2", "--out", str(out)]
    assert main([*words, "--refiner", str(doubler())]) == 0
    plain = Sampler.load(model, random_seed=2).generate(0.3)[0]
    data, _ = soundfile.read(out, dtype="float32")
    np.testing.assert_allclose(data, 2 * plain, atol=2**-15)
    assert "revised, 2 ms later" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("metadata", "words"),
    [
        ({"sample_rate": 16000}, "at 16000 Hz, and the generator makes 8000 Hz"),
        ({"kind": "generator"}, "is not a refiner"),
        ({"hop": 5}, "its graph takes"),
        ({"hop": 0}, "hop is 0"),
        ({"format_version": 2}, "format version 2"),
        ({"delay": None}, "delay is None"),
    ],
)
def test_other_files_are_refused(
    doubler: Callable[..., Path], metadata: dict[str, object], words: str
) -> None:
    with pytest.raises(ServingError, match=words):
        Refiner(doubler(**metadata), RATE)


def test_a_generator_is_no_refiner_and_a_refiner_no_generator(
    toy: Toy, doubler: Callable[..., Path]
) -> None:
    with pytest.raises(ServingError, match="is not a refiner that this sampler reads"):
        Refiner(toy(), RATE)
    with pytest.raises(ServingError, match="is a refiner: give it as --refiner"):
        Sampler.load(doubler())


def test_curves_turn_the_generator_and_not_what_the_refiner_gives_out_later(
    toy: Toy, doubler: Callable[..., Path], tmp_path: Path
) -> None:
    model = toy(controls=[LEVEL], deterministic=True, initial=0.5)
    curves = tmp_path / "curves.csv"
    curves.write_text("seconds,level\n0,-0.4\n0.5,0.4\n")
    audio = []
    for more in ([], ["--refiner", str(doubler())]):
        out = tmp_path / "new.wav"
        words = [str(model), "--seconds", "0.5", "--block", "0.1", "--curves", str(curves)]
        assert main([*words, "--random-seed", "2", "--out", str(out), *more]) == 0
        audio.append(soundfile.read(out)[0])
    assert len(np.unique(audio[0])) > 3
    along_the_curve = 0.9 * np.linspace(-0.4, 0.24, 5)
    np.testing.assert_allclose(audio[0][::800], along_the_curve, atol=2**-14)
    np.testing.assert_allclose(audio[1], np.clip(2 * audio[0], -1, 1), atol=2**-14)
