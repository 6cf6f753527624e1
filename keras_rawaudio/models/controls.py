"""Controls of a generator: state tensors that the caller may set while it generates."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from keras import ops

MUSIC = "music"  # the state that holds the weight of each label
HISTORY = "history"  # the state that holds the audio before
GAIN = "gain"  # the state that follows the control `level`
RAW_RATE = 16000  # samples per second, for the glide of a model that does not know its rate
PLACE = "place"  # the state that says how far what was drawn has been played, in frames
MOST_DRAWS = 2  # for one block of output, at the highest tempo
LEVEL_SLEW_RATE = 200.0  # dB per second: a jump of the level does not click


class Control(NamedTuple):
    """A state tensor `(B, 1)` of the generator that the caller may set between two calls.

    Attributes:
        name: of the state tensor; `temperature` alone is an input of its own.
        minimum, maximum, default: of its values.
        unit: of its values.
        description: one sentence.
    """

    name: str
    minimum: float
    maximum: float
    default: float
    unit: str
    description: str


TEMPERATURE = Control(
    "temperature", 0.1, 2.0, 1.0, "ratio", "Spread of the draws: 1 as trained, less is calmer."
)
LEVEL = Control("level", -40.0, 6.0, 0.0, "dB", "Gain of the output.")
TEMPO = Control("tempo", 0.5, 2.0, 1.0, "ratio", "Speed of the music; the pitch stays.")
DENSITY = Control(
    "density", -2.0, 2.0, 0.0, "nats", "More or fewer onsets: a bias on codes whose energy rises."
)
HOLD = Control(
    "hold", 0.0, 1.0, 0.0, "switch", "Above 0.5 the codes stay as they are, and the sound goes on."
)


def paced(place: Any, tempo: Any, frames: int, block: int) -> tuple[Any, Any]:
    """Where the next frames of output stand in what is drawn, and how much has to be drawn.

    Frames are counted from the first one of the latest block that is drawn.

    Args:
        place: `(B, 1)` of the frame before.
        tempo: `(B, 1)`, frames of what is drawn per frame of output.
        frames: of output.
        block: frames that are drawn at once.

    Returns:
        Places `(B, frames)` once all is drawn, above -1 - 2 block and up to block - 1; and how many
        blocks to draw, `(B, 1)`, from 0 to `MOST_DRAWS`.

    Example:
        >>> places, draws = paced(ops.full((1, 1), 3.0), ops.full((1, 1), 1.5), 4, 4)
        >>> places[0].numpy().tolist(), float(draws[0, 0])
        ([-3.5, -2.0, -0.5, 1.0], 2.0)
    """
    places = place + tempo * np.arange(1, frames + 1, dtype="float32")
    draws = ops.ceil((places[:, -1:] - (block - 1)) * (1 / block))
    draws = ops.minimum(ops.maximum(draws, 0.0), float(MOST_DRAWS))
    return places - block * draws, draws


def with_level(audio: Any, level: Any, gain: Any, rate: int) -> tuple[Any, Any]:
    """Audio at a level that follows a control by 200 dB per second.

    How the audio is cut into calls makes no difference.

    Args:
        audio: `(B, N)` or `(B, N, channels)`.
        level: `(B, 1)` dB, where the level goes.
        gain: `(B, 1)` dB, where it is.
        rate: samples per second.

    Returns:
        The audio, and the gain after it.

    Example:
        >>> audio, gain = with_level(ops.ones((1, 8000)), ops.full((1, 1), -6.0), ops.zeros((1, 1)),
        ...     8000)
        >>> float(gain[0, 0]), round(float(audio[0, -1]), 3)
        (-6.0, 0.501)
    """
    N = ops.shape(audio)[1]
    reach = (LEVEL_SLEW_RATE / rate) * ops.cast(ops.arange(N) + 1, "float32")[None]
    way = level - gain
    now = gain + ops.maximum(-reach, ops.minimum(way, reach))
    farthest = (LEVEL_SLEW_RATE / rate) * ops.cast(N, "float32")
    after = gain + ops.maximum(-farthest, ops.minimum(way, farthest))
    amplitude = ops.exp(now * 0.11512925464970228)  # 10^(dB / 20)
    if len(audio.shape) == 3:
        amplitude = amplitude[..., None]
    return audio * amplitude, after
