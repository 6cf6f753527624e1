"""Loss and score of a model of codes."""

from __future__ import annotations

from typing import Any, ClassVar

from keras import ops


class CodesHead:
    """Cross entropy of the codes of blocks, with soft targets in training.

    It stands where an `AudioModel` has a head.

    Args:
        codec: the `SpectralCodec` whose codes are predicted.
    """

    kind: ClassVar[str] = "codes"
    measure: ClassVar[str] = "bits_per_code"
    quantizable: ClassVar[bool] = False
    noise_per_sample: ClassVar[int] = 1
    reconstruct: ClassVar[bool] = False
    loss_is_score: ClassVar[bool] = True
    deterministic: ClassVar[bool] = False
    bound: ClassVar[bool] = False
    adversarial: ClassVar[bool] = False

    def __init__(self, codec: Any) -> None:
        self.codec = codec

    def loss(self, prediction: list[Any], target: Any) -> Any:
        """Cross entropy with entries near the true one, in nats per code: `(B, N)`.

        Args:
            prediction: logits of each band, `(B, T, codebook_size)`.
            target: `(B, N)` codes of `T` blocks in turn, from 1.
        """
        codes = self._by_band(prediction, target)
        each = [
            -ops.sum(
                self.codec.soft_targets(band, codes[..., band]) * ops.log_softmax(logits), axis=-1
            )
            for band, logits in enumerate(prediction)
        ]
        return ops.reshape(ops.stack(each, axis=-1), ops.shape(target))

    @staticmethod
    def _by_band(prediction: list[Any], target: Any) -> Any:
        """Codes `(B, T, bands)` from 0."""
        codes = ops.maximum(target - 1, 0)
        return ops.reshape(codes, (-1, prediction[0].shape[1], len(prediction)))

    def terms(self, prediction: list[Any], target: Any) -> dict[str, Any]:
        """Parts of the loss that validation reports: none."""
        return {}

    def score(self, prediction: list[Any], target: Any) -> Any:
        """Negative log-likelihood of each code in nats: `(B, N)`."""
        codes = self._by_band(prediction, target)
        each = [
            -ops.take_along_axis(ops.log_softmax(logits), codes[..., band, None], axis=-1)[..., 0]
            for band, logits in enumerate(prediction)
        ]
        return ops.reshape(ops.stack(each, axis=-1), ops.shape(target))
