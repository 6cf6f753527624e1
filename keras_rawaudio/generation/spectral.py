"""The generator of a spectral model as a pure function: blocks read, then blocks drawn."""

from __future__ import annotations

from typing import Any

from keras import ops

from keras_rawaudio.models.controls import GAIN, LEVEL, with_level
from keras_rawaudio.models.spectral_model import HISTORY, SpectralModel, State


def advance(
    model: SpectralModel, forced: Any, noise: Any, temperature: Any, state: State
) -> tuple[Any, State]:
    """As `keras_rawaudio.generation.advance`, for a spectral model.

    Audio comes out `model.delay` samples later than its codes are known.

    Args:
        model: the model.
        forced: `(B, P)`, or `(B, P, 2)` in stereo; `P` is a multiple of `model.block`.
        noise: `(B, N, 1)` in [0, 1); `N` is a multiple of `model.block`. The first numbers of
            each block decide (`model.chances`).
        temperature: `(B,)`.
        state: by `model.generator_state_spec()`.

    Returns:
        `(B, N)` or `(B, N, 2)` audio, and the new state.
    """
    F, C = model.block, model.channels
    B = ops.shape(noise)[0]
    read = ops.reshape(forced, (B, ops.shape(forced)[1] // F, F, C))
    chance = ops.reshape(noise, (B, ops.shape(noise)[1] // F, F))[:, :, : model.chances]
    undrawn = ops.zeros((B, model.chances))
    temperature, keys = ops.reshape(temperature, (-1, 1)), model.sampler.drawing_keys()

    def read_block(t: Any, state: State) -> State:
        return _read(model, ops.take(read, t, axis=1), undrawn, state)

    def draw_block(t: Any, both: tuple[Any, State]) -> tuple[Any, State]:
        audio, state = both
        made, state = _draw(model, ops.take(chance, t, axis=1), temperature, keys, state)
        return ops.concatenate([audio[:, F:], made], axis=1), state

    state = _loop(ops.shape(read)[1], state, read_block)
    silence = ops.zeros((B, ops.shape(noise)[1], C))
    audio, state = _loop(ops.shape(chance)[1], (silence, state), draw_block)
    audio, gain = with_level(audio, state[LEVEL.name], state[GAIN], model.rate)
    return (audio[..., 0] if C == 1 else audio), {**state, GAIN: gain}


def _read(model: SpectralModel, block: Any, chance: Any, state: State) -> State:
    _, state = model.next_hidden(state, chance, drawn=0.0)
    codes = model.spectral_codec.encode(ops.concatenate([state[HISTORY], block], axis=1))
    _, state = model.decoder.block_of_audio(codes, state)
    return {**state, HISTORY: block}


def _draw(
    model: SpectralModel, chance: Any, temperature: Any, keys: list[Any], state: State
) -> tuple[Any, State]:
    hidden, state = model.next_hidden(state, chance)
    codes = model.sampler.draw(hidden, chance, temperature, keys, state)
    audio, state = model.decoder.block_of_audio(codes, state)
    return audio, {**state, HISTORY: audio}


def _loop(count: Any, carry: Any, step: Any) -> Any:
    def body(t: Any, carry: Any) -> tuple[Any, Any]:
        return t + 1, step(t, carry)

    return ops.while_loop(lambda t, carry: t < count, body, (ops.zeros((), "int32"), carry))[1]
