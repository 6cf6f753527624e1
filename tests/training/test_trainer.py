"""What a training leaves behind, when it stops, and which of its models is which."""

import os
import re
import shutil
import signal

import keras
import numpy as np
import pytest
import soundfile
import tensorflow as tf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.util import tensor_util

from keras_rawaudio.data.corpus import CorpusSettings
from keras_rawaudio.errors import UserError
from keras_rawaudio.recipes import load_recipe, recipe_from_json
from keras_rawaudio.training import console, throughput, validation_policy
from keras_rawaudio.training.csv_log import read_log
from keras_rawaudio.training.model_files import load_model
from keras_rawaudio.training.resume import resume
from keras_rawaudio.training.run_folder import RunFolder
from keras_rawaudio.training.run_scores import evaluate
from keras_rawaudio.training.schedule import Budget
from keras_rawaudio.training.step import TrainingStep
from keras_rawaudio.training.train import train


@pytest.fixture
def often(monkeypatch):
    """A validation after every step."""
    monkeypatch.setattr(throughput, "LOOK_EVERY", 0.0)
    monkeypatch.setattr(validation_policy, "VALIDATION_SHARE", 1.0)
    return {"validate_every": 1e-9}


def scripted(made, values):
    """Let a trainer's validations give these values."""
    results = [{"loss": value, "bits_per_sample": value, "samples": 1} for value in values]
    made.validator.evaluator = iter(results).__next__


def predictions(model):
    x = np.arange(model.context + 64).reshape(1, -1) % 16
    return np.asarray(model(x, model.zero_state(1))[0])


def test_best_and_last(trainer, tiny, build, often):
    """Pitfall 14: a checkpoint predicts what its model did, and not what a fresh one does."""
    made = trainer(tiny(early_stopping=3, **often))
    seen = []
    scripted(made, [3.0, 2.0, 2.5, 2.009, 2.011, 1.0])
    scores = made.validator.evaluator
    made.validator.evaluator = lambda: seen.append(predictions(made.model)) or scores()
    assert made.fit()
    assert len(seen) == 5  # three without a new best end it
    assert made.validation.finished
    best, last = load_model(made.run, "best"), load_model(made.run, "last")
    np.testing.assert_array_equal(predictions(best), seen[3])  # as good as the second, and later
    np.testing.assert_array_equal(predictions(last), seen[4])
    fresh = predictions(build(made.recipe))
    for other in (fresh, seen[4]):
        assert np.abs(predictions(best) - other).max() > 1e-4
    logged = [row["bits_per_sample"] for row in made.validator.log.rows]
    assert logged == [3.0, 2.0, 2.5, 2.009, 2.011]


def test_a_run_stopped_early_stays_stopped(trainer, tiny, often, capsys):
    made = trainer(tiny(early_stopping=1, **often))
    scripted(made, [1.0, 2.0, 3.0])
    assert made.fit()
    steps = made.steps
    again = type(made)(made.run, made.recipe, made.corpus, made.model, made.budget, resume=True)
    assert again.fit()
    assert again.steps == steps
    assert "stopped early" in capsys.readouterr().err


def test_everything_is_left_behind(tmp_path, piece, cache, tiny, monkeypatch, capsys):
    """Pitfall 12: baselines beside the loss, in the log and on the console."""
    pytest.importorskip("keras_rawaudio.plots")
    monkeypatch.setattr(console.sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "80")
    recipe = tiny(sample_seconds=0.25)
    assert train([piece], tmp_path / "new" / "run", recipe, Budget(epochs=1), cache=cache)
    run = RunFolder.open(tmp_path / "new" / "run")
    names = sorted(p.name for p in run.path.rglob("*") if p.is_file())
    (events,) = [name for name in names if name.startswith("events.out.tfevents")]
    step = f"step-{run_steps(run):07d}"
    plain = ["best.keras", "last.keras", "learning_curve.png", "log.csv", "recipe.json"]
    plain += [
        "request.json",
        "run.json",
        "training_state.npz",
        "training_state.previous.npz",
        f"{step}.png",
        f"{step}.wav",
    ]
    assert names == sorted([*plain, events])
    row = read_log(run.log)[-1]
    beside = run.describe()["baselines"]
    assert row["baseline_order_0"] == pytest.approx(beside["order_0"])
    assert row["baseline_order_1"] == pytest.approx(beside["order_1"])
    printed = capsys.readouterr().err
    beside_it = r"bits(?: per sample)? \(order 0 [\d.]+, order 1 [\d.]+\)"
    assert re.search(r"\d:\d\d left  step \d+  \d+ k/s  train [\d.]+ " + beside_it, printed)
    assert re.search(r"step \d+  train [\d.]+  validation [\d.]+ " + beside_it, printed)
    report = evaluate(run.path, "validation")
    assert report["bits_per_sample"] == pytest.approx(row["bits_per_sample"], rel=1e-5)
    assert report["baselines"]["order_1"] == pytest.approx(beside["order_1"])


