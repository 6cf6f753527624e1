"""Model files from anywhere: refused in one line, before anything of theirs is opened or made."""

import contextlib
import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from keras_rawaudio_serving import Sampler, ServingError
from keras_rawaudio_serving.cli import main
from keras_rawaudio_serving.model_file import read_model
from onnx import TensorProto, helper

Toy = Callable[..., Path]
KEY = "keras_rawaudio"


def external(name: str = "stolen") -> onnx.TensorProto:
    tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=[4])
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "/etc/passwd"
    return tensor


def branch(*nodes: onnx.NodeProto, inits: tuple[onnx.TensorProto, ...] = ()) -> onnx.GraphProto:
    return helper.make_graph(nodes, "branch", [], [], inits)


def in_the_graph(model: onnx.ModelProto) -> None:
    model.graph.initializer.append(external())


def in_a_constant(model: onnx.ModelProto) -> None:
    model.graph.node.append(helper.make_node("Constant", [], ["stolen"], value=external()))


def after_a_real_number(model: onnx.ModelProto) -> None:
    model.graph.node.append(helper.make_node("Constant", [], ["half"], value_float=0.5))
    in_a_constant(model)


def in_a_branch(model: onnx.ModelProto) -> None:
    inner = helper.make_node("If", ["x"], [], then_branch=branch(inits=(external(),)))
    model.graph.node.append(helper.make_node("If", ["x"], [], else_branch=branch(inner)))


def in_a_sparse_tensor(model: onnx.ModelProto) -> None:
    model.graph.sparse_initializer.add().values.CopyFrom(external())


def in_a_function(model: onnx.ModelProto) -> None:
    node = helper.make_node("Constant", [], ["stolen"], value=external())
    model.functions.add(name="steal", domain="x").node.append(node)


def attribute_of(model: onnx.ModelProto) -> onnx.AttributeProto:
    model.graph.node.append(helper.make_node("Anything", [], ["stolen"]))
    attribute: onnx.AttributeProto = model.graph.node[-1].attribute.add()
    attribute.name = "hidden"
    return attribute


def in_a_list_of_tensors(model: onnx.ModelProto) -> None:
    attribute_of(model).tensors.append(external())


def in_a_list_of_graphs(model: onnx.ModelProto) -> None:
    attribute_of(model).graphs.append(branch(inits=(external(),)))


def in_a_sparse_attribute(model: onnx.ModelProto) -> None:
    attribute_of(model).sparse_tensor.indices.CopyFrom(external())


def in_a_list_of_sparse_tensors(model: onnx.ModelProto) -> None:
    attribute_of(model).sparse_tensors.add().values.CopyFrom(external())


def in_a_functions_attribute(model: onnx.ModelProto) -> None:
    default = model.functions.add(name="steal", domain="x").attribute_proto.add(name="hidden")
    default.t.CopyFrom(external())


def in_a_training_graph(model: onnx.ModelProto) -> None:
    model.training_info.add().algorithm.initializer.append(external())


def by_name_alone(model: onnx.ModelProto) -> None:
    tensor = external()
    tensor.ClearField("data_location")
    model.graph.initializer.append(tensor)


def by_location_alone(model: onnx.ModelProto) -> None:
    tensor = external()
    del tensor.external_data[:]
    model.graph.initializer.append(tensor)


