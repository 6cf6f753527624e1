"""`export`: from a run folder to files that say what they are."""

import json
import shutil

import numpy as np
import onnx
import onnxruntime
import pytest
import tensorflow as tf
from keras import ops

import keras_rawaudio
from keras_rawaudio.errors import UserError
from keras_rawaudio.exporters.export import export
from keras_rawaudio.exporters.metadata import limits
from keras_rawaudio.generation import fresh_state, generator_state_spec
from keras_rawaudio.metrics.health import health, thresholds
from keras_rawaudio.recipes import recipe_from_json
from keras_rawaudio.training.run_folder import RunFolder

from ..small_models import compiled
from .test_exporting import subgraphs


@pytest.fixture(scope="module")
def exported(run, tmp_path_factory):
    out = tmp_path_factory.mktemp("exported") / "deep" / "song"
    return export(run[0].path, out)


def test_limits_are_those_of_the_train_part(corpus, capsys):
    """What --keep ranks by; where the corpus is gone there are none, and a line tells so."""
    (segment,) = corpus.segments("train")
    assert limits(corpus.address) == thresholds(health(segment, 2000))
    assert limits("nowhere") == {}
    assert "note: --keep will not know what is usual" in capsys.readouterr().err


def test_the_metadata_is_complete(run, corpus, exported):
    _, model, recipe = run
    found = onnx.load(exported).metadata_props
    metadata = json.loads({p.key: p.value for p in found}["keras_rawaudio"])
    spec = generator_state_spec(model)
    silence = float(model.codec.encode(0.0))
    assert metadata["format_version"] == 1
    assert metadata["sample_rate"] == 11025
    assert metadata["frame"] == 64
    assert metadata["tiers"] == [64, 8]
    assert metadata["head"] == "categorical"
    assert metadata["noise_per_sample"] == 1
    assert metadata["deterministic"] is False
    assert metadata["limits"] == limits(corpus.address)
    assert metadata["arithmetic"] == "float32"
    assert metadata["codec"] == model.codec.to_json()
    assert metadata["checkpoint"] == "best"
    assert recipe_from_json(metadata["recipe"]) == recipe
    assert isinstance(metadata["git_revision"], str)
    assert metadata["versions"]["keras_rawaudio"] == keras_rawaudio.__version__
    assert {"python", "keras", "onnx", "numpy"} <= set(metadata["versions"])
    states = {s["name"]: (tuple(s["shape"]), s["initial"]) for s in metadata["states"]}
    assert list(states) == list(spec)
    for name, (shape, _) in spec.items():
        assert states[name] == (shape, silence if name == "history" else 0.0)
    saved = tf.saved_model.load(str(exported.parent / "saved_model"))
    assert json.loads(saved.metadata().numpy()) == metadata


def test_the_serving_side_understands_the_metadata(exported):
    from keras_rawaudio_serving.metadata import parse_metadata

    session = onnxruntime.InferenceSession(exported, providers=["CPUExecutionProvider"])
    metadata = parse_metadata(session.get_modelmeta().custom_metadata_map, str(exported))
    assert (metadata.sample_rate, metadata.frame) == (11025, 64)


def test_the_best_checkpoint_is_what_plays(run, exported):
    """Pitfall 14: the trained weights are in the file, not fresh ones nor the last ones."""
    _, model, _ = run
    noise = np.random.default_rng(1).random((2, 128, 1), "float32")
    nothing, ones = np.zeros((2, 0), "float32"), np.ones(2, "float32")
    state = {n: ops.convert_to_numpy(v) for n, v in fresh_state(model, 2).items()}
    expected, _ = compiled(model)(nothing, noise, ones, state)
    session = onnxruntime.InferenceSession(exported, providers=["CPUExecutionProvider"])
    feeds = {"forced": nothing, "noise": noise, "temperature": ones, **state}
    (audio,) = session.run(["audio"], feeds)
    np.testing.assert_array_equal(
        model.codec.encode(audio), model.codec.encode(ops.convert_to_numpy(expected))
    )


