"""Exports: the Keras reference, the SavedModel and the ONNX file are one generator."""

import json

import numpy as np
import onnx
import pytest
import tensorflow as tf

from keras_rawaudio.generation import generator_state_spec
from keras_rawaudio.models.code_sampler import AGE
from keras_rawaudio.models.copy_detector import PRODUCTS

from ..small_models import INTERRUPTED, SPECTRAL_MODELS


def subgraphs(graph):
    """A graph and all that lie in its Ifs and Scans."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                yield from subgraphs(attribute.g)


def has_bits(head):
    """Whether an exported file gives the bits of what it reads."""
    return head.measure == "bits_per_sample" and not head.bound


def agree(generator, audio, expected):
    """The same codes; without codes, the same to 1e-5, a flow's to 1e-4."""
    assert audio.dtype == np.float32
    assert audio.shape == expected.shape
    model = generator.model
    if model.codec.discrete and model.head.kind != "codes":  # those are of spectra, not of samples
        np.testing.assert_array_equal(model.codec.encode(audio), model.codec.encode(expected))
    atol = 1e-4 if model.head.kind == "flow" else 1e-5  # an exponential per coupling layer
    np.testing.assert_allclose(audio, expected, atol=atol)


def check_state(generator, state, expected):
    """The same state."""
    assert set(state) == set(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(state[name], value, rtol=1e-5, atol=1e-4, err_msg=name)


@pytest.mark.parametrize("read", [3, 0], ids=["primed", "unprimed"])
@pytest.mark.parametrize("rows", [1, 4])
def test_three_ways_to_play_one_generator(any_generator, rows, read):
    """Pitfalls 20 and 21: gates and biases in their places, any batch, state by name."""
    generator = any_generator
    inputs = generator.inputs(rows, read, drawn=12, seed=rows)
    state = generator.fresh_state(rows)
    expected, expected_state = generator.keras(*inputs, state)
    assert expected.shape[:2] == (rows, 12 * generator.model.block)
    assert len(np.unique(expected)) > 8
    for play in (generator.saved_model, generator.onnx):
        audio, after = play(*inputs, state)
        agree(generator, audio, expected)
        check_state(generator, after, expected_state)


def test_copies_are_interrupted_the_same_three_ways(exported):
    generator = exported(INTERRUPTED)
    state = generator.fresh_state(3)
    inputs = generator.inputs(3, read=2, drawn=40)
    expected, after = generator.keras(*inputs, state)
    assert np.any(after[AGE] < 40)  # its memory has no end
    assert np.any(after[PRODUCTS])
    for play in (generator.saved_model, generator.onnx):
        audio, own = play(*inputs, state)
        agree(generator, audio, expected)
        check_state(generator, own, after)


def test_what_detects_copies_is_in_no_file_that_has_no_threshold(exported):
    inputs = [i.name for i in exported("spectral, mono").session.get_inputs()]
    assert PRODUCTS not in inputs
    assert PRODUCTS in [i.name for i in exported(INTERRUPTED).session.get_inputs()]


@pytest.mark.slow
@pytest.mark.parametrize("name", SPECTRAL_MODELS)
def test_found_phases_stay_the_same(exported, name):
    """The search for phases amplifies rounding, and what it carries is rounded to a grid."""
    generator, state = exported(name), exported(name).fresh_state(2)
    inputs = generator.inputs(2, read=2, drawn=150)
    expected, _ = generator.keras(*inputs, state)
    for play in (generator.saved_model, generator.onnx):
        audio, _ = play(*inputs, state)
        np.testing.assert_allclose(audio, expected, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "controls"),
    [
        ("spectral, mono", {"tempo": 1.7, "level": -9.0, "density": 1.5}),
        ("spectral, mono", {"tempo": 0.6}),
        ("spectral, mono", {"hold": 1.0}),
        ("predictive, a clock, reads codes", {"tempo": 1.7, "level": -9.0}),
        ("predictive, a clock, reads codes", {"tempo": 0.6}),
        ("predictive, a clock, reads codes", {"tempo": [[1.0], [1.7]]}),
        ("predictive, a clock, reads codes", {"density": [[-2.0], [2.0]]}),
        ("predictive, a clock, reads codes", {"hold": 1.0}),
    ],
)
def test_controls_do_the_same_three_ways(exported, name, controls):
    generator = exported(name)
    inputs, state = generator.inputs(2, read=2, drawn=8), generator.fresh_state(2)
    plain, _ = generator.keras(*inputs, state)
    state |= {name: np.full((2, 1), value, "float32") for name, value in controls.items()}
    expected, expected_state = generator.keras(*inputs, state)
    assert np.abs(expected - plain).max() > 1e-3
    for play in (generator.saved_model, generator.onnx):
        audio, after = play(*inputs, state)
        agree(generator, audio, expected)
        check_state(generator, after, expected_state)


