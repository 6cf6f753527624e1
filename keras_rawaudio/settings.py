"""Base class of all settings: checked by pydantic, frozen, one line per mistake."""

from __future__ import annotations

import json
import re
import reprlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from pydantic_core import ErrorDetails, PydanticCustomError

from keras_rawaudio.errors import UserError, nearest

Kind = TypeVar("Kind", bound="Settings")
LARGEST_FILE = 1 << 20  # bytes
MOST_DIGITS = 300  # of a whole number; each of them is finite as a float, too
# As YAML 1.2 has them, and YAML 1.1, which PyYAML reads, has not: 1e-3, 1.5e3.
EXPONENT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)[eE][-+]?[0-9]+$")
TOO_MANY_DIGITS = f"a whole number has more than {MOST_DIGITS} digits"


class Settings(BaseModel):
    """Settings by name: no other names, no other types, no nan, nothing that changes later.

    Example:
        >>> class Size(Settings):
        ...     width: int = 4
        >>> Size(width=3)
        Size(width=3)
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        allow_inf_nan=False,
        use_attribute_docstrings=True,
    )

    @model_validator(mode="before")
    @classmethod
    def _offer_the_nearest_name(cls, values: Any) -> Any:
        if isinstance(values, Mapping):
            for key in values:
                if key not in cls.model_fields:
                    reason = f"no setting {reprlib.repr(key)}; {nearest(key, cls.model_fields)}"
                    raise PydanticCustomError("unknown", "{reason}", {"reason": reason})
        return values


def checked(kind: type[Kind], values: Any, where: str) -> Kind:
    """Make settings from plain values, or say in one line which value is wrong.

    Args:
        kind: the settings to make.
        values: what a file or a flag holds.
        where: what to call the place in an error.

    Returns:
        The settings.

    Raises:
        UserError: a name, type or value that does not fit.

    Example:
        >>> class Size(Settings):
        ...     width: int = 4
        >>> checked(Size, {"widht": 3}, "size")
        Traceback (most recent call last):
        ...
        keras_rawaudio.errors.UserError: size: no setting 'widht'; did you mean 'width'?
    """
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        raise UserError(f"{where}: {_first_mistake(error, values)}") from None


def flat(values: Any, name: str = "") -> dict[str, str]:
    """Nested settings by their dotted names, as `--set` takes them.

    Example:
        >>> flat({"tiers": [{"frame_size": 64}], "codec": {"name": "peak"}})
        {'tiers.0.frame_size': '64', 'codec.name': 'peak'}
    """
    if isinstance(values, dict):
        inside = [(str(key), value) for key, value in values.items()]
    elif isinstance(values, (list, tuple)):
        inside = [(str(i), value) for i, value in enumerate(values)]
    else:
        return {name: "none" if values is None else str(values)}
    found: dict[str, str] = {}
    for key, value in inside:
        found |= flat(value, f"{name}.{key}" if name else key)
    return found


def read_settings(path: Path, what: str) -> dict[str, Any]:
    """What a YAML or JSON file of settings holds.

    Args:
        path: the file; it is JSON where its name says so.
        what: what to call it in an error, such as `"recipe"`.

    Returns:
        The settings by name, not yet checked.

    Raises:
        UserError: no such file, too large, not UTF-8, not YAML, or no settings by name.
    """
    text = _text(path, what)
    try:
        values = _json(text) if path.suffix.lower() == ".json" else load_yaml(text)
    except (ValueError, RecursionError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(
            f"{what} {path} is neither YAML nor JSON: {reason}; mend the file"
        ) from None
    if not isinstance(values, dict):
        raise UserError(f"{what} {path} holds no settings by name; see the shipped recipes")
    return values


def load_yaml(text: str) -> Any:
    """What YAML text holds.

    Raises:
        ValueError: not YAML, a name that is there twice, or nested too deeply.

    Example:
        >>> load_yaml("{batch: 4, learning_rate: 1e-3}")
        {'batch': 4, 'learning_rate': 0.001}
    """
    import yaml

    class Loader(yaml.SafeLoader):
        """Refuses a name that is there twice, of which YAML's own takes the last; huge numbers."""

        def construct_mapping(self, node: Any, deep: bool = False) -> Any:
            pairs = node.value if isinstance(node, yaml.MappingNode) else []
            keys = [key for key, _ in pairs if isinstance(key, yaml.ScalarNode)]
            _refuse_twice([key.value for key in keys if key.tag != "tag:yaml.org,2002:merge"])
            return super().construct_mapping(node, deep)

        def construct_yaml_int(self, node: Any) -> int:
            value: int = super().construct_yaml_int(node)
            if abs(value) >= 10**MOST_DIGITS:
                raise ValueError(TOO_MANY_DIGITS)
            return value

    Loader.add_constructor("tag:yaml.org,2002:int", Loader.construct_yaml_int)
    Loader.add_implicit_resolver("tag:yaml.org,2002:float", EXPONENT, list("-+.0123456789"))
    try:
        return yaml.load(text, Loader)
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from None
    except (LookupError, AttributeError, ArithmeticError):  # a tag before what it is not
        raise ValueError("a value is not of the kind that its tag names") from None
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _json(text: str) -> Any:
    """What JSON text holds.

    Raises:
        ValueError: not JSON, a name that is there twice, or text that is no Unicode.
    """

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        _refuse_twice([name for name, _ in pairs])
        return dict(pairs)

    values = json.loads(text, object_pairs_hook=once, parse_int=whole_number)
    json.dumps(values, ensure_ascii=False).encode()  # half a character cannot be written
    return values


