"""SaShiMi (state-spaces), through the contract.

The model is the authors' stand-alone one with its plain PyTorch kernels: no extension is compiled.
The Cauchy kernel is computed again in the backward pass, so that sequences of this length fit.
Loop, embedding and output layer are ours, as the authors' configuration describes them. PyTorch
Lightning, of which the model's file takes a decorator for its log, is replaced by that decorator.
"""

from __future__ import annotations

import argparse
import sys
import types
from typing import Any

import contract
import numpy as np
import torch
from torch.utils.checkpoint import checkpoint
from torch_learning import learn

AUTHORS = {"d_model": 64, "n_layers": 8, "pool": [4, 4], "expand": 2, "ff": 2}
SMALL = AUTHORS | {"n_layers": 2}
STATE_SPACE_RATE = {"dt": 0.001, "A": 0.001, "B": 0.001}
# Of YouTubeMix, in samples. A sequence is a whole number of the slowest tier's frames.
BATCH, LENGTH = {"authors": 1, "small": 8}, {"authors": 131_072, "small": 8_000}
SMALLER = "layers 8 to 2, sequences 131072 to 8000, batch 1 to 8"
SHORTER = 4  # on a GPU: as many samples per step, at a fourth of the plain kernels' cost
ZERO = contract.LEVELS // 2


class Sashimi:
    """State-space layers at three rates, a softmax over 256 mu-law levels."""

    levels = "256 mu-law levels"

    def __init__(self, options: argparse.Namespace, parts: contract.Parts) -> None:
        lightning, utilities = types.ModuleType("pytorch_lightning"), types.ModuleType("utilities")
        utilities.rank_zero_only = lambda function: function
        sys.modules |= {"pytorch_lightning": lightning, "pytorch_lightning.utilities": utilities}
        sys.path.insert(0, str(options.code))
        from models.s4 import s4
        from models.sashimi.sashimi import Sashimi as Backbone

        plain = s4.cauchy_naive
        s4.cauchy_naive = lambda *tensors: checkpoint(plain, *tensors, use_reentrant=False)
        torch.manual_seed(options.random_seed)
        self.random = np.random.default_rng(options.random_seed)
        shortest = min(map(len, (parts.train, parts.validation, parts.test)))
        if shortest < LENGTH[options.size]:
            raise ValueError(f"each part must have {LENGTH[options.size]} samples: give more audio")
        values = AUTHORS if options.size == "authors" else SMALL
        self.device = options.learn_on
        self.batch, self.length = BATCH[options.size], LENGTH[options.size]
        changed = [] if options.size == "authors" else [SMALLER]
        if self.device == "cuda" and options.size == "authors":
            self.batch, self.length = SHORTER * self.batch, self.length // SHORTER
            changed.append(f"sequences 131072 to {self.length}, batch 1 to {self.batch}")
        self.train, self.validation, self.test = map(
            contract.mu_law_codes, (parts.train, parts.validation, parts.test)
        )
        self.embedding = torch.nn.Embedding(contract.LEVELS, values["d_model"])
        self.backbone = Backbone(**values, lr=STATE_SPACE_RATE)
        self.output = torch.nn.Linear(values["d_model"], contract.LEVELS)
        self.module = torch.nn.ModuleList([self.embedding, self.backbone, self.output])
        weights = list(self.module.to(self.device).parameters())
        self.optimizer = torch.optim.AdamW(
            [{"params": [w], "lr": getattr(w, "_optim", {}).get("lr", 0.004)} for w in weights],
            weight_decay=0.0,
        )
        self.parameters = sum(w.numel() for w in weights)
        self.settings = values | {
            "batch": self.batch,
            "sequence": self.length,
            "optimizer": "AdamW, 0.004 (state-space parameters 0.001)",
            "temperature": 1.0,
            "changed": "; ".join(changed),
        }

    def learn(self, minutes: float) -> dict[str, float | None]:
        def step() -> int:
            starts = self.random.integers(0, len(self.train) - self.length, self.batch)
            codes = torch.from_numpy(np.stack([self.train[s : s + self.length] for s in starts]))
            loss = self._nats(codes).mean()
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            return codes.numel()

        def bits() -> float:
            return self._bits_of(self.validation)

        learned = learn(self.module, step, bits, minutes, self.device)
        self.device = "cpu"
        return learned

    def test_bits(self) -> float:
        return self._bits_of(self.test)

    def generator(self, streams: int) -> contract.Generator:
        self.module.eval()
        self.backbone.setup_rnn("diagonal")

        def generate(samples: int) -> np.ndarray:
            drawn = np.empty((streams, samples), np.int64)
            codes = torch.full((streams,), ZERO)
            state = self.backbone.default_state(streams)
            with torch.no_grad():
                for index in range(samples):
                    hidden, state = self.backbone.step(self.embedding(codes), state)
                    codes = self.output(hidden).softmax(-1).multinomial(1)[:, 0]
                    drawn[:, index] = codes.numpy()
            return contract.mu_law_audio(drawn)

        return generate

    @torch.no_grad()
    def _bits_of(self, part: np.ndarray) -> float:
        """Of whole sequences, each from nothing, as the authors score theirs."""
        self.module.eval()
        count = len(part) // self.length
        codes = torch.from_numpy(part[: count * self.length].reshape(count, -1))
        found = sum(float(self._nats(row[None]).mean()) for row in codes) / count / np.log(2)
        self.module.train()
        return float(found)

    def _nats(self, codes: torch.Tensor) -> Any:
        """Of each sample, given those before it."""
        codes = codes.to(self.device)
        before = torch.nn.functional.pad(codes[:, :-1], (1, 0), value=ZERO)
        hidden, *_ = self.backbone(self.embedding(before))
        logits = self.output(hidden).transpose(1, 2)
        return torch.nn.functional.cross_entropy(logits, codes, reduction="none")


if __name__ == "__main__":
    contract.main(Sashimi, ("torch",))
