"""The refiner: it reads both ways, starts as the identity, and streams what it gives offline."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from keras_rawaudio.models import Refiner

CODEC = {"name": "standardize", "mean": 0.05, "std": 0.3}
SMALL = {"frame_size": 4, "frames": 6, "units": 5, "corruption": {"noise": 0.5, "dropped": 0.1}}


def made(**options):
    """A refiner whose weights are far from their start."""
    keras.utils.set_random_seed(0)
    model = Refiner(CODEC, **{**SMALL, **options})
    rng = np.random.default_rng(0)
    for weight in model.trainable_weights:
        weight.assign(ops.convert_to_numpy(weight) + 0.2 * rng.normal(size=weight.shape))
    return model


def audio(rows, samples):
    return np.random.default_rng(1).uniform(-0.7, 0.7, (rows, samples)).astype("float32")


def test_untrained_it_gives_back_what_it_reads():
    x = audio(2, 61)
    np.testing.assert_allclose(Refiner(CODEC, **SMALL).refine(x), x, atol=1e-6)


def test_each_output_depends_on_what_comes_before_and_after_it():
    model, x = made(), audio(1, 24)
    plain = ops.convert_to_numpy(model.restore(x))
    for changed in (0, 23):
        other = x.copy()
        other[0, changed] += 0.5
        assert np.abs(ops.convert_to_numpy(model.restore(other)) - plain)[0, 12] > 1e-5


def test_windows_and_rows_do_not_mix():
    model, x = made(), audio(3, 48)
    whole = ops.convert_to_numpy(model.restore(x))
    one = ops.convert_to_numpy(model.restore(x[1:2, 24:]))
    np.testing.assert_allclose(one, whole[1:2, 24:], atol=1e-6)


@pytest.mark.parametrize("overlap", [1, 2, 3])
def test_hop_by_hop_is_the_whole_at_once_later_by_the_delay(overlap):
    model, x = made(overlap=overlap), audio(2, 96)
    state = {
        name: ops.full((2, *shape), fill)
        for name, (shape, fill) in model.generator_state_spec().items()
    }
    parts = []
    for start in range(0, 96, model.hop):
        part, state = model.advance(x[:, start : start + model.hop], state)
        parts.append(ops.convert_to_numpy(part))
    streamed, whole = np.concatenate(parts, axis=1), model.refine(x)
    delay = model.delay
    assert delay == model.span - model.hop
    np.testing.assert_allclose(streamed[:, delay:], whole[:, : 96 - delay], atol=1e-6)


def test_a_file_gives_it_back_whole(tmp_path):
    model = made(adversarial=0.1, cell="lstm", layers=1)
    model.save(tmp_path / "refiner.keras")
    again = keras.saving.load_model(tmp_path / "refiner.keras")
    assert again.get_config() == model.get_config()
    x = audio(2, 50)
    np.testing.assert_array_equal(again.refine(x), model.refine(x))


def test_one_loss_moves_each_player_by_its_own():
    """The discriminator learns from its loss alone, the refiner from error and generator loss."""
    model, x = made(adversarial=0.3), audio(2, 24)
    own = [w.value for w in model.discriminator.trainable_weights]
    others = [w.value for w in [*model.stack.trainable_weights, *model.correction.weights]]

    def gradients(value):
        with tf.GradientTape() as tape:
            prediction, _ = model(x, {})
            loss = tf.reduce_mean(value(prediction))
        return tape.gradient(loss, [*own, *others])

    whole = gradients(lambda p: model.head.loss(p, x))
    players = gradients(lambda p: model.head.terms(p, x)["discriminator_loss"])
    refiner = gradients(
        lambda p: model.head.score(p, x) + 0.3 * model.head.terms(p, x)["generator_loss"]
    )
    assert players[len(own) :] == [None] * len(others)
    assert refiner[: len(own)] == [None] * len(own)
    for a, b in zip(whole, [*players[: len(own)], *refiner[len(own) :]], strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


@pytest.mark.slow
def test_keras_fit_lowers_the_error():
    keras.utils.set_random_seed(0)
    model = Refiner(CODEC, **{**SMALL, "units": 16})
    x = np.sin(0.4 * np.arange(24) + np.arange(32)[:, None]).astype("float32")
    batch = {"x": x, "y": x, "reset": np.zeros(32, bool), "position": np.zeros(32, "int64")}
    data = tf.data.Dataset.from_tensors((batch, batch["y"])).repeat()
    model.compile(keras.optimizers.RMSprop(3e-3), rows=32)
    losses = model.fit(data, steps_per_epoch=40, epochs=3, shuffle=False, verbose=0).history["loss"]
    assert losses[-1] < 0.8 * losses[0]


def test_an_overlap_that_does_not_divide_is_refused():
    with pytest.raises(ValueError, match="6 frames do not divide into an overlap of 4"):
        Refiner(CODEC, **{**SMALL, "overlap": 4})