@pytest.mark.parametrize("player", ["keras", "saved_model", "onnx"])
def test_many_short_calls_are_one_long_one(generator, player):
    """Pitfall 21: all that goes on from call to call is in the state that the caller holds."""
    play, F = generator.players()[player], generator.model.frame
    forced, noise, temperature = generator.inputs(2, read=3, drawn=6)
    whole, end = play(forced, noise, temperature, generator.fresh_state(2))
    state, parts = generator.fresh_state(2), []
    for start in range(0, 3 * F, F):
        silent, state = play(forced[:, start : start + F], noise[:, :0], temperature, state)
        assert silent.shape == (2, 0)
    for start, stop in [(0, F), (F, 4 * F), (4 * F, 6 * F)]:
        audio, state = play(forced[:, :0], noise[:, start:stop], temperature, state)
        parts.append(audio)
    agree(generator, np.concatenate(parts, axis=1), whole)
    check_state(generator, state, end)


@pytest.mark.parametrize("player", ["keras", "saved_model", "onnx"])
def test_nothing_to_read_and_nothing_to_draw_changes_nothing(generator, player):
    """Pitfall 17: no frame in, no step."""
    play = generator.players()[player]
    state = {n: v + 0.25 for n, v in generator.fresh_state(3).items()}
    audio, after = play(*generator.inputs(3, read=0, drawn=0), state)
    assert audio.shape == (3, 0)
    for name, value in state.items():
        np.testing.assert_array_equal(after[name], value)


def test_what_is_read_is_scored(generator):
    """Bits of what is read are what training's loss has for it, across calls as in one."""
    model, F = generator.model, generator.model.frame
    if not has_bits(model.head):
        pytest.skip("a file without bits")
    forced, noise, temperature = generator.inputs(3, read=5, drawn=2)
    state, found = generator.fresh_state(3), []
    if "head_codes" in state:  # a window after silence has codes of silence, a fresh state none
        silence = np.zeros((3, model.head.context - 1 + model.head.frame_size), "float32")
        state["head_codes"] = np.asarray(model.head.previous_codes(silence)[:, 0])
    for part in (forced[:, : 2 * F], forced[:, 2 * F :]):
        given = {"forced": part, "noise": noise, "temperature": temperature, **state}
        (unasked,) = generator.session.run(["bits"], given)
        assert not unasked.any()
        found.append(generator.session.run(["bits"], given | {"score": np.array(True)})[0])
        _, state = generator.onnx(part, noise[:, :0], temperature, state)
    values = np.asarray(model.codec.encode(forced))
    silence = np.repeat(generator.fresh_state(3)["history"][:, :1], model.context + 1, axis=1)
    x = np.concatenate([silence.astype(values.dtype), values], axis=1)[:, :-1]
    prediction, _ = model(x, model.zero_state(3))
    expected = np.asarray(model.head.loss(prediction, values)) / np.log(2)
    assert found[0].shape == (3, 2 * F)
    # Cells of little mass are differences of large numbers.
    np.testing.assert_allclose(np.concatenate(found, axis=1), expected, atol=0.01)


