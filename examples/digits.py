"""The warm-up of 2016: an MLP that reads handwritten digits, trained by the package's own step.

python examples/digits.py

The digits are scikit-learn's, which has them on board (`pip install scikit-learn`). What audio
needs around a step (windows, carried state, listening) is left out. The step itself with its
clipping and averaged weights, the optimizers, the settings and the schedule of the learning rate
are those that train a generator.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

# The package of this checkout, installed or not.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import keras
from keras import ops

from keras_rawaudio.recipes import TrainingSettings
from keras_rawaudio.training.schedule import learning_rate
from keras_rawaudio.training.step import TrainingStep
from keras_rawaudio.training.trainer import OPTIMIZERS

BATCH = 32
SETTINGS = TrainingSettings(
    optimizer="rmsprop", learning_rate=2e-3, early_stopping=10, average=0.99, weight_decay=0.01
)


class CrossEntropy:
    """A head that has nothing to draw."""

    def loss(self, prediction: Any, target: Any) -> Any:
        """Nats of each picture."""
        return keras.losses.sparse_categorical_crossentropy(target, prediction, from_logits=True)


class Digits(keras.Model):
    """An MLP as `TrainingStep` wants its models: a pure function, here of no state at all.

    Args:
        units: width of the hidden layer.
    """

    tiers: tuple[Any, ...] = ()

    def __init__(self, units: int = 64) -> None:
        super().__init__()
        self.hidden = keras.layers.Dense(units, activation="relu")
        self.logits = keras.layers.Dense(10)
        self.head = CrossEntropy()
        self.hidden.build((None, 64))
        self.logits.build((None, units))
        self.built = True

    def state_spec(self) -> dict[str, tuple[int, ...]]:
        """No state is carried from one batch to the next."""
        return {}

    def target(self, x: Any, y: Any) -> Any:
        """The digit."""
        return y

    def call(self, x: Any, state: dict[str, Any], training: bool = False) -> Any:
        return self.logits(self.hidden(x)), state


def split() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Pictures `(n, 64)` and digits `(n,)` by part, in shuffled order, scaled by the train part."""
    from sklearn.datasets import load_digits

    pictures, digits = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(digits))
    first, second = int(0.8 * len(order)), int(0.9 * len(order))
    mean, scale = pictures[order[:first]].mean(), pictures[order[:first]].std()
    pictures = ((pictures - mean) / scale).astype(np.float32)
    parts = np.split(order, [first, second])
    names = ("train", "validation", "test")
    return {name: (pictures[p], digits[p]) for name, p in zip(names, parts, strict=True)}


def score(model: Digits, part: tuple[np.ndarray, np.ndarray]) -> tuple[float, float]:
    """Mean loss in nats, and the share of digits that are read right."""
    logits, _ = model(part[0], {})
    loss = float(ops.mean(model.head.loss(logits, part[1])))
    return loss, float((ops.convert_to_numpy(logits).argmax(axis=1) == part[1]).mean())


def train(epochs: int = 200, seed: int = 0) -> dict[str, Any]:
    """Train until the validation part has been no better for ten epochs.

    Args:
        epochs: at most so many.
        seed: of weights and order.

    Returns:
        `epochs` that it took, `stopped_early`, and `test_loss` and `test_accuracy` of the best.
    """
    parts = split()
    keras.utils.set_random_seed(seed)
    random = np.random.default_rng(seed)
    model = Digits()
    optimizer = OPTIMIZERS[SETTINGS.optimizer](weight_decay=SETTINGS.weight_decay)
    step = TrainingStep(model, optimizer, BATCH, SETTINGS.clip_norm, average=SETTINGS.average)
    pictures, digits = parts["train"]
    steps_an_epoch = len(digits) // BATCH
    nothing = {"reset": np.zeros(BATCH, bool), "position": np.zeros(BATCH, np.int64)}
    best, since_best, weights, steps = float("inf"), 0, model.get_weights(), 0
    while since_best < (SETTINGS.early_stopping or epochs) and steps < epochs * steps_an_epoch:
        for rows in random.permutation(len(digits))[: steps_an_epoch * BATCH].reshape(-1, BATCH):
            rate = learning_rate(SETTINGS, steps / (epochs * steps_an_epoch), steps)
            step({"x": pictures[rows], "y": digits[rows], **nothing}, rate)
            steps += 1
        with step.averaged():
            loss, right = score(model, parts["validation"])
            print(f"epoch {steps // steps_an_epoch}: validation {loss:.3f} nats, {right:.1%} right")
            since_best += 1
            if loss < best:
                best, since_best, weights = loss, 0, model.get_weights()
    model.set_weights(weights)
    loss, right = score(model, parts["test"])
    return {
        "epochs": steps // steps_an_epoch,
        "stopped_early": since_best == SETTINGS.early_stopping,
        "test_loss": round(loss, 4),
        "test_accuracy": round(right, 4),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--epochs", type=int, default=200, help="at most (200)")
    parser.add_argument("--seed", type=int, default=0, help="of weights and order (0)")
    print(json.dumps(train(**vars(parser.parse_args()))))
