"""Large tables of an exported graph: held once, by the outermost graph."""

import keras
import numpy as np
import onnx
import pytest

from keras_rawaudio.exporters.onnx_graph import TABLE_VALUES
from keras_rawaudio.exporters.onnx_model import compose
from keras_rawaudio.models import SpectralModel


def inner_graphs(graph):
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                yield attribute.g
                yield from inner_graphs(attribute.g)


@pytest.mark.slow
def test_codebooks_are_in_the_outermost_graph():
    """ONNX Runtime copies what an inner graph holds, once per graph around it."""
    keras.utils.set_random_seed(0)
    model = SpectralModel(2000, codebook_size=64, components=8, units=8)
    model.prepare([np.random.default_rng(0).normal(size=40000).astype(np.float32) / 9])
    proto = compose(model)
    onnx.checker.check_model(proto, full_check=True)
    tables = [c for c in proto.graph.initializer if np.prod(c.dims) >= TABLE_VALUES]
    held = [onnx.numpy_helper.to_array(table) for table in tables]
    for magnitudes in map(np.asarray, model.spectral_codec.magnitudes):
        if magnitudes.size >= TABLE_VALUES:
            assert sum(h.size == magnitudes.size and (h == magnitudes).all() for h in held) == 1
    for graph in inner_graphs(proto.graph):
        read = {node.input[0] for node in graph.node if node.op_type == "Gather"}
        own = {c.name for c in graph.initializer if np.prod(c.dims) >= TABLE_VALUES}
        assert not read & own
