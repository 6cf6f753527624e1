"""What a recipe can say: plain frozen dataclasses, no Keras, so that a mistake is found at once."""

from __future__ import annotations

import dataclasses
import difflib
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from keras_rawaudio.errors import UserError


@dataclass(frozen=True)
class SpectrumSettings:
    """Spectra that a tier sees in place of its window's samples.

    Args:
        size: samples in a spectrum, even.
        hop: samples between two spectra; the window holds as many as fit.
        form: `"parts"` (real and imaginary) or `"polar"` (log amplitude and phase).
        relative: phases as turns from the spectrum before, instead of themselves.
        filters: of a small convnet that reads the spectra as an image; 0: none.
    """

    size: int
    hop: int
    form: Literal["parts", "polar"] = "polar"
    relative: bool = False
    filters: int = 0


@dataclass(frozen=True)
class TierSettings:
    """One recurrent tier.

    Args:
        frame: samples that pass between two steps of this tier.
        window: past samples that a step sees; `None`: one frame.
        cell: `"gru"`, `"lstm"` or `"deep-gate-lstm"` (two-layer gates).
        units: width of each layer, or one width a layer.
        layers: recurrent layers, 1 to 5; `None`: one for each width in `units`.
        skips: hand the outputs of all layers on, not only the last one's; `"memories"`: what they
            remember (an LSTM's cell states) instead.
        forget_bias: start of the LSTM's forget-gate bias; `None`: 1.
        activation_noise: `None`, `"half-normal"`, `"normal"` or `"binary"`.
        preactivation_noise: standard deviation of the noise on the gates' pre-activations.
        input_noise: standard deviation of the noise on the frames that the tier reads, in training.
        clock: harmonics of a clock in time with the piece that the tier hears; 0: none.
        dropout: share of the recurrent outputs that is left out in training.
        spectrum: see the window's spectra; `None`: its samples.
        outline: read the last word of a predictive head's outline, instead of samples.
    """

    frame: int
    window: int | None = None
    cell: Literal["gru", "lstm", "deep-gate-lstm"] = "gru"
    units: int | tuple[int, ...] = 256
    layers: int | None = None
    skips: bool | Literal["memories"] = True
    forget_bias: float | None = None
    activation_noise: Literal["half-normal", "normal", "binary"] | None = None
    preactivation_noise: float = 0.0
    input_noise: float = 0.0
    clock: int = 0
    dropout: float = 0.0
    spectrum: SpectrumSettings | None = None
    outline: bool = False


@dataclass(frozen=True)
class WindowSettings:
    """How the audio is cut.

    Args:
        length: samples that a row predicts in one step of training: gradients reach back so far.
        batch: rows.
        shift: samples between the rows; `"lanes"`: rows spread evenly over the corpus; `"random"`:
            every row begins anywhere, in each batch anew; `"random-offsets"`: the first row does
            so, and each further one begins one sample later.
        sequence: samples after which a row's state begins anew, a multiple of `length`; `None`:
            not before the end of its stretch of audio.
    """

    length: int = 1024
    batch: int = 8
    shift: int | Literal["lanes", "random", "random-offsets"] = "lanes"
    sequence: int | None = None


@dataclass(frozen=True)
class TrainingSettings:
    """How the weights are found.

    Args:
        optimizer: `"adam"`, `"rmsprop"` or `"sgd"`.
        learning_rate: at the start (after warm-up).
        schedule: `"cosine"` down to a hundredth over the budget, or `"constant"`.
        warmup_steps: steps in which the rate rises linearly.
        clip_norm: gradients are scaled down to this global norm; `None`: never.
        weight_decay: share of each weight, times the learning rate, that a step takes away.
        average: share of the weights' running average that a step keeps; the average is what is
            validated, saved and exported; `None`: the weights as they are.
        early_stopping: validations without a new best before training stops; `None`: never.
        validate_every: minutes of training between two validations.
        sample_seconds: length of the audio generated at each validation; 0: none.
        jit_compile: compile the training step with XLA.
    """

    optimizer: Literal["adam", "rmsprop", "sgd"] = "adam"
    learning_rate: float = 2e-3
    schedule: Literal["cosine", "constant"] = "cosine"
    warmup_steps: int = 50
    clip_norm: float | None = 1.0
    weight_decay: float = 0.0
    average: float | None = 0.998
    early_stopping: int | None = None
    validate_every: float = 1.0
    sample_seconds: float = 4.0
    jit_compile: bool = False


