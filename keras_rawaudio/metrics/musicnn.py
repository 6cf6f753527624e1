"""Features and tags of music by musicnn, a network that was trained on other people's music."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from importlib import import_module
from importlib.metadata import PackageNotFoundError, distribution

import numpy as np

from keras_rawaudio.dsp.slaney_mel import slaney_mel_power
from keras_rawaudio.errors import UserError
from keras_rawaudio.metrics.timed import Timed

RATE, SIZE, HOP, BANDS = 16_000, 512, 256, 96
FRAMES = 187  # of a window: 3 s
STRIDE = 31  # frames from window to window: 0.5 s
EPSILON = 1e-3  # of batch normalisation
EDGE = 3  # frames by which a convolution of 7 reaches over an end
BATCH = 8  # windows at a time
CHUNK = 64  # frames at a time
MISSING = "musicnn is not installed: pip install --no-deps musicnn==0.1.0 (its pins do not resolve)"


class MusicNN:
    """The musically motivated convolutional network of Pons and Serra, trained to tag songs.

    Windows of 3 s of log mel spectra (96 bands of 0 to 8 kHz) go through convolutions along
    frequency ("timbral") and along time ("temporal"), three along time with residual connections,
    a maximum and a mean over time, and one dense layer of 200 units, whose output are the features.

    How it fails: it was trained on 3 s windows of songs of the Million Song Dataset at 16 kHz, so
    it knows nothing above 8 kHz, nothing of stereo, and nothing of form. Its distances have no
    unit: compare them with those of the piece's own excerpts.

    Args:
        weights: mapping of name to array, those of the checkpoint.

    Reference:
        Pons and Serra, "musicnn: Pre-trained convolutional neural networks for music audio
        tagging", ISMIR late breaking, 2019.
    """

    def __init__(self, weights: Mapping[str, np.ndarray]) -> None:
        self.weights = weights

    @classmethod
    @cache
    def load(cls) -> MusicNN:
        """The weights `MSD_musicnn` that come inside of the installed package musicnn.

        Raises:
            UserError: the package is not installed.
        """
        try:
            folder = distribution("musicnn").locate_file("musicnn/MSD_musicnn")
        except PackageNotFoundError:
            raise UserError(MISSING) from None
        import tensorflow as tf

        # The checkpoint's prefix is its folder with nothing after it.
        reader = tf.compat.v1.train.NewCheckpointReader(f"{folder}/")
        names = [name for name in reader.get_variable_to_shape_map() if "Adam" not in name]
        return cls({name: reader.get_tensor(name) for name in names})

    @staticmethod
    def tag_names() -> list[str]:
        """The 50 tags, in the order of the outputs."""
        try:
            names: list[str] = import_module("musicnn.configuration").MSD_LABELS
        except ModuleNotFoundError:
            raise UserError(MISSING) from None
        return names

    def features(self, audio: np.ndarray, rate: int) -> Timed:
        """Outputs of the last layer but one, of windows of 3 s every 0.5 s.

        Args:
            audio: `(n,)` or `(n, channels)` in [-1, 1]; channels are averaged.
            rate: int. Samples per second; other rates than 16 kHz are resampled.

        Returns:
            Rows of 200 values; no row where the audio is shorter than 3 s.
        """
        mel = log_mel(audio, rate)
        starts = np.arange(0, len(mel) - FRAMES + 1, STRIDE)
        seconds = len(audio) / rate
        found = [np.zeros((0, 200), np.float32)]
        if len(starts):
            normalised = self._normalised(mel, "batch_normalization")
            # Overlapping windows share all of a timbral convolution but their ends.
            timbral = [self._timbral(normalised, index) for index in (0, 1)]
            for first in range(0, len(starts), BATCH):
                some = starts[first : first + BATCH]
                found.append(self._penultimate(normalised, timbral, some))
        span = FRAMES * HOP / RATE
        return Timed(seconds, starts * HOP / RATE, np.concatenate(found), span)

    def tags(self, features: np.ndarray) -> np.ndarray:
        """Likelihood of each tag, `(n, 50)`, from features `(n, 200)`."""
        logits = features @ self.weights["dense_1/kernel"] + self.weights["dense_1/bias"]
        likelihood: np.ndarray = 1 / (1 + np.exp(-logits))
        return likelihood

    def _strongest(self, patches: np.ndarray, index: int) -> np.ndarray:
        """Convolve, rectify, normalise, and take the largest over frequency.

        Args:
            patches: `(t, places, k)`, what the kernel sees at each frame and place in frequency.
            index: int. Of the convolution.

        Returns:
            `(t, c)`.
        """
        scale, shift = self._affine(_norm(index + 1))
        kernel = self.weights[_name("conv2d", index)].reshape(patches.shape[-1], -1)
        # The steps after the product are monotonic, so the maximum may be taken before them.
        sign = np.where(scale < 0, -1, 1).astype(np.float32)
        products = patches.reshape(-1, patches.shape[-1]) @ (kernel * sign)
        largest = sign * products.reshape(*patches.shape[:2], -1).max(axis=1)
        strongest: np.ndarray = np.maximum(largest + self.weights[_bias(index)], 0) * scale + shift
        return strongest

    def _timbral(self, mel: np.ndarray, index: int) -> np.ndarray:
        """Convolution over 7 frames and part of the bands, of `(t, 96)`: `(t - 6, 204)`."""
        height, width = self.weights[_name("conv2d", index)].shape[:2]
        patches = np.lib.stride_tricks.sliding_window_view(mel, (height, width))
        blocks = [patches[i : i + CHUNK] for i in range(0, len(patches), CHUNK)]
        return np.concatenate(
            [self._strongest(b.reshape(len(b), -1, height * width), index) for b in blocks]
        )

    def _temporal(self, window: np.ndarray, index: int) -> np.ndarray:
        """Convolution of each band along time, of `(187, 96)`: `(187, 51)`."""
        length = self.weights[_name("conv2d", index)].shape[0]
        padded = np.pad(window, (((length - 1) // 2, length // 2), (0, 0)))
        patches = np.lib.stride_tricks.sliding_window_view(padded, length, axis=0)
        return self._strongest(patches, index)

    def _penultimate(
        self, mel: np.ndarray, timbral: Sequence[np.ndarray], starts: np.ndarray
    ) -> np.ndarray:
        """Features `(b, 200)` of the windows that begin at `starts`, of normalised `(t, 96)`."""
        silence = np.zeros((EDGE, BANDS), np.float32)
        fronts = []
        for start in starts:
            window = mel[start : start + FRAMES]
            ends = [
                np.concatenate([silence, window[: 2 * EDGE]]),
                np.concatenate([window[-2 * EDGE :], silence]),
            ]
            layers = [
                np.concatenate(
                    [
                        self._timbral(ends[0], index),
                        inner[start : start + FRAMES - 2 * EDGE],
                        self._timbral(ends[1], index),
                    ]
                )
                for index, inner in enumerate(timbral)
            ]
            layers += [self._temporal(window, index) for index in (2, 3, 4)]
            fronts.append(np.concatenate(layers, axis=1))
        front = np.stack(fronts)
        first_layer = self._along_time(front, 5)
        second = self._along_time(first_layer, 6) + first_layer
        third = self._along_time(second, 7) + second
        maps = np.concatenate([front, first_layer, second, third], axis=2)
        pooled = np.stack([maps.max(axis=1), maps.mean(axis=1)], axis=2).reshape(len(maps), -1)
        pooled = self._normalised(pooled, _norm(9))
        dense = pooled @ self.weights["dense/kernel"] + self.weights["dense/bias"]
        return self._normalised(np.maximum(dense, 0), _norm(10))

    def _along_time(self, maps: np.ndarray, index: int) -> np.ndarray:
        """Convolve `(b, t, c)` over 7 frames, rectify and normalise: `(b, t, 64)`."""
        kernel = self.weights[_name("conv2d", index)][:, :, 0]
        padded = np.pad(maps, ((0, 0), (EDGE, EDGE), (0, 0)))
        hidden = sum(padded[:, i : i + FRAMES] @ kernel[i] for i in range(2 * EDGE + 1))
        return self._normalised(
            np.maximum(hidden + self.weights[_bias(index)], 0), _norm(index + 1)
        )

    def _affine(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Scale and shift of batch normalisation with the statistics of training."""
        mean, variance, gamma, beta = (
            self.weights[f"{name}/{part}"]
            for part in ("moving_mean", "moving_variance", "gamma", "beta")
        )
        scale = gamma / np.sqrt(variance + EPSILON)
        return scale, beta - mean * scale

    def _normalised(self, values: np.ndarray, name: str) -> np.ndarray:
        scale, shift = self._affine(name)
        normalised: np.ndarray = values * scale + shift
        return normalised


def log_mel(audio: np.ndarray, rate: int) -> np.ndarray:
    """The network's input: `log10(1 + 10000 power)` in 96 mel bands, a row per 16 ms.

    Args:
        audio: `(n,)` or `(n, channels)` in [-1, 1].
        rate: int. Samples per second.

    Returns:
        `(frames, 96)` float32; no row where the audio is shorter than 3 s.
    """
    import soxr

    mixed = np.asarray(audio, np.float32)
    if mixed.ndim == 2:
        mixed = mixed.mean(axis=1)
    mixed = mixed if rate == RATE else soxr.resample(mixed, rate, RATE)
    if len(mixed) < (FRAMES - 1) * HOP:
        return np.zeros((0, BANDS), np.float32)
    power = slaney_mel_power(mixed, RATE, SIZE, HOP, BANDS)
    # The network was trained on powers of half precision.
    return np.log10(1 + 10_000 * power.astype(np.float16).astype(np.float32))


def _name(kind: str, index: int) -> str:
    return f"{kind}_{index}/kernel" if index else f"{kind}/kernel"


def _bias(index: int) -> str:
    return f"conv2d_{index}/bias" if index else "conv2d/bias"


def _norm(index: int) -> str:
    return f"batch_normalization_{index}"
