"""The experiments of 2016, from training to the sampler: what can be laid over a frame recipe."""

import json

import numpy as np
import pytest
import soundfile

from keras_rawaudio.cli import main
from keras_rawaudio.data.corpus.synthesis import write_demo_piece

RATE = 2000
SMALL = "tiers.0.units=8 tiers.0.layers=1 tiers.0.frame_size=32 data.length=256 data.batch=4"
# Between them: each codec, each cost, averaging or not, each form of a spectrum, the convnet.
CASES = {
    "minmax": ("frame-gru", "codec.name=minmax head.cost=huber"),
    "peak": ("frame-gru", "codec.name=peak"),
    "standardize": ("frame-gru", "head.span=128 head.window=triangle"),
    "costs": ("frame-gru", "head.span=64 head.cost={squared:1.0,spectral:0.1}"),
    "mixture": ("frame-mixture", "head.num_mixtures=3"),
    "parts": ("frame-gru", "head={kind:spectrum,form:parts,span:64}"),
    "polar, convnet": (
        "frame-spectrum",
        "tiers.0.window=160 tiers.0.spectrum={size:64,hop:32,relative:true,filters:2} head.span=64",
    ),
    "picture": (
        "frame-gru",
        "tiers.0.window=64 tiers.0.spectrum={size:64,hop:32,form:picture,filters:2} "
        "tiers.0.activation_noise=hard tiers.0.forget_bias=1 training.weight_noise=0.01",
    ),
    "amplitude": (
        "frame-gru",
        "tiers.0.window=64 tiers.0.spectrum={size:64,hop:32} "
        "head={kind:spectrum,form:amplitude,span:128,iterations:2}",
    ),
    "noisy gru": ("noisy-gru", ""),
    "noisy tanh lstm": ("noisy-tanh-lstm", ""),
    "noisy gates": ("noisy-lstm", ""),
    "binary gates": ("binary-lstm", ""),
    "memories": ("memory-lstm", "head.hidden_units=8"),
    "gan": ("frame-gan", "head.hidden_units=8"),
    "gan against noise": ("noise-gan", "head.hidden_units=8"),
    "draw": ("frame-draw", "head.hidden_units=8 head.steps=2 head.filters=4"),
    "flow": ("frame-flow", "head.filters=4 head.couplings=2"),
}
BITS = {"mixture", "draw", "flow"}
CHANCE = {*BITS, "gan", "gan against noise"}


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    write_demo_piece(home / "song.wav", 4.0, RATE)
    return home


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_train_export_evaluate_generate(home, case, capfd):
    from keras_rawaudio_serving import Sampler

    recipe, words = CASES[case]
    values = [word.replace(":", ": ") for word in f"{SMALL} {words}".split()]
    run = home / case
    command = f"train --audio {home}/song.wav --cache {home}/cache --recipe {recipe} --epochs 2"
    command += " --sample-seconds 0 --run"
    assert main([*command.split(), str(run), "--set", *values]) == 0
    capfd.readouterr()
    assert main(["evaluate", "--json", "--run", str(run)]) == 0
    report = json.loads(capfd.readouterr().out)
    measure = "bits_per_sample" if case in BITS else "variance_unexplained"
    assert 0 < report[measure] < 20
    assert main(["export", "--run", str(run), "--out", str(run / "exported")]) == 0
    sampler = Sampler.load(run / "exported" / "generator.onnx", streams=2, random_seed=1)
    piece, _ = soundfile.read(home / "song.wav", dtype="float32")
    sampler.prime(piece[:501])
    audio = sampler.generate(1.0015)
    assert audio.shape == (2, round(1.0015 * RATE))  # no multiple of a frame
    assert np.std(audio) > 1e-4
    # Noise is an input: a regression has none, the others draw each stream for itself.
    first, second = audio[:, :32]
    assert np.allclose(first, second, atol=1e-3) == (case not in CHANCE)