@pytest.mark.slow
def test_exporting_again_replaces_and_leaves_nothing_behind(run, exported):
    before = exported.read_bytes()
    assert export(run[0].path, exported.parent, checkpoint="last") == exported
    assert exported.read_bytes() != before
    assert sorted(p.name for p in exported.parent.iterdir()) == ["generator.onnx", "saved_model"]


@pytest.mark.slow
def test_int8_says_what_it_costs(run, tmp_path, monkeypatch):
    monkeypatch.setattr("keras_rawaudio.exporters.int8.LEAST_WEIGHTS", 16)
    path = export(run[0].path, tmp_path / "int8", int8=True)
    proto = onnx.load(path)
    onnx.checker.check_model(proto, full_check=True)
    metadata = json.loads({p.key: p.value for p in proto.metadata_props}["keras_rawaudio"])
    arithmetic = metadata["arithmetic"]
    exact = arithmetic["test_bits_per_sample_float32"]
    assert 0 < exact < 150
    assert "MatMulInteger" in {node.op_type for g in subgraphs(proto.graph) for node in g.node}
    assert arithmetic["test_bits_per_sample"] == pytest.approx(exact, rel=0.1)
    saved = tf.saved_model.load(str(path.parent / "saved_model"))
    assert json.loads(saved.metadata().numpy())["arithmetic"] == "float32"


def test_bad_folders_are_one_line(run, tmp_path):
    with pytest.raises(UserError, match="not a run folder"):
        export(tmp_path, tmp_path / "out")
    with pytest.raises(UserError, match="no such run folder"):
        export(tmp_path / "missing", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    empty = RunFolder(tmp_path / "empty")
    empty.write_json(empty.description, run[0].describe())
    empty.write_json(empty.recipe, run[0].read_recipe())
    for damage in (None, b"not a zip file"):
        if damage:
            empty.best.write_bytes(damage)
        with pytest.raises(UserError, match=r"no best\.keras yet|file is damaged"):
            export(empty.path, tmp_path / "out" / "deep")
        assert not (tmp_path / "out").exists()
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write"):
        export(run[0].path, tmp_path / "file")


@pytest.mark.parametrize("name", ["recipe", "description"])
def test_a_run_that_is_replaced_while_its_model_is_read(run, tmp_path, monkeypatch, name):
    """The model and what the file says of it are of one training."""
    folder = RunFolder(shutil.copytree(run[0].path, tmp_path / "run"))
    values = {**run[0].describe(), **run[0].read_recipe(), "name": "other", "corpus": "elsewhere"}

    def load_model(*arguments):
        folder.write_json(getattr(folder, name), values)
        return run[1]

    monkeypatch.setattr("keras_rawaudio.exporters.export.load_model", load_model)
    with pytest.raises(UserError, match="was replaced by another run while it was read"):
        export(folder.path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_page_comes_and_goes_with_its_model(run, exported, tmp_path, monkeypatch):
    from keras_rawaudio_serving import web_page

    def write_onnx(model, metadata, path, int8):  # a page is made of a real one
        shutil.copy(exported, path)

    def write_saved(model, metadata, path):
        path.mkdir()

    monkeypatch.setattr("keras_rawaudio.exporters.export.export_onnx", write_onnx)
    monkeypatch.setattr("keras_rawaudio.exporters.export.export_saved_model", write_saved)
    monkeypatch.setattr(web_page, "FOLDER", tmp_path / "web")
    with pytest.raises(UserError, match="make web"):
        export(run[0].path, tmp_path / "out", web=True)
    assert not (tmp_path / "out").exists()
    (tmp_path / "web").mkdir()
    (tmp_path / "web" / "index.html").write_text('<script type="module">run()</script>')
    (tmp_path / "web" / "ort.wasm.gz").write_bytes(b"wasm")
    export(run[0].path, tmp_path / "out", web=True)
    assert (
        '<script type="text/plain" id="generator.onnx">'
        in (tmp_path / "out" / "generator.html").read_text()
    )
    # A page of another model must not lie beside the new one.
    export(run[0].path, tmp_path / "out")
    assert {path.name for path in (tmp_path / "out").iterdir()} >= {"generator.onnx", "saved_model"}
    assert not (tmp_path / "out" / "generator.html").exists()
