"""A bidirectional recurrent network that revises audio in overlapping windows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_rawaudio.data.codecs import Codec, codec_from_json
from keras_rawaudio.layers.bidirectional_stack import BidirectionalStack
from keras_rawaudio.layers.corruption import Corruption
from keras_rawaudio.layers.discriminator import Discriminator
from keras_rawaudio.layers.overlap import cut, overlap_add, sum_to_one
from keras_rawaudio.models.fit_windows import FitWindows
from keras_rawaudio.models.heads.restoration import RestorationHead


@keras.saving.register_keras_serializable("keras_rawaudio")
class Refiner(FitWindows):
    """Restores audio: trained on true audio that was corrupted, used on generated audio.

    A window of frames goes through bidirectional recurrent layers, which give a correction of
    each frame. Untrained, it corrects nothing. Windows overlap, and their results are averaged
    under weights that sum to one.

    Args:
        codec: what `Codec.to_json` wrote; the network works on this codec's values.
        frame_size: samples that one recurrent step reads.
        frames: frames per window.
        overlap: windows that cover each sample, a divisor of `frames`.
        cell: `"gru"`, `"lstm"` or `"deep-gate-lstm"`.
        units: width of each direction of each layer.
        layers: bidirectional layers.
        corruption: options of `Corruption`, without its frame.
        adversarial: weight of the loss that a discriminator gives; 0: no discriminator.

    Attributes:
        span: samples per window.
        hop: samples between the beginnings of two windows.
        delay: samples by which revised audio comes later.

    Call arguments:
        x: `(B, N)` values; `N` is a multiple of `span`. They are corrupted, then restored.
        state: an empty dict: windows are independent.
        training: whether each call draws a new corruption.

    Returns:
        The restored values `(B, N)`, and the state.

    Example:
        >>> codec = {"name": "standardize", "mean": 0.0, "std": 0.5}
        >>> refiner = Refiner(codec, frame_size=4, frames=6, units=8)
        >>> restored, _ = refiner(ops.zeros((2, 48)), {})
        >>> audio = np.full((1, 50), 0.25, "float32")
        >>> restored.shape, bool(np.allclose(refiner.refine(audio), audio, atol=1e-6))
        (TensorShape([2, 48]), True)

    Reference:
        Schuster and Paliwal 1997, "Bidirectional recurrent neural networks"; Vincent et al. 2010,
        "Stacked denoising autoencoders"; Pascual et al. 2017, "SEGAN" (the adversarial form).
    """

    def __init__(
        self,
        codec: dict[str, Any],
        frame_size: int = 50,
        frames: int = 16,
        overlap: int = 2,
        cell: str = "gru",
        units: int = 128,
        layers: int = 2,
        corruption: Mapping[str, Any] | None = None,
        adversarial: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if frames % overlap:
            raise ValueError(f"{frames} frames do not divide into an overlap of {overlap}")
        self.codec: Codec = codec_from_json(codec)
        self.frame_size = frame_size
        self.frames = frames
        self.overlap = overlap
        self.cell = cell
        self.units = units
        self.layer_count = layers
        self.adversarial = adversarial
        self.span = frame_size * frames
        self.hop = self.span // overlap
        self.delay = self.span - self.hop
        self._corruption = dict(corruption or {})
        self.corruption = Corruption(frame_size, **self._corruption, name="corruption")
        self.stack = BidirectionalStack(cell, units, layers, name="stack")
        self.stack.build((None, frames, frame_size))
        self.correction = keras.layers.Dense(
            frame_size, kernel_initializer="zeros", name="correction"
        )
        self.correction.build((None, frames, 2 * units))
        self.discriminator = Discriminator(name="discriminator") if adversarial else None
        if self.discriminator:
            self.discriminator.build((None, self.span))
        self.head = RestorationHead(self.discriminator, adversarial)
        self.window_in_time = sum_to_one(self.span, self.hop)
        self.built = True

    # What training and evaluation ask of any model.

    @property
    def tiers(self) -> list[Any]:
        """None: nothing is carried from window to window."""
        return []

    @property
    def cells(self) -> None:
        """It has no bits per sample."""
        return None

    @property
    def paced(self) -> bool:
        """It draws no codes."""
        return False

    @property
    def frame(self) -> int:
        """Samples that training moves by: a window."""
        return self.span

    @property
    def block(self) -> int:
        """Samples that `advance` moves by."""
        return self.hop

    @property
    def channels(self) -> int:
        """Of the audio; those of a stereo piece are rows of a batch."""
        return 1

    @property
    def context(self) -> int:
        """Samples before the first input."""
        return 0

    def state_spec(self) -> dict[str, tuple[int, ...]]:
        """Nothing is carried in training."""
        return {}

    def zero_state(self, batch: Any) -> dict[str, Any]:
        """Nothing."""
        return {}

    def prepare(self, segments: Sequence[np.ndarray], rate: int) -> None:
        """Nothing is taken from the train part but the codec."""

    def target(self, x: Any, y: Any) -> Any:
        """What is to be restored: what was read."""
        return x

    def call(self, x: Any, state: Any = None, training: bool = False) -> Any:
        if state is None:
            return self.call_window(x, training)
        if training and self.discriminator:
            self.discriminator.update()
        windows = ops.reshape(ops.cast(x, "float32"), (-1, self.span))
        restored = self.restore(self.corruption(windows, training=training))
        return ops.reshape(restored, ops.shape(x)), state

    def restore(self, values: Any) -> Any:
        """Values `(B, N)` with the correction of each window; `N` is a multiple of `span`."""
        frames = ops.reshape(values, (-1, self.frames, self.frame_size))
        return ops.reshape(frames + self.correction(self.stack(frames)), ops.shape(values))

    # On audio

    def generator_state_spec(self) -> dict[str, tuple[tuple[int, ...], float]]:
        """Shape without the batch and first value of what `advance` carries."""
        return {name: ((self.delay,), 0.0) for name in ("past", "pending")}

    def advance(self, audio: Any, state: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        """Read the next hop of audio; give the revised hop that lies `delay` samples back.

        Args:
            audio: `(B, hop)` in [-1, 1].
            state: `past` and `pending`, `(B, delay)` each, as `generator_state_spec` says.

        Returns:
            `(B, hop)` and the new state.
        """
        window = ops.concatenate([state["past"], audio], axis=1)
        frames = self._revised(window)[:, None] * self.window_in_time
        revised, pending = overlap_add(frames, state["pending"])
        return revised, {"past": window[:, self.hop :], "pending": pending}

    def refine(self, audio: np.ndarray) -> np.ndarray:
        """Revise audio as a whole.

        Args:
            audio: `(B, n)` float in [-1, 1].

        Returns:
            `(B, n)` float32: sample for sample what `advance` gives, without its delay.
        """
        n = audio.shape[1]
        padding = (self.delay, self.delay + -n % self.hop)
        padded = np.pad(np.asarray(audio, np.float32), ((0, 0), padding))
        windows = cut(ops.convert_to_tensor(padded), self.span, self.hop)
        revised = self._revised(ops.reshape(windows, (-1, self.span)))
        frames = ops.reshape(revised, ops.shape(windows)) * self.window_in_time
        whole, _ = overlap_add(frames, ops.zeros((len(audio), self.delay)))
        return np.asarray(ops.convert_to_numpy(whole))[:, self.delay : self.delay + n]

    def _revised(self, window: Any) -> Any:
        values = self.codec.encode(window, xp=ops)
        return self.codec.decode(self.restore(values), xp=ops)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "codec": self.codec.to_json(),
            "frame_size": self.frame_size,
            "frames": self.frames,
            "overlap": self.overlap,
            "cell": self.cell,
            "units": self.units,
            "layers": self.layer_count,
            "corruption": self._corruption,
            "adversarial": self.adversarial,
        }
