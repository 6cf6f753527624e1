"""A trained model with its sample rate, for a notebook."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from keras_rawaudio.errors import UserError
from keras_rawaudio.generation.sampler import ReferenceSampler
from keras_rawaudio.models import Model
from keras_rawaudio.models.controls import TEMPERATURE

LONGEST = 3600.0  # seconds in one array


@dataclass(frozen=True)
class Generator:
    """A trained model that makes new audio, as `keras_rawaudio.load` returns it.

    Args:
        model: the model with its trained weights.
        sample_rate: in Hz.

    Example:
        >>> codec = {"name": "mulaw", "peak": 1.0, "levels": 256}
        >>> from keras_rawaudio.models import AudioModel
        >>> model = AudioModel([{"frame_size": 8, "units": 4}], {"kind": "categorical"}, codec)
        >>> audio, rate = Generator(model, 8000).generate(seconds=0.01, seed=1)
        >>> audio.shape, audio.dtype, rate
        ((80,), dtype('float32'), 8000)
    """

    model: Model
    sample_rate: int

    def generate(
        self,
        seconds: float,
        prompt: np.ndarray | None = None,
        temperature: float = 1.0,
        seed: int = 0,
        controls: Mapping[str, float] | None = None,
        music: Mapping[str, float] | None = None,
    ) -> tuple[np.ndarray, int]:
        """Make new audio with the Keras model; an exported file is some 20 times as fast.

        Args:
            seconds: how much, above 0 and up to 3600.
            prompt: float `(n,)`, or `(n, channels)` with as many channels as the model, at
                `sample_rate`, in [-1, 1]: what the new audio continues; it is not returned. `None`:
                silence.
            temperature: 0.1 to 2; 1 draws from the model's own distribution, lower is more
                cautious.
            seed: of the draws, 0 or more; the same seed makes the same audio.
            controls: values of what else may be turned, by name: see `model.controls`.
            music: weights of the pieces that the model was trained on, by name: see `model.labels`.
                `None`: what the prompt is recognised as; without a prompt, one at random.

        Returns:
            The audio, float32 `(n,)`, or `(n, 2)` of a stereo model, and its sample rate in Hz. It
            is as loud as the training audio, and not clipped: some models pass beyond [-1, 1].

        Raises:
            UserError: an argument out of its range.
        """
        if not 0 < seconds <= LONGEST:
            raise UserError(f"seconds must be above 0 and up to {LONGEST:g}, not {seconds}")
        low, high = TEMPERATURE.minimum, TEMPERATURE.maximum
        if not low <= temperature <= high:
            raise UserError(f"temperature must be from {low:g} to {high:g}, not {temperature}")
        if seed < 0:
            raise UserError(f"seed must be 0 or more, not {seed}")
        if prompt is not None:
            prompt = np.asarray(prompt, np.float32)
            channels = self.model.channels
            fits = prompt.ndim == 1 or (prompt.ndim == 2 and prompt.shape[1] == channels)
            if not fits or not np.isfinite(prompt).all():
                raise UserError(
                    f"prompt must be finite numbers (n,) or (n, {channels}) at "
                    f"{self.sample_rate} Hz, not an array of shape {prompt.shape}"
                )
        for name, value in (controls or {}).items():
            known = {control.name: control for control in self.model.controls}
            if name not in known:
                raise UserError(f"no control {name!r}: this model has {', '.join(known) or 'none'}")
            low, high = known[name].minimum, known[name].maximum
            if not low <= value <= high:
                raise UserError(f"{name} must be from {low:g} to {high:g}, not {value}")
        audio = ReferenceSampler(self.model).generate(
            max(1, round(seconds * self.sample_rate)),
            prompt,
            temperature,
            random_seed=seed,
            controls=controls,
            music=music,
        )
        return audio[0], self.sample_rate
