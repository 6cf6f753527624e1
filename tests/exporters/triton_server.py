"""What Triton's sequence batcher does with a model repository, in ONNX Runtime, for tests."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import onnxruntime
from google.protobuf import text_format


def schema():
    """Triton's published protobuf schema of `config.pbtxt`; an ImportError where it is missing."""
    name = "tritonclient_model_config_pb2"  # without the client around it, which needs gRPC
    if name not in sys.modules:
        found = importlib.util.find_spec("tritonclient")
        if found is None:
            raise ImportError("tritonclient is not installed")
        path = Path(found.submodule_search_locations[0]) / "grpc" / "model_config_pb2.py"
        spec = importlib.util.spec_from_file_location(name, path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        sys.modules[name] = module
    return sys.modules[name]


class Server:
    """One model of a repository, and the implicit states of its sequences.

    Args:
        folder: of the model: `config.pbtxt`, `1/model.onnx`, `initial_state/`.

    Attributes:
        config: the parsed configuration.
        session: of the file.
    """

    def __init__(self, folder):
        self.folder = folder
        text = (folder / "config.pbtxt").read_text()
        self.config = text_format.Parse(text, schema().ModelConfig())
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 4
        self.session = onnxruntime.InferenceSession(
            folder / "1" / "model.onnx", options, providers=["CPUExecutionProvider"]
        )
        self.states = {}

    def infer(self, requests):
        """Run requests of different sequences as one batch.

        Args:
            requests: for each, the sequence's number, whether it starts here, and its tensors
                without the batch axis, by name.

        Returns:
            For each, its `audio` without the batch axis.
        """
        batcher = self.config.sequence_batching
        for number, start, _ in requests:
            if start:
                self.states[number] = {s.input_name: self.fresh(s) for s in batcher.state}
        feeds = {}
        for given in self.config.input:
            rows = [tensors[given.name] for _, _, tensors in requests]
            for row in rows:
                assert row.dtype == np.float32
                assert row.ndim == len(given.dims)
                assert all(d in (-1, n) for d, n in zip(given.dims, row.shape, strict=True))
            shape = given.reshape.shape if given.HasField("reshape") else rows[0].shape
            feeds[given.name] = np.stack([row.reshape(tuple(shape)) for row in rows])
        for state in batcher.state:
            rows = [self.states[number][state.input_name] for number, _, _ in requests]
            feeds[state.input_name] = np.stack(rows)
        names = [each.name for each in self.config.output]
        after = [state.output_name for state in batcher.state]
        results = self.session.run([*names, *after], feeds)
        for state, rows in zip(batcher.state, results[len(names) :], strict=True):
            for (number, _, _), row in zip(requests, rows, strict=True):
                self.states[number][state.input_name] = row
        return list(results[0])

    def fresh(self, state):
        """The first value of a state, as its configuration says."""
        (first,) = state.initial_state
        assert first.name
        assert first.data_type == state.data_type
        assert first.dims == state.dims
        if first.WhichOneof("state_data") == "zero_data":
            return np.zeros(tuple(first.dims), np.float32)
        path = self.folder / "initial_state" / first.data_file
        return np.frombuffer(path.read_bytes(), "<f4").reshape(tuple(first.dims))
