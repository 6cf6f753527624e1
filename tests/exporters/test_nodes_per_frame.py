"""What a frame of `raw` costs in an exported file: its nodes, and no table of indices."""

import math

import pytest

from keras_rawaudio.exporters.onnx_model import compose

from ..small_models import make
from .test_tables import inner_graphs

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def graphs():
    proto = compose(make("predictive, a clock, reads codes"))
    return {graph.name: graph for graph in inner_graphs(proto.graph)}


@pytest.mark.parametrize(("name", "most"), [("subframe", 60), ("draw", 160), ("plain", 6)])
def test_a_node_costs_time_whatever_it_does(graphs, name, most):
    assert len(graphs[name].node) <= most


def test_no_matrix_is_gathered_value_by_value(graphs):
    """A filter's matrix by indices took an eighth of a frame's time."""
    for name in ("draw", "subframe"):
        sizes = {c.name: math.prod(c.dims) for c in graphs[name].initializer}
        gathers = [node for node in graphs[name].node if node.op_type == "Gather"]
        assert all(sizes.get(node.input[1], 0) <= 16 for node in gathers)