def run_steps(run):
    (wav,) = run.samples.glob("*.wav")
    return int(wav.stem.split("-")[1])


@pytest.mark.slow
def test_a_diverged_training_goes_on_at_a_lower_rate(tmp_path, piece, cache, tiny):
    recipe = tiny(noisy=True, optimizer="sgd", clip_norm=None)
    # Past what a recipe may set, so that it diverges for certain.
    reckless = recipe.training.model_copy(update={"learning_rate": 1e30})
    recipe = recipe.model_copy(update={"training": reckless})
    run = tmp_path / "run"
    with pytest.raises(UserError) as error:
        train([piece], run, recipe, Budget(epochs=1), cache=cache)
    found = re.search(
        r"diverged at step (\d+): loss (nan|inf), learning rate [\d.e+]+, gradient norm \S+; "
        r"the checkpoint of step 0 is kept: .* train --run \S+ --resume --learning-rate 5e\+29",
        str(error.value),
    )
    assert found
    assert resume(run, learning_rate=1e-3)
    assert np.isfinite(predictions(load_model(RunFolder(run), "last"))).all()
    assert RunFolder(run).read_recipe()["training"]["learning_rate"] == 1e-3


@pytest.mark.slow
def test_what_was_saved_before_a_failure_stays(trainer, tiny, often, monkeypatch):
    made = trainer(tiny(**often))
    learn, left = TrainingStep.__call__, iter([1.0, 1.0, float("nan")])
    monkeypatch.setattr(
        TrainingStep, "__call__", lambda *a: (next(left) * learn(*a)[0], keras.ops.ones(()))
    )
    with pytest.raises(UserError, match="diverged"):
        made.fit()
    for name in ("best", "last"):
        assert np.isfinite(predictions(load_model(made.run, name))).all()


@pytest.mark.parametrize("name", [None, pytest.param("renamed", marks=pytest.mark.slow)])
def test_a_folder_that_is_lost_is_not_half_made_anew(
    tmp_path, piece, cache, tiny, monkeypatch, name
):
    """A folder made anew could not be resumed: it had no run.json."""
    learn, steps, run = TrainingStep.__call__, [], tmp_path / "run"

    def step(*arguments):
        steps.append(1)
        if len(steps) == 2:
            os.rename(run, tmp_path / name) if name else shutil.rmtree(run)
            os.kill(os.getpid(), signal.SIGINT)
        return learn(*arguments)

    monkeypatch.setattr(TrainingStep, "__call__", step)
    with pytest.raises(UserError, match="removed or renamed while it was trained into"):
        train([piece], run, tiny(), Budget(epochs=1000), cache=cache)
    assert not run.exists()
    if name:
        assert resume(tmp_path / name, Budget(epochs=1))


def test_a_folder_that_was_there_stays(tmp_path, piece, cache, tiny, monkeypatch):
    (tmp_path / "run").mkdir()
    monkeypatch.setattr("keras_rawaudio.training.train.prepare", failing)
    with pytest.raises(RuntimeError):
        train([piece], tmp_path / "run", tiny(), Budget(epochs=1), cache=cache)
    assert list((tmp_path / "run").iterdir()) == []


def failing(*arguments):
    raise RuntimeError


