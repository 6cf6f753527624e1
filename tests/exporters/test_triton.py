"""Model repositories for Triton: its schema, the file that they name, and what they play."""

import importlib.util
import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
import pytest
import soundfile

from keras_rawaudio.exporters.triton import model_config, write_model_repository
from keras_rawaudio.models.controls import TEMPERATURE

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "serving"))

from .triton_server import Server, schema  # noqa: E402

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("tritonclient") is None, reason="tritonclient is not installed"
)
FIRST, SECOND = 7, 8  # numbers of sequences
SLOW = ["lstm over lstm, windows", "spectral, mono", "spectral, stereo"]
NAMES = ["mixture", *(pytest.param(n, marks=pytest.mark.slow) for n in SLOW)]


class Repository:
    """A small model's file with its metadata, and the model folder made of them."""

    def __init__(self, generator, folder):
        self.model = generator.model
        controls = [TEMPERATURE, *self.model.controls]
        self.metadata = generator.metadata | {
            "channels": self.model.channels,
            "delay": self.model.delay,
            "controls": [control._asdict() for control in controls],
        }
        proto = onnx.load(generator.path)
        onnx.helper.set_model_props(proto, {"keras_rawaudio": json.dumps(self.metadata)})
        self.file = folder / "generator.onnx"
        onnx.save(proto, self.file)
        write_model_repository(self.file, self.metadata, folder / "triton")
        self.folder = folder / "triton" / "generator"

    def sampler(self, **options):
        from keras_rawaudio_serving.sampler import Sampler

        return Sampler.load(self.file, **options)

    def request(self, noise, **controls):
        """The tensors of a request, without the batch axis."""
        channels = [self.model.channels] if self.model.channels > 1 else []
        values = {c["name"]: c["default"] for c in self.metadata["controls"]} | controls
        labels = self.model.labels
        return {
            **({"music": np.zeros(len(labels), "float32")} if labels else {}),
            "forced": np.zeros((0, *channels), "float32"),
            "noise": noise,
            **{name: np.full(1, value, "float32") for name, value in values.items()},
        }

    def agree(self, found, wanted):
        """The same; where phases were searched for, at first, then the same level."""
        if self.model.head.kind != "codes":
            np.testing.assert_allclose(found, wanted, atol=1e-5)
            return
        # The search makes much of rounding, which differs between batches of two sizes.
        start = self.model.block
        np.testing.assert_allclose(found[:start], wanted[:start], atol=0.05 * np.std(wanted))
        assert np.std(found) == pytest.approx(np.std(wanted), rel=0.15)


@pytest.fixture(params=NAMES)
def repository(request, exported, tmp_path):
    return Repository(exported(request.param), tmp_path)


def test_the_configuration_names_what_the_file_has(repository):
    """As Triton's backend compares them when it loads a model."""
    config = Server(repository.folder).config
    graph = onnx.load(repository.folder / "1" / "model.onnx").graph
    with_a_value = {tensor.name for tensor in graph.initializer}
    states = config.sequence_batching.state

    def declared(tensors):
        found = {}
        for tensor in tensors:
            kind = tensor.type.tensor_type
            assert kind.elem_type == onnx.TensorProto.FLOAT
            batch, *dims = [d.dim_value if d.HasField("dim_value") else -1 for d in kind.shape.dim]
            assert batch == -1
            found[tensor.name] = dims
        return found

    for each in (*config.input, *config.output, *states):
        assert each.data_type == schema().TYPE_FP32
    given = {
        each.name: list(each.reshape.shape if each.HasField("reshape") else each.dims)
        for each in config.input
    }
    carried = {state.input_name: list(state.dims) for state in states}
    assert given | carried == declared(t for t in graph.input if t.name not in with_a_value)
    assert not given.keys() & carried.keys()
    made = {each.name: list(each.dims) for each in config.output}
    after = {state.output_name: list(state.dims) for state in states}
    controls = {f"{name}_next" for name in given}
    assert made | after == declared(
        t for t in graph.output if t.name not in controls and t.name != "bits"
    )


def test_states_sort_alike_before_and_after(repository):
    """Triton pairs what comes in and what goes out by places in two sorted lists."""
    states = Server(repository.folder).config.sequence_batching.state
    pairs = {state.input_name: state.output_name for state in states}
    assert [pairs[name] for name in sorted(pairs)] == sorted(pairs.values())


