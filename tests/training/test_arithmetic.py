"""Full 32 bits, whatever the machine and Keras are set to."""

import keras
import pytest
import tensorflow as tf

from keras_rawaudio.errors import UserError
from keras_rawaudio.training.build import require_float32
from keras_rawaudio.training.csv_log import read_log
from keras_rawaudio.training.model_files import load_model
from keras_rawaudio.training.resume import resume
from keras_rawaudio.training.run_folder import RunFolder
from keras_rawaudio.training.schedule import Budget
from keras_rawaudio.training.train import train


def test_tf32_is_off_in_training_and_in_what_reads_a_model(tmp_path, tiny):
    """Before anything is read."""
    config = tf.config.experimental
    try:
        for begin in (
            lambda: train(["nowhere.wav"], tmp_path / "run", tiny(), Budget(epochs=1)),
            lambda: resume(tmp_path / "run"),
            lambda: load_model(RunFolder(tmp_path / "run")),
        ):
            config.enable_tensor_float_32_execution(True)
            with pytest.raises(UserError):
                begin()
            assert not config.tensor_float_32_execution_enabled()
    finally:
        config.enable_tensor_float_32_execution(False)


def test_mixed_precision_is_refused_before_the_work(tmp_path, piece, cache, tiny):
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        with pytest.raises(UserError, match="set to mixed_float16, and these models are tested in"):
            train([piece], tmp_path / "run", tiny(), Budget(epochs=1), cache=cache)
    finally:
        keras.config.set_dtype_policy(policy)
    assert not (tmp_path / "run").exists()


def test_another_backend_is_refused(monkeypatch):
    monkeypatch.setattr(keras.config, "backend", lambda: "jax")
    with pytest.raises(UserError, match="Keras runs on jax; set KERAS_BACKEND=tensorflow"):
        require_float32()


def test_a_step_is_made_as_the_recipe_says(trainer, tiny):
    recipe = tiny(
        clip_norm=0.3, average=0.9, weight_noise=0.02, weight_decay=0.01, optimizer="rmsprop"
    )
    step = trainer(recipe).step
    assert (step.clip_norm, step.average, step.weight_noise) == (0.3, 0.9, 0.02)
    assert type(step.optimizer) is keras.optimizers.RMSprop
    assert step.optimizer.weight_decay == 0.01


@pytest.mark.parametrize("compiled", [False, True])
def test_xla_compiles_the_step_where_the_recipe_says(trainer, tiny, compiled, monkeypatch):
    asked, function = [], tf.function

    def watched(*args, **options):
        asked.append(options.get("jit_compile"))
        return function(*args, **options)

    monkeypatch.setattr(tf, "function", watched)
    trainer(tiny(jit_compile=compiled))
    assert (True in asked) is compiled


@pytest.mark.slow
def test_xla_takes_the_steps_that_tensorflow_takes(tmp_path, piece, cache, tiny):
    losses = []
    for compiled in (False, True):
        run = RunFolder(tmp_path / str(compiled))
        recipe = tiny(jit_compile=compiled)
        train([piece], run.path, recipe, Budget(epochs=1), cache=cache)
        losses.append([row["validation_loss"] for row in read_log(run.log)])
    assert losses[1] == pytest.approx(losses[0], rel=1e-4)
