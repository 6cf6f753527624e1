"""SampleRNN in PyTorch (deepsound-project), through the contract.

Changed while it runs, so that code for PyTorch 0.2 runs on today's: `Variable` is the identity, and
weight normalisation is folded into the weights before generating. The train part is quantised with
one scale, where the authors' loader scales each chunk by itself, so that levels stay the piece's.
The model, its steps and its generator are the authors'.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from typing import Any

import contract
import numpy as np
import torch
from torch_learning import learn

AUTHORS = {"frame_sizes": [16, 4], "n_rnn": 2, "dim": 1024, "batch": 128, "sequence": 1024}
SMALL = AUTHORS | {"dim": 256, "batch": 32}


class SampleRNN:
    """Tiers of 4, 16 and 64 samples, a softmax over 256 linear levels."""

    levels = "256 linear levels"

    def __init__(self, options: argparse.Namespace, parts: contract.Parts) -> None:
        torch.autograd.Variable = lambda tensor, volatile=False: tensor
        sys.path.insert(0, str(options.code))
        import model as authors
        import nn
        import optim
        import utils

        self.authors, self.utils, self.loss = authors, utils, nn.sequence_nll_loss_bits
        torch.manual_seed(options.random_seed)
        self.random = np.random.default_rng(options.random_seed)
        values = AUTHORS if options.size == "authors" else SMALL
        self.batch, self.sequence = values["batch"], values["sequence"]
        self.model = authors.SampleRNN(
            values["frame_sizes"],
            values["n_rnn"],
            values["dim"],
            learn_h0=True,
            q_levels=contract.LEVELS,
            weight_norm=True,
        )
        self.device = options.learn_on
        self.predictor = authors.Predictor(self.model.to(self.device))
        self.optimizer = optim.gradient_clipping(torch.optim.Adam(self.predictor.parameters()))
        self.low, self.high = float(parts.train.min()), float(parts.train.max())
        chunks = parts.chunks_of_batch(self.batch)
        self.chunks = self._codes(chunks.reshape(-1)).reshape(chunks.shape)
        self.validation, self.test = (
            self._codes(np.clip(part, self.low, self.high))
            for part in (parts.validation, parts.test)
        )
        self.parameters = sum(p.numel() for p in self.model.parameters())
        self.settings = values | {
            "optimizer": "Adam, 0.001, each gradient clipped to 1",
            "chunk_seconds": chunks.shape[1] / parts.rate,
            "temperature": 1.0,
            "changed": "" if options.size == "authors" else "dim 1024 to 256, batch 128 to 32",
        }

    def learn(self, minutes: float) -> dict[str, float | None]:
        batches = self._batches()

        def step() -> int:
            inputs, reset, targets = next(batches)

            def closure() -> Any:
                loss = self._bits(inputs, reset, targets)
                loss.backward()
                return loss

            self.optimizer.zero_grad(set_to_none=False)  # as PyTorch 0.2 did
            self.optimizer.step(closure)
            return targets.numel()

        def bits() -> float:
            kept = self.predictor.hidden_states
            found = self._bits_of(self.validation)
            self.predictor.hidden_states = kept
            return found

        learned = learn(self.model, step, bits, minutes, self.device)
        self.device = "cpu"
        return learned

    def test_bits(self) -> float:
        return self._bits_of(self.test)

    def generator(self, streams: int) -> contract.Generator:
        for module in self.model.modules():
            if hasattr(module, "weight_g"):
                torch.nn.utils.remove_weight_norm(module)
        draw = self.authors.Generator(self.model)

        def generate(samples: int) -> np.ndarray:
            with torch.no_grad():
                codes = draw(streams, samples).numpy()
            return self.low + (codes + 0.5) / contract.LEVELS * (self.high - self.low)

        return generate

    @torch.no_grad()
    def _bits_of(self, codes: torch.Tensor) -> float:
        """Of whole sequences, state carried; what is left over is not scored."""
        padded = self._padded(codes[None])
        total, count = 0.0, 0
        for start in range(0, len(codes) - self.sequence + 1, self.sequence):
            read = padded[:, start : start + self.model.lookback + self.sequence]
            targets = read[:, self.model.lookback :].contiguous()
            total += float(self._bits(read[:, :-1], start == 0, targets))
            count += 1
        return total / count

    def _bits(self, inputs: torch.Tensor, reset: bool, targets: torch.Tensor) -> Any:
        """Per sample, in the mean."""
        predicted = self.predictor(inputs.to(self.device), reset)
        return self.loss(predicted, targets.to(self.device))

    def _batches(self) -> Iterator[tuple[Any, bool, Any]]:
        """Rows of chunks in random order, a sequence at a time; the first of a chunk resets."""
        lookback = self.model.lookback
        while True:
            order = self.random.permutation(len(self.chunks))
            for first in range(0, len(order) - self.batch + 1, self.batch):
                rows = self._padded(self.chunks[order[first : first + self.batch]])
                # Ends in a whole number of the slowest tier's frames.
                for start in range(0, (rows.shape[1] // lookback - 1) * lookback, self.sequence):
                    codes = rows[:, start : start + lookback + self.sequence]
                    codes = codes[:, : codes.shape[1] // lookback * lookback]
                    yield codes[:, :-1], start == 0, codes[:, lookback:].contiguous()

    def _padded(self, codes: torch.Tensor) -> torch.Tensor:
        zero = self.utils.q_zero(contract.LEVELS)
        return torch.nn.functional.pad(codes, (self.model.lookback, 0), value=zero)

    def _codes(self, audio: np.ndarray) -> torch.Tensor:
        """By the authors' quantiser, with the lowest and highest of the train part as its scale."""
        ends = np.array([self.low, self.high], np.float32)
        scaled = torch.from_numpy(np.concatenate([audio, ends]).astype(np.float32))
        return self.utils.linear_quantize(scaled, contract.LEVELS)[:-2]


if __name__ == "__main__":
    contract.main(SampleRNN, ("torch",))
