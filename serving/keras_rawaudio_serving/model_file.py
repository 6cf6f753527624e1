"""The bytes of an ONNX file, checked before ONNX Runtime sees them.

An ONNX file can name other files ("external data") that ONNX Runtime reads into its tensors, and
old releases follow any path. So the file is scanned first. The scan reads protobuf's wire format
itself, because the onnx package is large and not needed for anything else here.
"""

from collections.abc import Iterator
from pathlib import Path

from .errors import ServingError

MAX_BYTES = 2**31 - 1  # protobuf's own limit
MAX_DEPTH = 100  # protobuf's own limit on nested messages

# Fields of onnx.proto that lead to tensors: number -> message.
_TENSOR = "tensor"
_FIELDS = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "graph": {1: "node", 5: _TENSOR, 15: "sparse"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {
        5: _TENSOR,
        6: "graph",
        10: _TENSOR,
        11: "graph",
        22: "sparse",
        23: "sparse",
    },
    "sparse": {1: _TENSOR, 2: _TENSOR},
}
_EXTERNAL_DATA, _DATA_LOCATION = 13, 14  # of a tensor


def read_model(path: Path) -> bytes:
    """Read an ONNX file that holds all of its tensors itself.

    Args:
        path: a regular file (links are followed); never a FIFO, a folder or a device.

    Returns:
        Its bytes.

    Raises:
        ServingError: no such file, not a regular file, not readable, too large, not ONNX, or a
            file with external data.
    """
    if not path.exists():
        raise ServingError(f"no such model: {path}")
    if not path.is_file():  # opening a FIFO would wait, and a device may never end
        raise ServingError(f"cannot read the model: {path} is not a regular file")
    if path.stat().st_size > MAX_BYTES:
        raise ServingError(f"{path} is not an ONNX file: it is larger than 2 GB")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ServingError(f"cannot read the model: {path}: {error.strerror or error}") from None
    try:
        external = _has_external_data(memoryview(data))
    except _NotProtobufError:
        data = b""
    # ONNX Runtime's own format, which it tells by these letters, is not scanned.
    if not data or data[4:8] == b"ORTM":
        raise ServingError(f"{path} is not an ONNX file")
    if external:
        raise ServingError(
            f"{path} keeps tensors in other files, which are never opened: export it again"
        )
    return data


class _NotProtobufError(Exception):
    pass


def _has_external_data(data: memoryview, kind: str = "model", depth: int = 0) -> bool:
    if depth > MAX_DEPTH:
        raise _NotProtobufError
    for number, value in _fields(data):
        if kind == _TENSOR:
            if number == _EXTERNAL_DATA or (number == _DATA_LOCATION and value != 0):
                return True
        elif (
            isinstance(value, memoryview)
            and number in _FIELDS[kind]
            and _has_external_data(value, _FIELDS[kind][number], depth + 1)
        ):
            return True
    return False


def _fields(data: memoryview) -> Iterator[tuple[int, int | memoryview | None]]:
    """Field numbers with their values: varints and length-delimited ones; None for fixed width."""
    place, end = 0, len(data)
    while place < end:
        tag, place = _varint(data, place)
        if tag >> 32:  # some readers keep 32 bits of it: another field to them than to this one
            raise _NotProtobufError
        number, wire_type = tag >> 3, tag & 7
        value: int | memoryview | None = None
        if wire_type == 0:
            value, place = _varint(data, place)
        elif wire_type == 2:
            size, place = _varint(data, place)
            value = data[place : place + size]
            place += size
        elif wire_type in (1, 5):
            place += 8 if wire_type == 1 else 4
        else:  # groups, which ONNX does not use
            raise _NotProtobufError
        if place > end or number == 0:
            raise _NotProtobufError
        yield number, value


def _varint(data: memoryview, place: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if place >= len(data):
            raise _NotProtobufError
        byte = data[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
    raise _NotProtobufError