def test_the_sampler_knows_the_bits_of_what_it_drew(generator):
    """Blocks are read again from the states they were drawn from; what is drawn stays the same."""
    from keras_rawaudio_serving.sampler import SCORED_BLOCKS, Sampler

    F = generator.model.frame
    options = {"streams": 3, "threads": 2, "random_seed": 5, "provider": "cpu"}
    plain = Sampler.load(generator.path, **options)
    scoring = Sampler.load(generator.path, score=True, **options)
    seconds = (2 * SCORED_BLOCKS + 1) * F / scoring.sample_rate
    audio = scoring.generate(seconds, block_seconds=F / scoring.sample_rate)
    np.testing.assert_array_equal(audio, plain.generate(seconds, F / plain.sample_rate))
    assert plain.bits is None
    if not has_bits(generator.model.head):
        assert scoring.bits is None
        return
    given = {"forced": audio, "noise": np.zeros((3, 0, generator.model.head.noise_per_sample))}
    given |= {"temperature": np.ones(3), **generator.fresh_state(3)}
    given = {name: value.astype("float32") for name, value in given.items()}
    given["score"] = np.array(True)
    bits = generator.session.run(["bits"], given)[0].reshape(3, -1, F)
    # What stands before a block of a head with a postfilter is what was drawn, not the output.
    tolerance = 0.1 if hasattr(generator.model.head, "postfilter") else 0.03
    expected = bits[:, ::SCORED_BLOCKS].mean(axis=(1, 2))
    np.testing.assert_allclose(scoring.bits, expected, atol=tolerance)


def test_streams_of_a_batch_do_not_affect_each_other(generator):
    """Pitfall 8: permuting rows permutes the exported generator's outputs."""
    inputs, state = generator.inputs(4, read=2, drawn=3), generator.fresh_state(4)
    order = np.array([2, 0, 3, 1])
    audio, _ = generator.onnx(*inputs, state)
    permuted, _ = generator.onnx(*(value[order] for value in inputs), state)
    agree(generator, permuted, audio[order])


def test_noise_comes_in_from_outside(generator):
    """Pitfall 22: no random operation in the graph; the same noise gives the same bits."""
    inputs, state = generator.inputs(2, read=2, drawn=8), generator.fresh_state(2)
    audio, _ = generator.onnx(*inputs, state)
    np.testing.assert_array_equal(generator.onnx(*inputs, state)[0], audio)
    forced, noise, temperature = inputs
    other, _ = generator.onnx(forced, 1 - noise, temperature, state)
    hot, _ = generator.onnx(forced, noise, 3 * temperature, state)
    if generator.metadata["deterministic"]:
        np.testing.assert_array_equal(other, audio)
        np.testing.assert_array_equal(hot, audio)
    else:
        assert not np.array_equal(other, audio)
        assert not np.array_equal(hot, audio)


def test_the_file_is_plain_onnx(generator):
    """Pitfall 22: standard operations alone, none of a device's or a runtime's own."""
    proto = onnx.load(generator.path)
    onnx.checker.check_model(proto, full_check=True)
    assert [(o.domain, o.version) for o in proto.opset_import] == [("", 17)]
    assert not proto.functions
    nodes = [node for graph in subgraphs(proto.graph) for node in graph.node]
    assert {node.domain for node in nodes} == {""}
    kinds = {node.op_type for node in nodes}
    assert not [kind for kind in kinds if "Random" in kind or kind in ("Bernoulli", "Multinomial")]
    assert all(onnx.defs.has(kind) for kind in kinds)
    tensors = [t for graph in subgraphs(proto.graph) for t in graph.initializer]
    assert not [t.name for t in tensors if t.data_location == onnx.TensorProto.EXTERNAL]


