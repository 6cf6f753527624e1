"""The generator as a pure function: read what is given, then draw what is asked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from keras import ops

from keras_rawaudio.generation import spectral
from keras_rawaudio.generation.counted_loop import counted_loop
from keras_rawaudio.models import Model
from keras_rawaudio.models.audio_model import AudioModel
from keras_rawaudio.models.carried_state import State
from keras_rawaudio.models.controls import (
    DENSITY,
    GAIN,
    HISTORY,
    HOLD,
    LEVEL,
    PLACE,
    RAW_RATE,
    TEMPO,
    paced,
    with_level,
)
from keras_rawaudio.models.spectral_model import SpectralModel

HEAD_CODES = "head_codes"  # the state of a head whose codes a tier may read
OUTPUT = "output"  # while it draws: the last frame that was given out
# Noise of 24 random bits is exactly 0 every few minutes; then any code would do that has some mass,
# be it 1e-30. So 0 counts as half a step.
LEAST_NOISE = 2.0**-25


def generator_state_spec(model: Model) -> dict[str, tuple[tuple[int, ...], float]]:
    """The state that a generator carries from call to call.

    Args:
        model: the model.

    Returns:
        For each tensor its shape without the batch and the value that fills it at the start:
        the recurrent state, and `history`, the last samples (codec values), which are silent.
    """
    if isinstance(model, SpectralModel):
        return model.generator_state_spec()
    silence = float(model.codec.encode(0.0, xp=ops))
    spec = {name: (shape, 0.0) for name, shape in model.state_spec().items()}
    spec[HISTORY] = ((model.context + 1,), silence)
    if model.paced:
        spec |= {PLACE: ((1,), 0.0), GAIN: ((1,), 0.0)}
        spec |= {control.name: ((1,), control.default) for control in model.controls}
    return spec


def fresh_state(model: Model, batch: int) -> State:
    """The generator state of streams that have read nothing.

    Args:
        model: the model.
        batch: how many streams.

    Returns:
        A tensor `(batch, ...)` for each name in `generator_state_spec`.
    """
    spec = generator_state_spec(model)
    return {name: ops.full((batch, *shape), fill) for name, (shape, fill) in spec.items()}


def advance(
    model: Model, forced: Any, noise: Any, temperature: Any, state: State
) -> tuple[Any, State]:
    """Read some audio, then draw some: what every export is compared with.

    Args:
        model: the model.
        forced: `(B, P)` audio in [-1, 1] to read, or `(B, P, 2)` for a stereo model, which primes
            the state; `P` is a multiple of `model.block` and may be 0.
        noise: `(B, N, noise_per_sample)` in [0, 1), the only source of noise; `N` is a multiple
            of `model.block` and may be 0.
        temperature: `(B,)`.
        state: as `generator_state_spec` says.

    Returns:
        `(B, N)` audio, or `(B, N, 2)` of a stereo model, and the new state. The audio is not
        clipped: some models pass beyond [-1, 1].

    Example:
        >>> codec = {"name": "mulaw", "peak": 1.0, "levels": 256}
        >>> model = AudioModel([{"frame_size": 8, "units": 4}], {"kind": "categorical"}, codec)
        >>> seed, noise = ops.zeros((2, 16)), ops.zeros((2, 24, 1))
        >>> audio, state = advance(model, seed, noise, ops.ones((2,)), fresh_state(model, 2))
        >>> audio.shape
        TensorShape([2, 24])
    """
    if isinstance(model, SpectralModel):
        return spectral.advance(model, forced, noise, temperature, state)
    state = read(model, model.codec.encode(forced, xp=ops), state)
    values, state = draw(model, noise, temperature, state)
    audio = model.codec.decode(values, xp=ops)
    if model.paced:
        audio, gain = with_level(audio, state[LEVEL.name], state[GAIN], RAW_RATE)
        state = {**state, GAIN: gain}
    return audio, state


def read(model: AudioModel, values: Any, state: State) -> State:
    """Move the state over given audio, drawing nothing.

    Args:
        model: the model.
        values: `(B, P)` codec values; `P` is a multiple of `model.frame`.
        state: of the generator.

    Returns:
        The state after them.
    """
    return _over_frames(
        values, model.frame, state, lambda frame, state: _read_frame(model, 0, None, frame, state)
    )


def draw(model: AudioModel, noise: Any, temperature: Any, state: State) -> tuple[Any, State]:
    """Draw audio.

    Args:
        model: the model.
        noise: `(B, N, K)` in [0, 1); `N` is a multiple of `model.frame`.
        temperature: `(B,)`.
        state: of the generator.

    Returns:
        Codec values `(B, N)`, and the state after them.
    """
    noise = prepare_noise(model, noise, temperature)
    F = model.frame

    def frame_step(noise: Any, both: tuple[Any, State]) -> tuple[Any, State]:
        values, state = both
        state = _draw_frame(model, 0, None, noise, state)
        return ops.concatenate([values[:, F:], state[OUTPUT]], axis=1), state

    silence = ops.zeros_like(noise[:, :, 0])
    state = {**state, OUTPUT: ops.zeros_like(state[HISTORY][:, -F:])}
    values, state = _over_frames(noise, F, (silence, state), frame_step)
    return values, {name: value for name, value in state.items() if name != OUTPUT}


def prepare_noise(model: AudioModel, noise: Any, temperature: Any) -> Any:
    """Noise `(B, N, K)` lifted off 0, in the form that the head draws with."""
    noise = ops.maximum(noise, LEAST_NOISE)
    return model.head.prepare_noise(noise, ops.reshape(temperature, (-1, 1, 1)))


def _over_frames(x: Any, frame: int, carry: Any, step: Callable[[Any, Any], Any]) -> Any:
    """`carry = step(x_frame, carry)` for each frame of `x (B, T * frame, ...)`."""
    B = ops.shape(x)[0]
    frames = ops.reshape(x, (B, ops.shape(x)[1] // frame, frame, *x.shape[2:]))
    return counted_loop(
        ops.shape(frames)[1], carry, lambda t, carry: step(ops.take(frames, t, axis=1), carry)
    )


def _tier_step(model: AudioModel, i: int, conditioning: Any, state: State) -> tuple[Any, State]:
    """One step of a tier: its output `(B, rate, width)` and the state."""
    tier = model.tiers[i]
    if tier.code_width:
        frame = model.head.codes.or_silence(state[HEAD_CODES])
    else:
        frame = model.tier_input(state[HISTORY][:, -tier.window :])
    output, values = tier.step(frame, conditioning, model.tier_state(i, state))
    return output, {**state, **model.named_state(i, values)}


def _moved_on(values: Any, new: Any) -> Any:
    """Values `(B, n)` with new ones at their end, the oldest dropped."""
    return ops.concatenate([values[:, new.shape[1] :], new], axis=1)


def _read_frame(model: AudioModel, i: int, conditioning: Any, frame: Any, state: State) -> State:
    output, state = _tier_step(model, i, conditioning, state)
    if i == len(model.tiers) - 1:
        head = model.head
        if head.state_spec():
            history, before = state[HISTORY][:, -head.context :], model.head_state(state)
            after = head.observe_frame(history, output, frame, before)
            state = {**state, **model.named_head_state(after)}
        return {**state, HISTORY: _moved_on(state[HISTORY], frame)}
    below = model.tiers[i + 1].frame_size
    frames = ops.reshape(frame, (-1, model.tiers[i].frame_size // below, below))

    def faster_step(t: Any, state: State) -> State:
        conditioning, faster = ops.take(output, t, axis=1), ops.take(frames, t, axis=1)
        return _read_frame(model, i + 1, conditioning, faster, state)

    return counted_loop(frames.shape[1], state, faster_step)


def _draw_paced_frame(model: AudioModel, noise: Any, state: State) -> State:
    """A frame whose codes may be those before, or the second after them, as the controls say."""
    output, once = _tier_step(model, 0, None, state)
    place, twice, held = pace(state[PLACE], state[TEMPO.name], state[HOLD.name])
    codes, states = model.head_state(state), [model.tier_state(0, s) for s in (state, once)]
    density = state[DENSITY.name]
    output, noise, after = paced_step(model, twice, held, density, output, noise, codes[0], *states)
    drawn, history, codes = model.head.draw_frame(state[HISTORY], output, noise, codes)
    state = {**state, HISTORY: history, OUTPUT: _moved_on(state[OUTPUT], drawn), PLACE: place}
    return {**state, **model.named_state(0, after), **model.named_head_state(codes)}


def is_paced(tempo: Any, density: Any, hold: Any) -> Any:
    """Whether frames may take no step of the tier, or two, or biased codes, in any row: a boolean.

    Where it is false, `pace` leaves the place as it is and asks for one step.
    """
    turned = ops.logical_or(tempo != 1.0, density != 0.0)
    return ops.any(ops.logical_or(turned, hold > 0.5))


def pace(place: Any, tempo: Any, hold: Any) -> tuple[Any, Any, Any]:
    """How the codes of the next frame are drawn, each `(B, 1)`.

    Args:
        place: of the frame before.
        tempo: of the control.
        hold: of the control.

    Returns:
        The place of the frame; 1 where it is the second after the one before; 1 where its codes
        stay those before.
    """
    places, draws = paced(place, tempo, 1, 1)
    held = ops.maximum(ops.cast(draws < 0.5, "float32"), ops.cast(hold > 0.5, "float32"))
    places = ops.where(tempo == 1.0, place, places)  # not rounded on the way there and back
    return places, (1.0 - held) * ops.cast(draws > 1.5, "float32"), held


def paced_step(
    model: AudioModel,
    twice: Any,
    held: Any,
    density: Any,
    output: Any,
    noise: Any,
    codes: Any,
    before: list[Any],
    after: list[Any],
) -> tuple[Any, Any, list[Any]]:
    """What a frame is drawn from, once the tier has taken no step, one or two.

    Args:
        model: one that is `paced`.
        twice: from `pace`: a frame's codes are drawn, and it is passed over.
        held: from `pace`.
        density: of the control.
        output: of the tier, after one step.
        noise: `(B, frame, K)`, prepared; for a frame that is passed over it serves in another
            order too.
        codes: of the frame before.
        before: the tier's state before that step.
        after: and after it.

    Returns:
        The tier's output, noise and the tier's state.
    """
    favoured = model.head.codes.favour_onsets(ops.flip(noise, axis=1), codes, density)
    passed = model.head.draw_codes(output, favoured)
    again, later = model.tiers[0].step(passed, None, after)
    states = [
        ops.where(held > 0, a, ops.where(twice > 0, c, b))
        for a, b, c in zip(before, after, later, strict=True)
    ]
    output = ops.where(twice[..., None] > 0, again, output)
    noise = model.head.codes.favour_onsets(noise, ops.where(twice > 0, passed, codes), density)
    return output, model.head.codes.repeat(noise, codes, held), states


def _draw_frame(model: AudioModel, i: int, conditioning: Any, noise: Any, state: State) -> State:
    if model.paced:
        return _draw_paced_frame(model, noise, state)
    output, state = _tier_step(model, i, conditioning, state)
    if i == len(model.tiers) - 1:
        drawn, history, after = model.head.draw_frame(
            state[HISTORY], output, noise, model.head_state(state)
        )
        state = {**state, HISTORY: history, OUTPUT: _moved_on(state[OUTPUT], drawn)}
        return {**state, **model.named_head_state(after)}
    below = model.tiers[i + 1].frame_size
    noises = ops.reshape(noise, (-1, model.tiers[i].frame_size // below, below, noise.shape[-1]))

    def faster_step(t: Any, state: State) -> State:
        conditioning, faster = ops.take(output, t, axis=1), ops.take(noises, t, axis=1)
        return _draw_frame(model, i + 1, conditioning, faster, state)

    return counted_loop(noises.shape[1], state, faster_step)
