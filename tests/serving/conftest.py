"""Toy generators as files, audio for them, and a sound system in the place of sounddevice."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from .sound_system import SoundSystem
from .toy_generators import FLOAT, MUSIC_NAMES, MUSIC_STATES, build_stereo_toy, build_toy

if TYPE_CHECKING:
    from keras_rawaudio_serving import Sampler
    from keras_rawaudio_serving.live_controls import LiveControls

SERVING = Path(__file__).resolve().parents[2] / "serving"
sys.path.insert(0, str(SERVING))


@pytest.fixture
def toy(tmp_path: Path) -> Callable[..., Path]:
    """toy(frame=4, deterministic=False, gain=1.0, ...) -> path of an ONNX file."""

    def make(name: str = "generator.onnx", **options: object) -> Path:
        path = tmp_path / name
        onnx.save(build_toy(**options), str(path))  # type: ignore[arg-type]
        return path

    return make


@pytest.fixture
def tone(tmp_path: Path) -> Callable[..., Path]:
    """tone(seconds, rate, ...) -> path of a WAV with a sine."""
    import soundfile

    def make(
        seconds: float = 2.0,
        rate: int = 44100,
        frequency: float = 440.0,
        channels: int = 1,
        name: str = "tone.wav",
    ) -> Path:
        t = np.arange(round(seconds * rate)) / rate
        audio = 0.5 * np.sin(2 * np.pi * frequency * t)
        path = tmp_path / name
        soundfile.write(path, np.tile(audio[:, None], (1, channels)), rate, subtype="FLOAT")
        return path

    return make


@pytest.fixture
def album(tmp_path: Path) -> Callable[..., Path]:
    """A file whose audio is the mean of 1, 2 and 4 by the weights of its labels."""
    nodes = [
        helper.make_node("MatMul", ["music", "values"], ["sum"]),
        helper.make_node("ReduceSum", ["music", "axis1"], ["weight"]),
        helper.make_node("Max", ["weight", "tiny"], ["some"]),
        helper.make_node("Div", ["sum", "some"], ["value"]),
        helper.make_node("Shape", ["noise"], ["shape"], start=0, end=2),
        helper.make_node("Expand", ["value", "shape"], ["audio"]),
        helper.make_node("Identity", ["gain"], ["gain_next"]),
        helper.make_node("Identity", ["music"], ["music_next"]),
    ]
    shapes = {"forced": ["B", "P"], "noise": ["B", "N", 1], "temperature": ["B"]}
    shapes |= {"gain": ["B", 1], "music": ["B", 3]}
    results = {"audio": ["B", "N"], "gain_next": ["B", 1], "music_next": ["B", 3]}
    inputs, outputs = (
        [helper.make_tensor_value_info(n, FLOAT, s) for n, s in each.items()]
        for each in (shapes, results)
    )
    values = helper.make_tensor("values", FLOAT, [3, 1], [1.0, 2.0, 4.0])
    tiny = helper.make_tensor("tiny", FLOAT, [], [1e-6])
    axis = helper.make_tensor("axis1", TensorProto.INT64, [1], [1])
    graph = helper.make_graph(nodes, "album", inputs, outputs, [values, tiny, axis])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)

    def make(**changes: object) -> Path:
        about = {"format_version": 1, "sample_rate": 8000, "frame": 4, "noise_per_sample": 1}
        about |= {"deterministic": False, "states": MUSIC_STATES, **MUSIC_NAMES, **changes}
        helper.set_model_props(model, {"keras_rawaudio": json.dumps(about)})
        path = tmp_path / "album.onnx"
        onnx.save(model, str(path))
        return path

    return make


@pytest.fixture
def stereo_toy(tmp_path: Path) -> Callable[..., Path]:
    """stereo_toy(gains=(1.0, 0.5), ...) -> path of an ONNX file."""

    def make(name: str = "stereo.onnx", **options: object) -> Path:
        path = tmp_path / name
        onnx.save(build_stereo_toy(**options), str(path))  # type: ignore[arg-type]
        return path

    return make


@pytest.fixture
def sampler(toy: Callable[..., Path]) -> "Sampler":
    from keras_rawaudio_serving import Sampler

    return Sampler.load(toy(), random_seed=1, streams=2)


@pytest.fixture
def live(sampler: "Sampler") -> "LiveControls":
    from keras_rawaudio_serving.live_controls import LiveControls

    return LiveControls(sampler)


@pytest.fixture
def sound(monkeypatch: pytest.MonkeyPatch) -> SoundSystem:
    """A sound system in the place of sounddevice."""
    system = SoundSystem()
    monkeypatch.setitem(sys.modules, "sounddevice", system)
    return system