@pytest.mark.parametrize(
    "hide",
    [
        in_the_graph,
        in_a_constant,
        after_a_real_number,
        in_a_branch,
        in_a_sparse_tensor,
        in_a_function,
        in_a_list_of_tensors,
        in_a_list_of_graphs,
        in_a_sparse_attribute,
        in_a_list_of_sparse_tensors,
        in_a_functions_attribute,
        in_a_training_graph,
        by_name_alone,
        by_location_alone,
    ],
)
def test_external_data_is_refused_before_the_file_is_opened(
    toy: Toy,
    tmp_path: Path,
    hide: Callable[[onnx.ModelProto], None],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def never(*args: object, **options: object) -> None:
        raise AssertionError("the model was opened")

    monkeypatch.setattr(onnxruntime, "InferenceSession", never)
    model = onnx.load(str(toy()))
    hide(model)
    path = tmp_path / "hostile.onnx"
    path.write_bytes(model.SerializeToString())
    assert main([str(path), "--seconds", "1", "--out", str(tmp_path / "new.wav")]) == 2
    error = capsys.readouterr().err
    assert "keeps tensors in other files" in error
    assert error.count("\n") == 1


def test_what_is_no_regular_file_is_refused_at_once(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo.onnx"
    os.mkfifo(fifo)
    link = tmp_path / "link.onnx"
    link.symlink_to("/dev/zero")
    for path in (fifo, link, Path("/dev/null"), tmp_path):
        with pytest.raises(ServingError, match="not a regular file"):
            Sampler.load(path)


def test_the_runtimes_own_format_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"\x08\x08\x12\x04ORTM")
    with pytest.raises(ServingError, match="is not an ONNX file"):
        Sampler.load(path)


def test_a_file_over_the_limit_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "large.onnx"
    with path.open("wb") as file:
        file.truncate(2**31)  # sparse
    with pytest.raises(ServingError, match="larger than 2 GB"):
        Sampler.load(path)


@pytest.mark.parametrize("levels", [20, 40, 5000])
def test_graphs_in_graphs_are_read_to_a_depth(tmp_path: Path, levels: int) -> None:
    """As many as protobuf reads; the scan of more would end in Python's own limit."""

    def field(number: int, content: bytes) -> bytes:
        size, length = len(content), b""
        while size >> 7:
            length, size = length + bytes([size & 127 | 128]), size >> 7
        return bytes([number << 3 | 2]) + length + bytes([size]) + content

    graph = b""
    for _ in range(levels):  # a node, its attribute, and the graph in it
        graph = field(1, field(5, field(6, graph)))
    path = tmp_path / "deep.onnx"
    path.write_bytes(field(7, graph))
    if 3 * levels < 100:
        assert read_model(path) == path.read_bytes()
    else:
        with pytest.raises(ServingError, match="is not an ONNX file"):
            read_model(path)


@given(data=st.binary(max_size=300))
@settings(
    max_examples=200, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_bytes_are_read_or_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "any.onnx"
    path.write_bytes(data)
    with contextlib.suppress(ServingError):
        assert read_model(path) == data


@given(place=st.integers(0, 10**6), byte=st.integers(0, 255))
@settings(
    max_examples=60, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_a_changed_byte_is_one_line_or_audio(toy: Toy, place: int, byte: int) -> None:
    data = bytearray(toy().read_bytes())
    data[place % len(data)] = byte
    path = toy().with_name("changed.onnx")
    path.write_bytes(data)
    message = ""
    try:
        assert np.isfinite(Sampler.load(path).generate(0.01)).all()
    except ServingError as error:
        message = str(error)
    assert "\n" not in message


@pytest.mark.parametrize("name", [b"model", b"model.ort", "café.onnx".encode(), b"caf\xe9.onnx"])
def test_any_name_of_a_file_plays(toy: Toy, name: bytes) -> None:
    path = Path(os.fsdecode(os.fsencode(toy().parent) + b"/" + name))
    try:
        path.write_bytes(toy().read_bytes())
    except OSError:
        pytest.skip("this file system has no such names")
    audio = Sampler.load(path, random_seed=1).generate(0.1)
    np.testing.assert_array_equal(audio, Sampler.load(toy(), random_seed=1).generate(0.1))


def test_onnx_runtime_reads_the_file_itself(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of bytes it makes two copies beside them, at once in memory."""
    opened = []
    real = onnxruntime.InferenceSession

    def session(model: object, *args: object, **options: object) -> onnxruntime.InferenceSession:
        opened.append(model)
        return real(model, *args, **options)

    monkeypatch.setattr(onnxruntime, "InferenceSession", session)
    Sampler.load(toy())
    assert opened == [str(toy())]


LEVEL = {"name": "level", "shape": [1], "initial": 0.0}
CLOCK = {"name": "clock", "shape": [], "initial": 0.0}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sample_rate": 10**9}, "sample_rate is 1000000000, not a whole number"),
        ({"sample_rate": 10**23}, "sample_rate is 1"),
        ({"sample_rate": 8000.5}, "sample_rate is 8000.5"),
        ({"sample_rate": True}, "sample_rate is True"),
        ({"sample_rate": "8000"}, "sample_rate is '8000'"),
        ({"channels": 0}, "channels is 0"),
        ({"channels": 2}, r"forced is tensor\(float\)"),
        ({"noise_per_sample": 10**7}, "noise"),
        ({"noise_per_sample": 3}, r"noise is tensor\(float\)"),
        ({"states": [{**LEVEL, "shape": [2]}, CLOCK]}, r"level is tensor\(float\)"),
        ({"states": [{**LEVEL, "shape": [10**12]}, CLOCK]}, "size is 1000000000000"),
        ({"states": [{**LEVEL, "shape": [2**25, 2**25]}, CLOCK]}, "states larger"),
        ({"states": [{**LEVEL, "shape": [-1]}, CLOCK]}, "size is -1"),
        ({"states": [LEVEL, CLOCK, CLOCK]}, "two states of one name"),
        ({"states": [{**LEVEL, "initial": float("nan")}, CLOCK]}, "initial value of level is nan"),
        ({"states": [LEVEL]}, "inputs that this sampler does not know: clock"),
        ({"states": {"level": 1}}, "damaged"),
        ({"states": None}, "damaged"),
        ({"limits": [1, 2]}, "damaged"),
        ({"limits": {"loudest": "very"}}, "loudest is 'very'"),
        ({"format_version": [1]}, r"format version \[1\]"),
        ({"format_version": True}, "format version True"),
    ],
)
def test_metadata_is_checked_against_the_graph(
    toy: Toy, changes: dict[str, object], message: str
) -> None:
    with pytest.raises(ServingError, match=message) as caught:
        Sampler.load(toy(**changes))
    assert "\n" not in str(caught.value)


def with_metadata(path: Path, text: str) -> Path:
    model = onnx.load(str(path))
    model.metadata_props[0].value = text
    onnx.save(model, str(path))
    return path


@pytest.mark.parametrize("text", ["[" * 100_000, "[]", "null", "7", '{"format_version": 1}', ""])
def test_metadata_that_is_no_object_is_damaged(toy: Toy, text: str) -> None:
    with pytest.raises(ServingError, match="damaged keras-rawaudio metadata"):
        Sampler.load(with_metadata(toy(), text))


def test_a_run_that_fails_is_one_line(toy: Toy, capfd: pytest.CaptureFixture[str]) -> None:
    """The metadata's frame is not the graph's, which no declared shape shows."""
    path = toy(frame=4)
    metadata = json.loads(onnx.load(str(path)).metadata_props[0].value) | {"frame": 3}
    with_metadata(path, json.dumps(metadata))
    out = path.with_name("new.wav")
    assert main([str(path), "--seconds", "1", "--quiet", "--out", str(out)]) == 2
    error = capfd.readouterr().err
    assert "fails in onnxruntime" in error
    assert error.count("\n") == 1
    assert not out.exists()


@pytest.mark.parametrize("number", [7, 5, 13])  # graph, initializer, external_data
def test_a_tag_of_more_than_32_bits_is_refused(tmp_path: Path, number: int) -> None:
    """protobuf reads 32 bits of it: to ONNX Runtime it would be another field."""

    def field(number: int, content: bytes) -> bytes:
        tag = number << 3 | 2
        head = bytes([tag])
        if number == hidden:  # the same tag with bit 32
            head = bytes([tag | 0x80, 0x80, 0x80, 0x80, 0x10])
        return head + bytes([len(content)]) + content

    for hidden in (0, number):
        tensor = external()
        entry = tensor.external_data[0].SerializeToString()
        path = tmp_path / "hostile.onnx"
        path.write_bytes(field(7, field(5, field(13, entry))))
        with pytest.raises(ServingError, match="is not an ONNX file" if hidden else "other files"):
            read_model(path)
