"""PRiSM SampleRNN, through the contract.

It needs Keras 2, which `tf_keras` is for TensorFlow 2.16. Model, data pipeline, training step and
sampling are the authors'; the loop around the steps is ours, so that they end by the clock.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
from typing import Any

os.environ["TF_USE_LEGACY_KERAS"] = "1"

import contract
import numpy as np
import soundfile
import tensorflow as tf

AUTHORS = {
    "frame_sizes": [16, 64],
    "dim": 1024,
    "rnn_type": "gru",
    "num_rnn_layers": 4,
    "q_type": "mu-law",
    "q_levels": contract.LEVELS,
    "emb_size": 256,
    "seq_len": 1024,
    "skip_conn": False,
    "rnn_dropout": 0.0,
}
SMALL = AUTHORS | {"dim": 256, "num_rnn_layers": 1}
BATCH = {"authors": 64, "small": 32}
TEMPERATURE = 0.95


class Prism:
    """Tiers of 16 and 64 samples, a softmax over 256 mu-law levels."""

    levels = "256 mu-law levels"

    def __init__(self, options: argparse.Namespace, parts: contract.Parts) -> None:
        sys.path.insert(0, str(options.code))
        from dataset import get_dataset
        from samplernn import SampleRNN

        random.seed(options.random_seed)
        tf.random.set_seed(options.random_seed)
        self.make, self.test = SampleRNN, parts.test
        self.config = AUTHORS if options.size == "authors" else SMALL
        batch = BATCH[options.size]
        self.model = self._model(batch)
        self.model.compile(
            optimizer=tf.keras.optimizers.Adam(learning_rate=0.001, epsilon=1e-4),
            loss=tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        )
        chunks = parts.chunks_of_batch(batch)
        folder = options.out / "chunks"
        folder.mkdir(exist_ok=True)
        files = [str(folder / f"{number}.wav") for number in range(len(chunks))]
        for file, chunk in zip(files, chunks, strict=True):
            soundfile.write(file, chunk, parts.rate, "FLOAT")
        self.batches = iter(
            get_dataset(
                files,
                num_epochs=10**6,
                batch_size=batch,
                seq_len=self.config["seq_len"],
                overlap=self.model.big_frame_size,
                drop_remainder=True,
                q_type="mu-law",
            )
        )
        self.parameters = sum(int(np.prod(w.shape)) for w in self.model.trainable_weights)
        small = "dim 1024 to 256, layers 4 to 1, batch 64 to 32"
        self.settings = self.config | {
            "batch": batch,
            "optimizer": "Adam, 0.001, epsilon 1e-4, gradient norm clipped to 5",
            "chunk_seconds": chunks.shape[1] / parts.rate,
            "temperature": TEMPERATURE,
            "changed": "" if options.size == "authors" else small,
        }

    def learn(self, minutes: float) -> dict[str, float | None]:
        def step() -> int:
            x, y = next(self.batches)
            float(self.model.train_step((x, y))["loss"])
            return int(np.prod(y.shape))

        return contract.learn_by_steps(step, minutes)

    def test_bits(self) -> float:
        """Of whole sequences of the test part, state carried; what is left over is not scored."""
        model = self._trained(1)
        context, length = model.big_frame_size, self.config["seq_len"]
        codes = contract.mu_law_codes(self.test)
        padded = np.pad(codes, (context, 0), constant_values=contract.LEVELS // 2)
        logits_of = tf.function(lambda x: model(x, training=True))
        total, count = 0.0, 0
        for start in range(0, len(codes) - length + 1, length):
            x = padded[None, start : start + context + length, None].astype(np.int32)
            logits = tf.reshape(logits_of(tf.constant(x)), [-1, contract.LEVELS])
            nats = tf.nn.sparse_softmax_cross_entropy_with_logits(x[0, context:, 0], logits)
            total, count = total + float(tf.reduce_sum(nats)), count + length
        return float(total / count / np.log(2))

    def generator(self, streams: int) -> contract.Generator:
        model = self._trained(streams)
        nothing = tf.fill([streams, model.big_frame_size, 1], contract.LEVELS // 2)
        temperature = tf.constant(np.full((streams, 1), TEMPERATURE))

        def generate(samples: int) -> np.ndarray:
            model.reset_rnn_states()
            frame, frames = nothing, []
            for _ in range(-(-samples // model.big_frame_size)):
                frame = model(frame, training=False, temperature=temperature)
                frames.append(frame.numpy()[:, :, 0])
            return contract.mu_law_audio(np.concatenate(frames, axis=1))

        generate(1)  # compiles
        return generate

    def _model(self, batch: int) -> Any:
        """Built, with fresh weights: a stateful model has a fixed batch."""
        model = self.make(batch_size=batch, **self.config)
        samples = self.config["seq_len"] + model.big_frame_size
        model(np.zeros((batch, samples, 1), np.int32))
        model.reset_rnn_states()
        return model

    def _trained(self, batch: int) -> Any:
        model = self._model(batch)
        for to, weight in zip(model.trainable_weights, self.model.trainable_weights, strict=True):
            to.assign(weight)
        return model


if __name__ == "__main__":
    contract.main(Prism, ("tensorflow-cpu", "tf_keras"))