@dataclass(frozen=True)
class Recipe:
    """One point of the model space, with the settings that train it.

    Args:
        name: as the file is called, or as the user says.
        description: one line.
        codec: `{"name": ..., **options}` of `keras_rawaudio.data.codecs`.
        tiers: slowest first; each frame is a multiple of the next one's.
        head: `{"kind": ..., **options}` of `keras_rawaudio.models.heads`.
        windows: how the audio is cut.
        training: how the weights are found.
    """

    name: str
    description: str
    codec: dict[str, Any]
    tiers: tuple[TierSettings, ...]
    head: dict[str, Any]
    windows: WindowSettings = field(default_factory=WindowSettings)
    training: TrainingSettings = field(default_factory=TrainingSettings)

    def to_json(self) -> dict[str, Any]:
        """The recipe as plain numbers, strings, lists and dicts."""
        return dataclasses.asdict(self)


def build(kind: type, values: Any, where: str) -> Any:
    """Make a settings dataclass from plain values, and say which one is wrong.

    Args:
        kind: the dataclass to make.
        values: a mapping of its fields.
        where: how to call this place in an error.

    Returns:
        An instance of `kind`.

    Raises:
        UserError: a key that is not one (with the nearest that is), a missing one, a wrong type.
    """
    if not isinstance(values, Mapping):
        raise UserError(f"{where}: expected settings by name, found {values!r}")
    hints = typing.get_type_hints(kind)
    fields = {f.name: f for f in dataclasses.fields(kind)}
    for key in values:
        if key not in fields:
            raise UserError(f"{where}: no setting {key!r}; {nearest(key, fields)}")
    for name, f in fields.items():
        missing = f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
        if missing and name not in values:
            raise UserError(f"{where}: the setting {name!r} is missing; add it")
    return kind(**{k: _convert(hints[k], v, f"{where}.{k}") for k, v in values.items()})


def nearest(word: str, choices: typing.Iterable[str]) -> str:
    """Words for an error: the nearest valid name, or all of them."""
    names = sorted(choices)
    close = difflib.get_close_matches(word, names, 1, 0.5)
    return f"did you mean {close[0]!r}?" if close else "choose from " + ", ".join(names)


def _convert(hint: Any, value: Any, where: str) -> Any:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if dataclasses.is_dataclass(hint):
        return build(typing.cast(type, hint), value, where)
    if origin in (types.UnionType, typing.Union):
        for option in args:
            if dataclasses.is_dataclass(option) and isinstance(value, Mapping):
                return _convert(option, value, where)  # and say what is wrong inside of it
            try:
                return _convert(option, value, where)
            except UserError:
                continue
        raise UserError(f"{where}: {value!r} does not fit; expected {_words(hint)}")
    if origin is tuple and isinstance(value, Sequence) and not isinstance(value, str):
        return tuple(_convert(args[0], v, f"{where}.{i}") for i, v in enumerate(value))
    if origin is dict and isinstance(value, Mapping):
        return dict(value)
    if origin is Literal and value in args:
        return value
    if hint is float and isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    if hint in (int, bool, str) and type(value) is hint:
        return value
    if hint is type(None) and value is None:
        return None
    raise UserError(f"{where}: {value!r} does not fit; expected {_words(hint)}")


def _words(hint: Any) -> str:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        return " or ".join(repr(a) for a in args)
    if origin in (types.UnionType, typing.Union):
        return " or ".join(_words(a) for a in args)
    if origin is tuple:
        return f"a list of {_words(args[0])}"
    return "nothing" if hint is type(None) else getattr(hint, "__name__", str(hint))
