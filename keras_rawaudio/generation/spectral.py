"""The generator of a spectral model as a pure function: blocks read, then blocks drawn."""

from __future__ import annotations

from typing import Any

from keras import ops

from keras_rawaudio.generation.counted_loop import counted_loop
from keras_rawaudio.models.carried_state import State
from keras_rawaudio.models.controls import (
    GAIN,
    HISTORY,
    LEVEL,
    MOST_DRAWS,
    PLACE,
    TEMPO,
    with_level,
)
from keras_rawaudio.models.spectral_codec import CODES
from keras_rawaudio.models.spectral_decoder import CODES_BEFORE
from keras_rawaudio.models.spectral_model import SpectralModel


def advance(
    model: SpectralModel, forced: Any, noise: Any, temperature: Any, state: State
) -> tuple[Any, State]:
    """As `keras_rawaudio.generation.advance`, for a spectral model.

    Audio comes out `model.delay` samples later than its codes are known.

    Args:
        model: the model.
        forced: `(B, P)`, or `(B, P, 2)` in stereo; `P` is a multiple of `model.block`.
        noise: `(B, N, 1)` in [0, 1); `N` is a multiple of `model.block`. The first numbers of
            each block decide (`model.noise_per_draw` for each block of codes that may be drawn).
        temperature: `(B,)`.
        state: by `model.generator_state_spec()`.

    Returns:
        `(B, N)` or `(B, N, 2)` audio, and the new state.
    """
    F, C, S = model.block, model.channels, model.noise_per_draw
    B = ops.shape(noise)[0]
    read = ops.reshape(forced, (B, ops.shape(forced)[1] // F, F, C))
    by_block = ops.reshape(noise, (B, ops.shape(noise)[1] // F, F))
    by_draw = ops.reshape(by_block[:, :, : MOST_DRAWS * S], (B, -1, MOST_DRAWS, S))
    undrawn = ops.zeros((B, S))
    temperature, keys = ops.reshape(temperature, (-1, 1)), model.sampler.drawing_keys()

    def read_block(t: Any, state: State) -> State:
        return _read(model, ops.take(read, t, axis=1), undrawn, state)

    def draw_block(t: Any, both: tuple[Any, State]) -> tuple[Any, State]:
        audio, state = both
        made, state = _draw(model, ops.take(by_draw, t, axis=1), temperature, keys, state)
        return ops.concatenate([audio[:, F:], made], axis=1), state

    state = counted_loop(ops.shape(read)[1], state, read_block)
    silence = ops.zeros((B, ops.shape(noise)[1], C))
    audio, state = counted_loop(ops.shape(by_draw)[1], (silence, state), draw_block)
    audio, gain = with_level(audio, state[LEVEL.name], state[GAIN], model.rate)
    return (audio[..., 0] if C == 1 else audio), {**state, GAIN: gain}


def _read(model: SpectralModel, block: Any, noise: Any, state: State) -> State:
    places, _ = model.decoder.pace(state[PLACE], state[TEMPO.name], drawn=0.0)
    _, after = model.step(state, noise, drawn=0.0)
    codes = model.spectral_codec.encode(ops.concatenate([state[HISTORY], block], axis=1))
    state = _moved(model, state, after, codes, ops.ones_like(state[PLACE]) > 0)
    _, state = model.decoder.block_of_audio(places, state)
    return {**state, HISTORY: block}


def _draw(
    model: SpectralModel, noise: Any, temperature: Any, keys: list[Any], state: State
) -> tuple[Any, State]:
    places, draws = model.decoder.pace(state[PLACE], state[TEMPO.name])

    def draw_codes(i: Any, state: State) -> State:
        own = ops.take(noise, i, axis=1)
        hidden, after = model.step(state, own)
        codes = model.sampler.draw(hidden, own, temperature, keys, after)
        return _moved(model, state, after, codes, draws > ops.cast(i, "float32"))

    state = counted_loop(ops.cast(ops.max(draws), "int32"), state, draw_codes)
    audio, state = model.decoder.block_of_audio(places, state)
    return audio, {**state, HISTORY: audio}


def _moved(model: SpectralModel, state: State, after: State, codes: Any, moves: Any) -> State:
    """The state with a block of codes more, where `moves (B, 1)`."""
    new = ops.cast(codes, "float32")
    latest, before = model.decoder.moved(state[CODES], state[CODES_BEFORE], new, moves)
    names = [name for name in model.step.states if name in state]
    recurrent = {name: ops.where(moves, after[name], state[name]) for name in names}
    return {**state, **recurrent, CODES: latest, CODES_BEFORE: before}