def whole_number(text: str) -> int:
    """A whole number of a file; with too many digits it would not fit into a float.

    Raises:
        ValueError: it has too many.

    Example:
        >>> whole_number("12")
        12
    """
    if len(text) > MOST_DIGITS:
        raise ValueError(TOO_MANY_DIGITS)
    return int(text)


def _refuse_twice(names: list[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise ValueError(f"{name!r} is there twice; keep one")
        seen.add(name)


def _text(path: Path, what: str) -> str:
    """A file's text, if it is a file and holds text."""
    try:
        if not path.is_file():
            raise UserError(f"no such {what} file: {path}; check the path")
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}; check the path") from None
    if len(content) > LARGEST_FILE:
        raise UserError(f"{path} is larger than {LARGEST_FILE} bytes; it is no {what}")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(
            f"{what} {path} is not UTF-8 at byte {error.start}; save it as UTF-8"
        ) from None


def _first_mistake(error: ValidationError, values: Any) -> str:
    details = [(_place(detail, values), detail) for detail in error.errors(include_url=False)]
    first = details[0][0]
    # A field of several types has an error for each of them: those furthest inside say most.
    place = max((place for place, _ in details if place[: len(first)] == first), key=len)
    reasons = dict.fromkeys(_reason(detail) for there, detail in details if there == place)
    return ": ".join([*([".".join(place)] if place else []), ", or ".join(reasons)])


def _place(detail: ErrorDetails, values: Any) -> list[str]:
    """The keys that lead to the value; pydantic adds names of types between them."""
    place = []
    for step in detail["loc"]:
        is_item = isinstance(values, Sequence) and isinstance(step, int) and step < len(values)
        if is_item or (isinstance(values, Mapping) and step in values):
            values = values[step]
            place.append(str(step) if str(step).isprintable() else repr(step))
    return place


def _reason(detail: ErrorDetails) -> str:
    found = reprlib.repr(detail["input"])
    context = detail.get("ctx", {})
    match detail["type"]:
        case "missing":
            return f"the setting {detail['loc'][-1]!r} is missing; add it"
        case "union_tag_not_found":
            return f"the setting {context['discriminator']} is missing; add it"
        case "union_tag_invalid":
            choices = [name.strip("'") for name in context["expected_tags"].split(", ")]
            return f"no {reprlib.repr(context['tag'])}; {nearest(context['tag'], choices)}"
        case "model_type" | "model_attributes_type":
            return f"{found} should be settings by name"
        case "literal_error":
            return f"{found} should be {context['expected']}"
        case "tuple_type":
            return f"{found} should be a list"
        case "value_error":
            return str(context["error"])
    text = detail["msg"]
    return f"{found}{text.removeprefix('Input')}" if text.startswith("Input ") else text