def test_others_files_are_not_touched(tmp_path, piece, cache, tiny):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.txt").write_text("all of it")
    with pytest.raises(UserError, match="is not empty and holds no run"):
        train([piece], tmp_path / "run", tiny(), Budget(epochs=1), cache=cache)
    assert (tmp_path / "run" / "thesis.txt").read_text() == "all of it"


@pytest.mark.parametrize(
    "number",
    [
        signal.SIGINT,
        *(pytest.param(n, marks=pytest.mark.slow) for n in (signal.SIGTERM, signal.SIGHUP)),
    ],
)
def test_a_signal_ends_after_the_step_in_hand(trainer, monkeypatch, number):
    made = trainer(budget=Budget(epochs=1000))
    learn = TrainingStep.__call__

    def step(*arguments):
        if made.steps == 2:
            for _ in range(2):  # a terminal and what started the training may each send it
                os.kill(os.getpid(), number)
        return learn(*arguments)

    monkeypatch.setattr(TrainingStep, "__call__", step)
    before = signal.getsignal(number)
    assert not made.fit()
    assert made.steps == 3
    assert made.run.last.is_file()
    assert made.run.training_state.is_file()
    assert signal.getsignal(number) is before


@pytest.mark.skipif(not hasattr(signal, "SIGCONT"), reason="needs SIGCONT")
def test_time_in_which_the_process_stood_still_is_not_trained(trainer, monkeypatch):
    """After Ctrl-Z and fg an hour later, the budget of minutes is what it was."""
    made, calls = trainer(budget=Budget(minutes=0.2)), iter(range(10**9))

    def clock():
        call = next(calls)
        if call == 10:
            signal.raise_signal(signal.SIGCONT)
        return call + 3600.0 * (call >= 10)

    monkeypatch.setattr(throughput, "CLOCK", clock)
    assert made.fit()
    assert next(calls) > 20
    assert made.seconds < 30


def test_the_latest_model_is_kept_where_asked():
    """A model of codes generates better long after it predicts held-out codes worse."""
    losses = (3.0, 4.0, 5.0)
    for keep, kept in ((False, [True, False, False]), (True, [True, True, True])):
        policy = validation_policy.ValidationPolicy(every=1.0, patience=2, keep_latest=keep)
        assert [policy.accept(loss) for loss in losses] == kept
        assert policy.finished


def test_long_validations_become_rarer():
    policy = validation_policy.ValidationPolicy(every=0.5)
    assert policy.pause() == 30
    assert policy.pause(cost=5.0) == 30
    assert policy.pause(cost=60.0) == pytest.approx(240)  # a fifth of all time


@pytest.mark.slow
@pytest.mark.parametrize("noisy", [False, True])
def test_what_tensorboard_shows(trainer, tiny, noisy, capsys):
    """Curves, gradient norms, gates, audio and spectrograms; norms and baselines in the CSV, too.

    Pitfall 12: a squared error stands beside silence, the last sample and the last frame.
    """
    beside = {"zero": 1.0, "persistence": 2.0, "copy": 3.0} if noisy else {"order_0": 3.9}
    made = trainer(tiny(noisy, sample_seconds=2.0), baselines=beside)
    made.fit()
    printed = capsys.readouterr().err
    shown = EventAccumulator(str(made.run.tensorboard)).Reload()
    kinds = {t: shown.SummaryMetadata(t).plugin_data.plugin_name for t in shown.Tags()["tensors"]}
    gates = ["input", "forget", "output", "memory"] if noisy else ["update", "reset"]
    assert {t for t, kind in kinds.items() if kind == "histograms"} == {
        f"tier0_layer0/{name}" for name in [*gates, "candidate"]
    }
    assert kinds["generated"] == "audio"
    assert kinds["spectrogram"] == "images"
    row = made.validator.log.rows[-1]
    for name in ("gradient_norm", *(f"baseline_{name}" for name in beside)):
        assert kinds[name] == "scalars"
        assert row[name] > 0
    for name in ("saturated_gates/tier0_layer0", "saturated_activations/tier0_layer0"):
        (event,) = shown.Tensors(name)
        assert 0 <= tensor_util.make_ndarray(event.tensor_proto) <= 1
    assert all(f"{name.replace('_', ' ')} {value:.3g}" in printed for name, value in beside.items())


