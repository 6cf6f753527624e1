"""From a file to revised audio by the commands: train, evaluate, compare, export, generate."""

import json

import numpy as np
import onnx
import pytest

from keras_rawaudio import api
from keras_rawaudio.cli import main
from keras_rawaudio.data.corpus.synthesis import write_demo_piece
from keras_rawaudio.errors import UserError
from keras_rawaudio.training.csv_log import read_log

pytestmark = pytest.mark.slow
SMALL = [
    "refiner.frame_size=10",
    "refiner.frames=8",
    "refiner.units=8",
    "data.length=160",
    "data.batch=4",
]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The run of a small refiner with a discriminator."""
    folder = tmp_path_factory.mktemp("refiner")
    piece = write_demo_piece(folder / "piece.wav", 4.0, 2000)
    words = ["--audio", str(piece), "--run", str(folder / "run"), "--cache", str(folder / "cache")]
    words += ["--recipe", "denoising-gan", "--epochs", "4", "--set", *SMALL]
    assert main(["train", *words]) == 0
    return folder / "run"


def test_the_log_has_both_losses_and_the_score_without_a_refiner(trained):
    row = read_log(trained / "log.csv")[-1]
    assert 0 < row["validation_generator_loss"] < 5
    assert 0 < row["validation_discriminator_loss"] < 5
    assert row["variance_unexplained"] < 2 * row["baseline_unrefined"]
    assert (trained / "report.html").is_file()


def test_evaluate_and_resume(trained, capsys):
    scores = api.evaluate(trained, "test")
    assert set(scores["baselines"]) == {"unrefined"}
    assert 0 < scores["variance_unexplained"] < 3
    assert main(["train", "--run", str(trained), "--resume", "--epochs", "5"]) == 0
    assert read_log(trained / "log.csv")[-1]["epoch"] == pytest.approx(5, abs=0.01)


def test_a_refiner_generates_nothing(trained):
    with pytest.raises(UserError, match="a refiner's run: it revises audio and generates none"):
        api.load(trained)


def test_exported_beside_a_generator_it_revises(trained, tmp_path, capsys):
    out = tmp_path / "exported"
    out.mkdir()
    (out / "generator.onnx").write_bytes(b"another export's")
    assert main(["export", "--run", str(trained), "--out", str(out)]) == 0
    names = {path.name for path in out.iterdir()}
    assert {"refiner.onnx", "refiner_saved_model", "generator.onnx"} <= names
    properties = onnx.load(out / "refiner.onnx").metadata_props
    described = json.loads({p.key: p.value for p in properties}["keras_rawaudio"])
    assert (described["kind"], described["sample_rate"]) == ("refiner", 2000)
    assert (described["hop"], described["delay"]) == (40, 40)

    from keras_rawaudio_serving.refiner import Refiner as ServedRefiner

    rng = np.random.default_rng(0)
    audio = rng.uniform(-0.5, 0.5, (2, 333)).astype("float32")
    blocks = np.split(audio, [100, 101, 250], axis=1)
    served = list(ServedRefiner(out / "refiner.onnx", 2000).stream(blocks))
    from keras_rawaudio.training.model_files import load_model
    from keras_rawaudio.training.run_folder import RunFolder

    model = load_model(RunFolder.open(trained))
    np.testing.assert_allclose(np.concatenate(served, axis=1), model.refine(audio), atol=1e-5)


@pytest.mark.parametrize("flag", ["--int8", "--web", "--overlap=2"])
def test_flags_of_generators_are_refused(trained, tmp_path, capsys, flag):
    assert main(["export", "--run", str(trained), "--out", str(tmp_path / "x"), flag]) == 2
    assert "this run is a refiner's" in capsys.readouterr().err
    assert not (tmp_path / "x").exists()
