"""The metadata of an exported file, checked on its own and against the graph."""

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from .errors import ServingError

KEY = "keras_rawaudio"
FORMAT_VERSION = 1
# Limits that no real model comes near. They bound what a file can make the sampler allocate.
MAX_SAMPLE_RATE = 768_000
MAX_CHANNELS = 64
MAX_FRAME = 2**22
MAX_STREAMS = 2**16  # at once
MAX_SECONDS = 1e9  # of any length or place that is asked for
MAX_FRAME_NOISE = 2**24  # noise numbers per frame
MAX_STATE_VALUES = 2**26  # of all states of one stream
FLOAT = "tensor(float)"


@dataclass(frozen=True)
class State:
    """One named state tensor: its shape without the batch, and the value a fresh one is full of."""

    name: str
    shape: tuple[int, ...]
    initial: float


class Control(NamedTuple):
    """What may be turned while a model generates: the temperature, or a state tensor `(B, 1)`."""

    name: str
    minimum: float
    maximum: float
    default: float
    unit: str
    description: str

    def check(self, values: Iterable[float]) -> None:
        """Refuse values out of its range.

        Raises:
            ServingError: one is.
        """
        for value in values:
            if not self.minimum <= value <= self.maximum:
                raise ServingError(
                    f"{self.name} is {value:.15g}: it must be {self.minimum:g} to {self.maximum:g}"
                )


class Label(NamedTuple):
    """A piece of music, or a folder of them, that a file was trained on."""

    name: str
    share: float  # of the train part


MUSIC = "music"  # the state tensor (B, labels) that holds the weight of each label
TEMPERATURE = Control(
    "temperature", 0.1, 2.0, 1.0, "ratio", "Spread of the draws: 1 as trained, less is calmer."
)


@dataclass(frozen=True)
class Metadata:
    """The metadata of an exported generator.

    Attributes:
        sample_rate: in Hz, of all audio in and out.
        frame: both the forced and the generated samples come in multiples of this.
        channels: of the audio; 1 where the file does not say.
        delay: samples by which the first audio comes late; they belong to what was read before.
        noise_per_sample: numbers in [0, 1) that each generated sample takes.
        deterministic: True where noise and temperature have no effect.
        states: the state tensors, in the file's order.
        controls: what may be turned; the temperature alone where the file does not say. The weight
            of each label is a control `music/<name>` behind those of the file.
        labels: pieces of music that it was trained on; none of one alone.
        limits: of the train part's seconds, by name, see `stream_ranker`; may be empty.
        raw: the whole JSON object (recipe, codec, versions, ...).
    """

    sample_rate: int
    frame: int
    channels: int
    delay: int
    noise_per_sample: int
    deterministic: bool
    states: tuple[State, ...]
    controls: tuple[Control, ...]
    labels: tuple[Label, ...]
    limits: dict[str, float]
    raw: dict[str, Any]


def parse_metadata(properties: Mapping[str, str], where: str) -> Metadata:
    """Read `properties` (an ONNX file's `metadata_props`).

    Args:
        properties: key to text.
        where: the file's name, for the messages.

    Raises:
        ServingError: not a keras-rawaudio generator, an unknown format version, a damaged entry.

    Example:
        >>> text = ('{"format_version": 1, "sample_rate": 16000, "frame": 16, "states": [],'
        ...         ' "noise_per_sample": 1, "deterministic": false}')
        >>> parse_metadata({"keras_rawaudio": text}, "generator.onnx").sample_rate
        16000
    """
    if KEY not in properties:
        raise ServingError(
            f"{where} is an ONNX file but not a keras-rawaudio generator: make one with "
            "keras-rawaudio export"
        )
    damaged = f"{where} has damaged keras-rawaudio metadata"
    try:
        raw = json.loads(properties[KEY])
        version = raw["format_version"]
    except (ValueError, TypeError, KeyError, RecursionError):
        raise ServingError(f"{damaged}: export it again") from None
    if isinstance(raw, dict) and raw.get("kind") == "refiner":
        raise ServingError(f"{where} is a refiner: give it as --refiner, beside a generator")
    if version != FORMAT_VERSION or version is True:
        raise ServingError(
            f"{where} has format version {version!r:.40}, and this sampler reads version "
            f"{FORMAT_VERSION}: install a matching keras-rawaudio-serving, or export it again"
        )
    try:
        labels = _labels(raw.get("music", {"names": [], "shares": []}))
        controls = [_control(each) for each in raw.get("controls", [TEMPERATURE._asdict()])]
        metadata = Metadata(
            sample_rate=_integer(raw, "sample_rate", 1, MAX_SAMPLE_RATE),
            frame=_integer(raw, "frame", 1, MAX_FRAME),
            channels=_integer({"channels": 1, **raw}, "channels", 1, MAX_CHANNELS),
            delay=_integer({"delay": 0, **raw}, "delay", 0, MAX_FRAME),
            noise_per_sample=_integer(raw, "noise_per_sample", 0, MAX_FRAME_NOISE),
            deterministic=bool(raw["deterministic"]),
            states=tuple(_state(each) for each in raw["states"]),
            controls=(*controls, *(_weight(label.name) for label in labels)),
            labels=labels,
            limits={str(k): _number(v, k) for k, v in raw.get("limits", {}).items()},
            raw=raw,
        )
        names = [state.name for state in metadata.states]
        if len(set(names)) < len(names):
            raise ValueError("two states of one name")
        shapes = {state.name: state.shape for state in metadata.states}
        if labels and shapes.get(MUSIC) != (len(labels),):
            raise ValueError("the names of its music are not of this graph")
        turned = [c.name for c in controls]
        settable = {"temperature", *(s.name for s in metadata.states if s.shape == (1,))}
        if len(set(turned)) < len(turned) or not settable.issuperset(turned):
            raise ValueError(f"controls {turned!r:.60} are not of this graph")
        if metadata.frame * metadata.noise_per_sample > MAX_FRAME_NOISE:
            raise ValueError("more noise per frame than any model takes")
        if sum(math.prod(state.shape) for state in metadata.states) > MAX_STATE_VALUES:
            raise ValueError("states larger than any model has")
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        text = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise ServingError(f"{damaged} ({text[:120]}): export it again") from None
    return metadata