def test_phases_of_entries_are_bytes_in_the_file(exported):
    generator = exported("spectral, stereo")
    codec = generator.model.spectral_codec
    graphs = subgraphs(onnx.load(generator.path).graph)
    tensors = [onnx.numpy_helper.to_array(t) for graph in graphs for t in graph.initializer]
    found = [t for t in tensors if t.dtype == np.uint8]
    shapes = [tuple(phases.shape) for phases in codec.phases]
    assert sorted(t.shape for t in found) == sorted(shapes)


def test_inputs_and_outputs_are_those_of_the_contract(generator):
    """Pitfall 21: the batch is free, and what a head does not use is still an input."""
    session, spec = generator.session, generator_state_spec(generator.model)
    shapes = {i.name: list(i.shape) for i in session.get_inputs()}
    assert list(shapes) == ["forced", "noise", "temperature", *spec]
    K = generator.model.head.noise_per_sample
    assert shapes["noise"] == ["batch", "samples", K]
    assert shapes["temperature"] == ["batch"]
    assert shapes["forced"][0] == "batch"
    for name, (shape, _) in spec.items():
        assert shapes[name] == ["batch", *shape]
    bits = ["bits"] if has_bits(generator.model.head) else []
    names = [o.name for o in session.get_outputs()]
    assert names == ["audio", *(f"{n}_next" for n in spec), *bits]
    assert {i.type for i in session.get_inputs()} == {"tensor(float)"}
    assert {o.type for o in session.get_outputs()} == {"tensor(float)"}


def test_metadata_travels_in_both_files(generator):
    """Pitfall 23: a SavedModel is opened by tf.saved_model.load and says what it is."""
    found = generator.session.get_modelmeta().custom_metadata_map["keras_rawaudio"]
    expected = json.loads(json.dumps(generator.metadata))
    assert json.loads(found) == expected
    assert json.loads(generator.saved.metadata().numpy()) == expected
    assert set(generator.saved.signatures) >= {"advance", "serving_default"}
    assert not hasattr(generator.saved, "advance")  # the file would hold the function twice
    signature = generator.saved.signatures["serving_default"].structured_input_signature[1]
    state = generator_state_spec(generator.model)
    assert set(signature) == {"forced", "noise", "temperature", *state}
    outputs = generator.saved.signatures["advance"].structured_outputs
    assert set(outputs) == {"audio", *state}
    assert all(spec.dtype == tf.float32 for spec in signature.values())


def test_exports_are_free_of_the_layers_noise(generator):
    """Pitfall 11: noisy layers export as what evaluation sees, the same at every call."""
    inputs, state = generator.inputs(1, read=4, drawn=0), generator.fresh_state(1)
    _, expected = generator.keras(*inputs, state)
    for play in (generator.saved_model, generator.onnx):
        for _ in range(2):
            _, after = play(*inputs, state)
            for name, value in expected.items():
                np.testing.assert_allclose(after[name], value, rtol=1e-5, atol=1e-4, err_msg=name)


def test_the_sampler_plays_what_the_reference_plays(generator):
    """Pitfalls 15 and 16: the shipped sampler, odd seed and odd length included."""
    from keras_rawaudio_serving.noise import Noise
    from keras_rawaudio_serving.sampler import Sampler

    model, rows, samples = generator.model, 3, 157
    F = model.frame
    seed = np.random.default_rng(3).uniform(-0.8, 0.8, 5 * F - 1).astype("float32")
    sampler = Sampler.load(
        generator.path, streams=rows, random_seed=11, temperature=0.9, provider="cpu"
    )
    sampler.prime(seed)
    audio = sampler.generate(samples / sampler.sample_rate, block_seconds=0.004)
    assert audio.shape == (rows, samples)
    noise = Noise(11, rows).draw(samples + -samples % F, model.head.noise_per_sample)
    forced = np.tile(np.pad(seed, (-len(seed) % F, 0)), (rows, 1))
    temperature = np.full(rows, 0.9, "float32")
    expected, _ = generator.keras(forced, noise, temperature, generator.fresh_state(rows))
    agree(generator, audio, expected[:, :samples])