def test_two_sequences_in_batches_are_two_streams_of_the_sampler(repository):
    """The second begins later, in requests of other lengths, and one begins anew at the end."""
    server, F = Server(repository.folder), repository.model.block
    K = repository.model.head.noise_per_sample
    wanted, noise = [], []
    for seed in (3, 4):
        sampler = repository.sampler(random_seed=seed, temperature=0.8)
        (audio,) = sampler.generate((6 * F - sampler.metadata.delay) / sampler.sample_rate)
        wanted.append(audio)
        noise.append(np.random.default_rng([seed, 0]).random((6 * F, K), "float32"))

    def play(*parts):
        return server.infer(
            [(n, start, repository.request(x, temperature=0.8)) for n, start, x in parts]
        )

    found = [play((FIRST, True, noise[0][:F])), []]
    for i in (0, 2):
        both = play(
            (FIRST, False, noise[0][(i + 1) * F : (i + 3) * F]),
            (SECOND, i == 0, noise[1][i * F : (i + 2) * F]),
        )
        for parts, part in zip(found, both, strict=True):
            parts.append(part)
    found[0] += play((FIRST, False, noise[0][5 * F :]))
    found[1] += play((SECOND, False, noise[1][4 * F :]))
    late = repository.model.delay
    for parts, audio in zip(found, wanted, strict=True):
        repository.agree(np.concatenate(parts)[late:], audio)
    (again,) = play((FIRST, True, noise[0][:F]))
    repository.agree(again, found[0][0])


@pytest.mark.slow
def test_a_control_holds_for_its_request(exported, tmp_path):
    repository = Repository(exported("spectral, mono"), tmp_path)
    noise = np.random.default_rng(0).random((40 * repository.model.block, 1), "float32")
    sizes = []
    for level in (0.0, -20.0):
        request = repository.request(noise, level=level)
        (audio,) = Server(repository.folder).infer([(FIRST, True, request)])
        sizes.append(np.std(audio[len(audio) // 2 :]))
    assert sizes[1] / sizes[0] == pytest.approx(0.1, rel=1e-3)


@pytest.fixture
def client():
    """The example, as a module."""
    pytest.importorskip("tritonclient.grpc", exc_type=ImportError)
    path = ROOT / "examples" / "triton_client.py"
    spec = importlib.util.spec_from_file_location("triton_client", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_example_writes_what_the_sampler_makes(exported, tmp_path, client, monkeypatch):
    """By Triton's own client and protocol, on the loopback interface."""
    repository = Repository(exported("mixture"), tmp_path)
    monkeypatch.setattr(client, "BLOCK_SECONDS", 0.05)
    with serving(Server(repository.folder)) as url:
        options = ["--url", url, "--seconds", "0.3", "--random-seed", "5"]
        client.main([*options, "--control", "temperature=0.7", "--out", str(tmp_path / "a.wav")])
    sampler = repository.sampler(random_seed=5, temperature=0.7)
    found, rate = soundfile.read(tmp_path / "a.wav", dtype="float32")
    assert rate == sampler.sample_rate
    np.testing.assert_allclose(found, sampler.generate(0.3)[0], atol=1e-4)  # in 16 bits


def test_text_of_all_kinds_is_read_back():
    from google.protobuf import text_format

    names = ['a "night"', "jour d'été", "back\\slash"]
    metadata = {
        "channels": 2,
        "noise_per_sample": 1,
        "controls": [],
        "states": [{"name": "music", "shape": [3], "initial": 0.0}],
        "music": {"names": names, "shares": [0.2, 0.3, 0.5]},
    }
    config = text_format.Parse(model_config(metadata), schema().ModelConfig())
    about = json.loads(config.parameters["keras_rawaudio"].string_value)
    assert about["music"]["names"] == names
    assert [each.name for each in config.input] == ["forced", "noise", "temperature", "music"]
    assert not config.sequence_batching.state


def serving(server):
    """A gRPC service of one model under Triton's protocol: a context whose value is its address."""
    from contextlib import contextmanager

    import grpc
    from tritonclient.grpc import service_pb2, service_pb2_grpc

    class Service(service_pb2_grpc.GRPCInferenceServiceServicer):
        def ModelConfig(self, request, context):  # noqa: N802
            text = server.config.SerializeToString()
            answer = service_pb2.ModelConfigResponse()
            answer.config.ParseFromString(text)
            return answer

        def ModelInfer(self, request, context):  # noqa: N802
            tensors = {}
            for given, raw in zip(request.inputs, request.raw_input_contents, strict=True):
                assert given.shape[0] == 1
                tensors[given.name] = np.frombuffer(raw, "<f4").reshape(given.shape)[0]
            number = request.parameters["sequence_id"].int64_param
            start = request.parameters["sequence_start"].bool_param
            (audio,) = server.infer([(number, start, tensors)])
            answer = service_pb2.ModelInferResponse(model_name="generator", model_version="1")
            answer.outputs.add(name="audio", datatype="FP32", shape=[1, *audio.shape])
            answer.raw_output_contents.append(audio.tobytes())
            return answer

    @contextmanager
    def running():
        service = grpc.server(ThreadPoolExecutor(1))
        service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(Service(), service)
        port = service.add_insecure_port("127.0.0.1:0")
        service.start()
        try:
            yield f"127.0.0.1:{port}"
        finally:
            service.stop(0).wait()

    return running()
