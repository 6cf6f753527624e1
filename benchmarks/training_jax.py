"""How fast the model learns on Keras' JAX backend, a GPU if JAX has one: one JSON line.

python benchmarks/training_jax.py --recipe raw

The same step as `training.py`: forward, truncated backpropagation, clipping and the optimizer,
compiled as one. It needs JAX and Keras, and no TensorFlow. Training itself runs on TensorFlow.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from typing import Any

os.environ["KERAS_BACKEND"] = "jax"

import numpy as np
from common import PIECE_SECONDS, load_sample_recipe, print_line


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--recipe", default="raw")
    parser.add_argument("--rows", type=int, nargs="+", help="of the batch (the recipe's)")
    parser.add_argument("--steps", type=int, default=50)
    return parser


def main(options: argparse.Namespace) -> None:
    import jax
    import keras

    from keras_rawaudio.data.codecs import fit_codec
    from keras_rawaudio.data.corpus.synthesis import synthesise
    from keras_rawaudio.models import AudioModel

    recipe = load_sample_recipe(options.recipe)
    piece = synthesise(PIECE_SECONDS, 16_000)
    codec = fit_codec(parts={"train": lambda: iter([piece])}, **recipe.codec.model_dump())
    described = recipe.to_json()
    model = AudioModel(described["tiers"], described["head"], codec.to_json())
    model.head.fit([codec.encode(piece)])
    window, settings = recipe.data.length, recipe.training
    random = np.random.default_rng(0)
    for rows in options.rows or [recipe.data.batch]:
        audio = random.normal(size=(rows, model.context + window + 1)).astype(np.float32) / 10
        values = model.codec.encode(audio)
        x, y = values[:, :-1], values[:, -window:]
        state = model.zero_state(rows)
        optimizer = keras.optimizers.Adam(1e-4, global_clipnorm=settings.clip_norm)
        model(x, state, training=True)
        optimizer.build(model.trainable_variables)

        def loss_of(weights: Any, others: Any, state: Any, x: Any = x, y: Any = y) -> Any:
            mapping = [
                *zip(model.trainable_variables, weights, strict=True),
                *zip(model.non_trainable_variables, others, strict=True),
            ]
            with keras.StatelessScope(state_mapping=mapping) as scope:
                prediction, after = model(x, state, training=True)
                loss = keras.ops.mean(model.head.loss(prediction, model.target(x, y)))
                left = [scope.get_current_value(v) for v in model.non_trainable_variables]
            others = [old if new is None else new for old, new in zip(others, left, strict=True)]
            return loss, (others, jax.lax.stop_gradient(after))

        @jax.jit
        def step(
            weights: Any, others: Any, slots: Any, state: Any, optimizer: Any = optimizer
        ) -> Any:
            graded = jax.value_and_grad(loss_of, has_aux=True)
            (loss, (others, state)), gradients = graded(weights, others, state)
            weights, slots = optimizer.stateless_apply(slots, gradients, weights)
            return weights, others, slots, state, loss

        kept = (
            [v.value for v in model.trainable_variables],
            [v.value for v in model.non_trainable_variables],
            [v.value for v in optimizer.variables],
            state,
        )
        begin = time.perf_counter()
        *kept, loss = step(*kept)
        first = float(loss)
        compiling = time.perf_counter() - begin
        for _ in range(3):
            *kept, loss = step(*kept)
        float(loss)
        begin = time.perf_counter()
        for _ in range(options.steps):
            *kept, loss = step(*kept)
        last = float(loss)
        seconds = (time.perf_counter() - begin) / options.steps
        print_line(
            {
                "benchmark": "training_jax",
                "recipe": recipe.name,
                "device": jax.devices()[0].device_kind,
                "batch": rows,
                "window": window,
                "samples_per_second": round(rows * window / seconds),
                "milliseconds_per_step": round(1e3 * seconds, 2),
                "compile_seconds": round(compiling, 1),
                "first_loss": round(first, 4),
                "last_loss": round(last, 4),
                "versions": {"jax": jax.__version__, "keras": keras.__version__},
            }
        )


if __name__ == "__main__":
    main(arguments().parse_args())
    sys.exit(0)