class Declared(NamedTuple):
    """The type and the shape that a graph declares for a tensor; sizes may be names or None."""

    type: str
    shape: list[int | str | None]


def declared(tensors: Iterable[Any]) -> dict[str, Declared]:
    """Inputs or outputs of an `onnxruntime.InferenceSession`, by name.

    Raises:
        UnicodeDecodeError: a name that is not UTF-8.
    """
    return {t.name: Declared(t.type, list(t.shape or [])) for t in tensors}


def check_graph(
    metadata: Metadata,
    inputs: Mapping[str, Declared],
    outputs: Mapping[str, Declared],
    where: str,
) -> None:
    """Compare metadata with the tensors that the graph declares.

    Args:
        metadata: of the file.
        inputs: of the graph.
        outputs: likewise.
        where: the file's name, for the messages.

    Raises:
        ServingError: a tensor is missing, unknown, or of another type or shape.
    """
    last = (metadata.channels,) if metadata.channels > 1 else ()
    states = {state.name: (None, *state.shape) for state in metadata.states}
    required = {"forced": (None, None, *last), "noise": (None, None, metadata.noise_per_sample)}
    required |= states
    results = {"audio": (None, None, *last)} | {f"{n}_next": s for n, s in states.items()}
    missing = (required.keys() - inputs.keys()) | (results.keys() - outputs.keys())
    if missing:
        raise ServingError(f"{where} lacks {', '.join(sorted(missing))}: export it again")
    # A deterministic graph may have no use for, and so no input for, the temperature.
    optional = {"temperature": (None,), "score": ()}
    unknown = inputs.keys() - required.keys() - optional.keys()
    if unknown:
        raise ServingError(
            f"{where} needs inputs that this sampler does not know: {', '.join(sorted(unknown))}"
        )
    for name, shape in (required | optional).items():
        if name in inputs:
            kind = "tensor(bool)" if name == "score" else FLOAT
            _check_tensor(name, inputs[name], kind, shape, where, fixed=True)
    for name, shape in results.items():
        _check_tensor(name, outputs[name], FLOAT, shape, where, fixed=False)


def _check_tensor(
    name: str,
    tensor: Declared,
    kind: str,
    shape: tuple[int | None, ...],
    where: str,
    fixed: bool,
) -> None:
    """None in `shape` is any size. Unless `fixed`, the graph may leave other sizes open too."""
    same = len(tensor.shape) == len(shape) and all(
        wanted is None or size == wanted or not (fixed or isinstance(size, int))
        for size, wanted in zip(tensor.shape, shape, strict=True)
    )
    if tensor.type != kind or not (same or (not tensor.shape and not fixed)):
        expected = ", ".join("any" if size is None else str(size) for size in shape)
        raise ServingError(
            f"{where}: {name} is {tensor.type} {tensor.shape}, and its metadata says {kind} "
            f"[{expected}]: export it again"
        )


def _integer(raw: Mapping[str, Any], key: str, low: int, high: int) -> int:
    value = raw[key]
    if type(value) is not int or not low <= value <= high:
        raise ValueError(f"{key} is {value!r:.40}, not a whole number from {low} to {high}")
    return value


def _number(value: Any, name: str) -> float:
    if type(value) not in (int, float) or not abs(value) < 1e30:
        raise ValueError(f"{name} is {value!r:.40}, not a number")
    return float(value)


def _state(raw: Mapping[str, Any]) -> State:
    name = raw["name"]
    if type(name) is not str:
        raise ValueError(f"a state's name is {name!r:.40}")
    shape = [_integer({"size": size}, "size", 0, MAX_STATE_VALUES) for size in raw["shape"]]
    return State(name, tuple(shape), _number(raw["initial"], f"the initial value of {name}"))


def _labels(raw: Mapping[str, Any]) -> tuple[Label, ...]:
    names, shares = raw["names"], [_number(share, "a share of music") for share in raw["shares"]]
    if any(type(name) is not str for name in names) or len(set(names)) < len(names):
        raise ValueError("names of music that are no names, or not different")
    if (
        len(names) != len(shares)
        or any(share < 0 for share in shares)
        or (names and not any(shares))
    ):
        raise ValueError("the shares of its music are not those of its names")
    return tuple(Label(*both) for both in zip(names, shares, strict=True))


def _weight(name: str) -> Control:
    return Control(f"{MUSIC}/{name}", 0.0, 1.0, 0.0, "weight", f"Weight of the music {name}.")


def _control(raw: Mapping[str, Any]) -> Control:
    name, unit, description = (raw[key] for key in ("name", "unit", "description"))
    if any(type(text) is not str for text in (name, unit, description)):
        raise ValueError("a control without a name, unit or description")
    low, high, default = (
        _number(raw[key], f"the {key} of {name}") for key in ("minimum", "maximum", "default")
    )
    if not low <= default <= high:
        raise ValueError(f"the range of {name} is empty")
    return Control(name, low, high, default, unit, description)
