"""The head of docs/how-to/own-head.md works as it stands there."""

import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import keras
import numpy as np
import onnxruntime
import pytest
from keras import ops

from keras_rawaudio.exporters.onnx_model import compose
from keras_rawaudio.generation.advance import advance, fresh_state
from keras_rawaudio.models import AudioModel
from keras_rawaudio.recipes import heads as recipe_heads

from .. import small_models

FRAME = 8


def code(root: Path, kind: str) -> str:
    """The page's only block of that kind."""
    text = (root / "docs/how-to/own-head.md").read_text(encoding="utf-8")
    (block,) = re.findall(rf"```{re.escape(kind)}\n(.*?)```", text, re.DOTALL)
    return block


@pytest.fixture
def model(root: Path, monkeypatch: pytest.MonkeyPatch) -> AudioModel:
    file = ModuleType("keras_rawaudio.models.heads.laplace")
    exec(code(root, "python"), vars(file))
    monkeypatch.setitem(sys.modules, file.__name__, file)
    keras.utils.set_random_seed(1)
    row = eval(f"{{{code(root, '{.python .row}')}}}", dict(vars(small_models)))
    tiers, head, _ = row["laplace"]
    assert tiers[-1]["frame_size"] == FRAME
    return AudioModel([{"units": 16, **t} for t in tiers], head, {"name": "peak", "peak": 1.0})


def test_a_recipe_may_set_what_the_layer_takes(root: Path) -> None:
    names, layer = dict(vars(recipe_heads)), dict[str, Any](__name__="laplace")
    exec(code(root, "{.python .settings}"), names)
    exec(code(root, "python"), layer)
    settings = names["Laplace"](kind="laplace").model_dump(exclude={"kind"})
    assert layer["LaplaceHead"](FRAME).get_config().items() >= settings.items()


def test_its_cells_hold_all_mass(model: AudioModel) -> None:
    x = ops.convert_to_tensor(np.random.default_rng(0).normal(size=(1, model.context + FRAME)))
    prediction, _ = model(ops.cast(x, "float32"), model.zero_state(1))
    every = ops.convert_to_tensor(model.cells.decode(np.arange(256))[:, None].repeat(FRAME, 1))
    nats = model.head.loss(prediction, ops.cast(every, "float32"))
    np.testing.assert_allclose(np.exp(-nats.numpy()).sum(0), 1.0, atol=1e-4)


def test_onnx_plays_what_keras_plays(model: AudioModel) -> None:
    rng = np.random.default_rng(0)
    forced = 0.1 * rng.normal(size=(2, 2 * FRAME)).astype("float32")
    noise = rng.random((2, 4 * FRAME, 1), "float32")
    state = fresh_state(model, 2)
    expected, _ = advance(model, *map(ops.convert_to_tensor, (forced, noise)), ops.ones(2), state)
    session = onnxruntime.InferenceSession(compose(model).SerializeToString())
    feed = {name: value.numpy() for name, value in state.items()}
    feed |= {"forced": forced, "noise": noise, "temperature": np.ones(2, "float32")}
    (audio,) = session.run(["audio"], feed)
    assert np.std(audio) > 1e-3
    np.testing.assert_allclose(audio, expected, atol=1e-5)