@pytest.mark.slow
def test_a_collapse_is_printed(trainer, tiny, monkeypatch, capsys):
    """The console shows that free running has turned to noise, and the log keeps it."""
    made = trainer(tiny(sample_seconds=4.0))
    rate = made.corpus.sample_rate
    noise = np.random.default_rng(0).normal(0, 0.1, (1, 4 * rate)).astype("float32")
    monkeypatch.setattr(made.validator.generation.sampler, "generate", lambda *args, **named: noise)
    made.fit()
    assert re.search(r"generates 4 s: noise from the start, tone", capsys.readouterr().err)
    assert made.validator.log.rows[-1]["verdict"] == "noise from the start"


@pytest.mark.slow
def test_windows_fit_a_short_piece(trainer, tiny, capsys):
    """Lanes of 1,600 samples: windows of 1,024 would leave a third of them, those of 800 none."""
    recipe = recipe_from_json(tiny().to_json() | {"data": {"length": 1024, "batch": 4}})
    made = trainer(recipe)
    assert made.plan.window == 800
    assert made.plan.unused_samples == 0
    assert made.fit()
    printed = capsys.readouterr().err
    assert "note: windows of 800 samples, not 1024" in printed
    assert "in no window" not in printed


def test_callbacks_get_each_validation(trainer, tiny, often):
    """An epoch of Keras is what lies between two validations; the files are there by its end."""

    calls = []

    class Notes(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            calls.append("begin")

        def on_epoch_end(self, epoch, logs=None):
            calls.append((epoch, logs["bits_per_sample"]))
            assert made.run.best.is_file()
            if len(calls) == 3:
                raise StopIteration

        def on_train_end(self, logs=None):
            calls.append("end")

    made = trainer(tiny(**often), callbacks=[Notes()])
    with pytest.raises(StopIteration):
        made.fit()
    rows = [(row["step"], row["bits_per_sample"]) for row in made.validator.log.rows]
    assert calls == ["begin", *rows, "end"]
    assert len(rows) == 2


def test_ctrl_c_in_the_last_step_loses_nothing(trainer, monkeypatch):
    """The budget is used, so the run counts as complete: its last validation has to be there."""
    made, taken = trainer(), []
    step = TrainingStep.__call__

    def stopped(self, *arguments):
        taken.append(1)
        made.interrupt.requested = len(taken) == made.plan.batches_per_epoch
        return step(self, *arguments)

    monkeypatch.setattr(TrainingStep, "__call__", stopped)
    assert made.fit()
    assert made.run.best.is_file()
    assert [row["step"] for row in made.validator.log.rows][-1] == made.steps == len(taken)


def test_audio_of_ones_home_is_found_again(tmp_path, piece, tiny, cache, monkeypatch):
    """The shell knows `~`; from Python it is in the path."""
    monkeypatch.setenv("HOME", str(piece.parent))
    run = tmp_path / "run"
    assert train([f"~/{piece.name}"], run, tiny(), Budget(epochs=1), cache=cache)
    assert RunFolder(run).read_request()["audio"] == [str(piece.resolve())]


def test_a_silent_validation_part_has_no_variance_to_explain(tmp_path, cache):
    audio = np.random.default_rng(0).normal(size=8000) / 9
    audio[5000:] = 0
    soundfile.write(tmp_path / "song.wav", audio, 2000)
    recipe = load_recipe("frame-gru", {"data.length": 250, "data.max_sample_rate": 2000})
    settings = CorpusSettings(trim=False)
    with pytest.raises(UserError, match="the validation part is silent"):
        train([tmp_path / "song.wav"], tmp_path / "run", recipe, Budget(epochs=1), settings, cache)
    assert not (tmp_path / "run").exists()


def test_the_state_of_all_rows_is_as_restored_until_replicas_have_it():
    """A run that has used its budget is saved again without a step."""
    step = object.__new__(TrainingStep)
    step.whole, step._is_spread = {"state": tf.Variable(3.0)}, False
    step.collect()
    assert step.whole["state"] == 3.0
