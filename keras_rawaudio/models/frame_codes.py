"""Frame codes: envelope code, filter index and gain of a frame, as one."""

from __future__ import annotations

from typing import Any, NamedTuple

import keras
from keras import ops

from keras_rawaudio.models.envelope_codebook import EnvelopeCodebook
from keras_rawaudio.models.lpc_codes import NUM_GAINS, LPCCodes

NOISE = 3  # numbers per sample: for the envelope code, the filter index, the gain
DENSITY_DB = 20.0  # a rise that the control `density` favours by its value
FORCED = 1e6  # added to the logit of a code that is to be taken


class Codes(NamedTuple):
    """Codes of frames, one-hot: `(..., codebook_size)`, `(..., filters)`, `(..., NUM_GAINS)`."""

    envelope: Any
    index: Any
    gain: Any

    def joined(self) -> Any:
        """Side by side: `(..., FrameCodes.width)`."""
        return ops.concatenate(self, axis=-1)


@keras.saving.register_keras_serializable("keras_rawaudio")
class FrameCodes(keras.layers.Layer):
    """Encodes frames, and holds the prior of their codes given the tier's output `h`:

        p(codes | h) = p(index | h) p(gain | h, index) p(envelope | h, index, gain)

    Args:
        codebook_size: envelope codes.
        filters: size of the filter bank.
        frame_size: samples per frame, not fewer than envelope codes or filters.

    Example:
        >>> codes = FrameCodes(codebook_size=8, filters=4, frame_size=32)
        >>> codes.build((None, 16))
        >>> codes.sample(ops.zeros((2, 16)), ops.zeros((2, 32, 3))).joined().shape
        TensorShape([2, 44])
    """

    def __init__(self, codebook_size: int, filters: int, frame_size: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.codebook_size = codebook_size
        self.filters = filters
        self.frame_size = frame_size
        self.envelope = EnvelopeCodebook(codebook_size, frame_size, name="envelope")
        self.lpc = LPCCodes(filters, frame_size, codebook_size, name="lpc")

    @property
    def width(self) -> int:
        """Width of all codes side by side."""
        return self.codebook_size + self.filters + NUM_GAINS

    def build(self, input_shape: Any) -> None:
        self.envelope.build(input_shape)
        self.lpc.build(input_shape)

    def encode(self, x: Any, residuals: Any) -> Codes:
        """Codes of `T` frames.

        Args:
            x: `(B, (T + 1) * frame_size)` samples, which end one before the frames do.
            residuals: of all filters on the frames and the one before,
                `(B, (T + 1) * frame_size, filters)`.
        """
        index, gain = self.lpc.encode(residuals)
        return Codes(self.envelope.encode(self.envelope.features(x)), index, gain)

    def nll(self, h: Any, codes: Codes) -> Any:
        """Negative log-likelihood in nats `(...)`, given `h (..., width)`."""
        offset = self.lpc.code_logits(codes.index, codes.gain)
        nats = self.envelope.nll(h, codes.envelope, offset)
        return nats + self.lpc.nll(h, codes.index, codes.gain)

    def sample(self, h: Any, noise: Any) -> Codes:
        """Codes of one frame, by Gumbel-max.

        Args:
            h: `(B, width)`.
            noise: `(B, frame_size, K)`; the last `NOISE` of the `K` are Gumbel variables.
        """
        index, gain = self.lpc.sample(h, noise[:, : self.filters, -2], noise[:, :NUM_GAINS, -1])
        offset = self.lpc.code_logits(index, gain)
        envelope = self.envelope.sample(h, noise[:, : self.codebook_size, -3], offset)
        return Codes(envelope, index, gain)

    def repeat(self, noise: Any, joined: Any, repeats: Any) -> Any:
        """Noise by which `sample` takes given codes, in some rows.

        Args:
            noise: as for `sample`.
            joined: `(B, width)`, the codes; where there are none yet, some are drawn.
            repeats: `(B, 1)`: 1 in those rows, else 0.
        """
        return self._biased(noise, FORCED * repeats, self.split(joined))

    def favour_onsets(self, noise: Any, joined: Any, density: Any) -> Any:
        """Noise by which `sample` takes more or fewer codes that rise from those before.

        Args:
            noise: as for `sample`.
            joined: `(B, width)`, the codes of the frame before.
            density: `(B, 1)` nats, for each rise of `DENSITY_DB`; less than 0: fewer.
        """
        before = self.split(joined)
        rises = Codes(
            envelope=ops.matmul(before.envelope, self.envelope.rises()),
            index=ops.zeros_like(before.index),
            gain=ops.matmul(before.gain, self.lpc.rises()),
        )
        return self._biased(noise, (1 / DENSITY_DB) * density, rises)

    def _biased(self, noise: Any, weight: Any, biases: Codes) -> Any:
        """Noise for `sample`, as if `weight (B, 1)` times `biases` were added to the logits."""
        padded = [ops.pad(b, ((0, 0), (0, self.frame_size - b.shape[-1]))) for b in biases]
        gumbel = noise[..., -NOISE:] + weight[..., None] * ops.stack(padded, axis=-1)
        return ops.concatenate([noise[..., :-NOISE], gumbel], axis=-1)

    def split(self, joined: Any) -> Codes:
        """Codes from `Codes.joined`."""
        first, second = self.codebook_size, self.codebook_size + self.filters
        return Codes(joined[..., :first], joined[..., first:second], joined[..., second:])

    def or_silence(self, joined: Any) -> Any:
        """`joined (B, width)`, or the envelope code of silence where no frame has been yet."""
        features = self.envelope.features(ops.zeros((1, 2 * self.frame_size)))
        silence = self.envelope.encode(features)[:, 0]
        silence = ops.pad(silence, ((0, 0), (0, self.filters + NUM_GAINS)))
        any_code = ops.sum(joined[:, : self.codebook_size], axis=-1, keepdims=True)
        return joined + (1.0 - any_code) * silence

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "codebook_size": self.codebook_size,
            "filters": self.filters,
            "frame_size": self.frame_size,
        }
