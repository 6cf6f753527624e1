"""The pipeline, with integer ramps: every value says where in which segment it comes from."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_rawaudio.data.codecs import Linear, MinMax, MuLaw, Peak, Standardize
from keras_rawaudio.data.codecs.indices import Indices
from keras_rawaudio.data.windows import StreamPlan, WindowPlan, read_batches, window_dataset
from keras_rawaudio.data.windows.code_table import code_table
from keras_rawaudio.errors import UserError

from .conftest import SILENCE, codes, ramps


def take(dataset, count):
    return [{k: v.numpy() for k, v in batch.items()} for batch in dataset.take(count)]


def same(a, b):
    return len(a) == len(b) and all(
        p.keys() == q.keys() and all(np.array_equal(p[k], q[k]) for k in p)
        for p, q in zip(a, b, strict=True)
    )


@pytest.mark.parametrize("shift", ["lanes", 1, 3])
@pytest.mark.parametrize("context", [0, 1, 7, 30])
def test_the_target_is_the_input_one_step_later(shift, context):
    """Pitfall 3: y is x one step later, and y's last sample is nowhere in x."""
    segments = ramps([50, 8, 93])
    plan = WindowPlan([50, 8, 93], frame=4, frames=3, batch=3, shift=shift)
    dataset = window_dataset(segments, codes, plan, context, repeat=False)
    assert dataset.element_spec["x"].shape == (3, context + 12)
    found = take(dataset, -1)
    assert len(found) == plan.batches_per_epoch == dataset.cardinality()
    for batch in found:
        x, y = batch["x"], batch["y"]
        assert x.dtype == y.dtype == np.int32
        np.testing.assert_array_equal(x[:, context + 1 :], y[:, :-1])
        real = x != SILENCE
        np.testing.assert_array_equal((y[:, :1] - x)[real], np.nonzero(real)[1] * -1 + context + 1)
        assert all(last not in row for row, last in zip(x, y[:, -1], strict=True))


@settings(max_examples=60)
@given(
    st.lists(st.integers(0, 60), min_size=1, max_size=5),
    st.integers(1, 12),
    st.integers(1, 4),
    st.one_of(st.just("lanes"), st.integers(1, 20)),
    st.integers(0, 20),
)
def test_windows_stay_in_their_segment(lengths, window, batch, shift, context):
    """Pitfall 1: no window, and no context, holds a sample of another segment."""
    try:
        plan = WindowPlan(lengths, frame=1, frames=window, batch=batch, shift=shift)
    except UserError:
        return
    previous = None
    for b in read_batches(ramps(lengths), codes, plan, context):
        for i in range(batch):
            segment = (b["y"][i, 0] - SILENCE) // 1000
            whole = np.concatenate([b["x"][i], b["y"][i, -1:]])
            silent = np.count_nonzero(whole == SILENCE)
            assert (whole[:silent] == SILENCE).all()
            assert ((whole[silent:] - SILENCE) // 1000 == segment).all()
            assert (np.diff(whole[silent:]) == 1).all()
            if not b["reset"][i]:
                assert b["y"][i, 0] == previous[i, -1] + 1
        previous = b["y"]


def test_before_the_beginning_is_silence_not_code_zero():
    plan = WindowPlan([20], frame=2, frames=2, batch=1)
    first = next(read_batches(ramps([20]), codes, plan, context=3))
    assert first["x"].tolist() == [[SILENCE] * 4 + [1007, 1008, 1009]]
    assert first["y"].tolist() == [[1007, 1008, 1009, 1010]]
    assert first["reset"].tolist() == [True]


@pytest.mark.parametrize(
    "shift",
    [
        "lanes",
        "random",
        4,
        *(pytest.param(s, marks=pytest.mark.slow) for s in ("random-offsets", 1)),
    ],
)
def test_resuming_gives_the_batches_of_an_uninterrupted_run(shift):
    """Pitfall 13: epoch and batches used are the whole data position."""
    lengths = [90, 61]
    segments = ramps(lengths)

    def plan():
        return WindowPlan(lengths, frame=4, frames=3, batch=2, shift=shift, seed=5)

    per_epoch = plan().batches_per_epoch
    whole = take(window_dataset(segments, codes, plan(), 5), 3 * per_epoch)
    for used in {0, 1, per_epoch - 1, per_epoch, per_epoch + 2, 2 * per_epoch}:
        epoch, skip = divmod(used, per_epoch)
        for position in ((epoch, skip), (0, used)):
            rest = window_dataset(segments, codes, plan(), 5, *position)
            assert same(take(rest, 3 * per_epoch - used), whole[used:])


def test_iterating_again_starts_again():
    plan = WindowPlan([90], frame=4, frames=3, batch=2, shift=1)
    dataset = window_dataset(ramps([90]), codes, plan, 5, epoch=1, skip_batches=3)
    assert same(take(dataset, 4), take(dataset, 4))
    few = window_dataset(ramps([90]), codes, plan, 5, skip_batches=3, repeat=False)
    assert len(take(few, -1)) == plan.batches_per_epoch - 3


def test_continuous_values_are_float32(tmp_path):
    """Memory-mapped int16 in, audio / 32768 out."""
    ramps([64])[0].tofile(tmp_path / "part.i16")
    segment = np.memmap(tmp_path / "part.i16", np.int16, "r")
    plan = WindowPlan([64], frame=4, frames=2, batch=2)
    batch = take(window_dataset([segment], lambda audio: audio * 2, plan, 0), 1)[0]
    assert batch["y"].dtype == np.float32
    np.testing.assert_array_equal(batch["y"][0], np.arange(1000, 1008) / 16384)


@settings(max_examples=25)
@given(
    st.lists(st.integers(1, 90), min_size=1, max_size=4),
    st.sampled_from(["lanes", "random", "random-offsets", "stream", 1, 3]),
    st.integers(1, 3),
    st.integers(0, 20),
    st.sampled_from([(), (2,)]),
    st.booleans(),
    st.sampled_from([MuLaw(0.5), Peak(0.7), Indices(1000)]),
    st.integers(0, 5),
)
def test_graph_operations_cut_the_windows_of_numpy(
    tmp_path_factory, lengths, shift, batch, context, channels, mapped, codec, skip
):
    """Bit for bit, for every layout, mono and stereo, audio and codes, on disk and in memory."""
    samples = np.random.default_rng(len(lengths)).integers(
        -(1 << 15), 1 << 15, (sum(lengths), *channels), np.int16
    )
    if mapped:
        path = tmp_path_factory.mktemp("map") / "train.i16"
        samples.tofile(path)
        samples = np.memmap(path, np.int16, "r", shape=samples.shape)
    segments = np.split(samples, np.cumsum(lengths)[:-1])
    starts = list(range(100, 100 + len(lengths)))
    try:
        if shift == "stream":
            plan = StreamPlan(lengths, 12, batch)
        else:
            plan = WindowPlan(lengths, 4, 3, batch, shift, seed=3)
    except UserError:
        return
    where = codec.encode, plan, context, 1, skip, False, starts
    expected = list(read_batches(segments, *where))
    found = take(window_dataset(segments, *where), -1)
    assert same(found, expected)
    assert all(f["x"].dtype == e["x"].dtype for f, e in zip(found, expected, strict=True))


def test_a_table_encodes_as_the_codec_does():
    """Each 16-bit sample to the bits that the formula gives."""
    samples = np.arange(-32768, 32768)
    for codec in (MuLaw(0.3), Linear(0.9), Standardize(0.1, 0.2), MinMax(-0.4, 0.5), Peak(0.7)):
        table = code_table(codec.encode)
        for few in np.split(np.random.default_rng(0).permutation(samples), 512):
            audio = few.astype(np.int16) / np.float32(32768)
            np.testing.assert_array_equal(table[few + 32768], codec.encode(audio))


@pytest.mark.parametrize("stream", [False, True])
def test_channels_are_the_last_axis(stream):
    """Each channel is cut as it would be by itself."""
    lengths = [50, 37]
    plan = StreamPlan(lengths, 12) if stream else WindowPlan(lengths, 4, 3, batch=2)
    left = ramps(lengths)
    stereo = [np.stack([ramp, ramp + np.int16(300)], axis=1) for ramp in left]
    dataset = window_dataset(stereo, codes, plan, 5, repeat=False)
    assert dataset.element_spec["x"].shape == (plan.batch, 17, 2)
    for both, one in zip(
        take(dataset, -1), take(window_dataset(left, codes, plan, 5, repeat=False), -1), strict=True
    ):
        for name in ("x", "y"):
            np.testing.assert_array_equal(both[name][..., 0], one[name])
            right = np.where(one[name] == SILENCE, SILENCE, one[name] + 300)
            np.testing.assert_array_equal(both[name][..., 1], right)
        np.testing.assert_array_equal(both["reset"], one["reset"])


@pytest.mark.parametrize("batch", [1, 3])
def test_evaluation_counts_every_sample_once(batch):
    lengths = [25, 3, 40, 10]
    segments = ramps(lengths)
    plan = StreamPlan(lengths, window=10, batch=batch)
    scored = []
    for b in take(window_dataset(segments, codes, plan, 4, repeat=False), -1):
        for i, valid in enumerate(b["valid"]):
            scored += b["y"][i, :valid].tolist()
            np.testing.assert_array_equal(b["x"][i, 5:], b["y"][i, :-1])
            assert (b["y"][i, valid:] == SILENCE).all()
    assert sorted(scored) == sorted((np.concatenate(segments) + SILENCE).tolist())


def test_wrong_use():
    plan = WindowPlan([64], frame=4, frames=2, batch=2)
    with pytest.raises(ValueError, match="other lengths"):
        next(read_batches(ramps([65]), codes, plan, 0))
    with pytest.raises(ValueError, match="context"):
        next(read_batches(ramps([64]), codes, plan, -1))


def test_batches_of_a_pass_follow_each_other_through_the_pipeline():
    """Pitfall 5: through the dataset, rows carry on unless they reset."""
    plan = WindowPlan([70, 33, 52], frame=3, frames=2, batch=3, shift=2)
    found = take(window_dataset(ramps([70, 33, 52]), codes, plan, 2), 40)
    for a, b in itertools.pairwise(found):
        on = ~b["reset"]
        np.testing.assert_array_equal(b["y"][on, 0], a["y"][on, -1] + 1)


@pytest.mark.parametrize("stream", [False, True])
def test_positions_are_places_in_the_file(stream):
    """The start of the segment in its file, and how far into the segment the first target is."""
    lengths, starts = [90, 61], [5, 3_000_000_000]  # the second one beyond 32 bits
    plan = (
        StreamPlan(lengths, window=12, batch=2)
        if stream
        else WindowPlan(lengths, frame=4, frames=3, batch=2, shift=3)
    )
    dataset = window_dataset(ramps(lengths), codes, plan, 5, repeat=False, starts=starts)
    without = window_dataset(ramps(lengths), codes, plan, 5, repeat=False)
    for batch, bare in zip(take(dataset, -1), take(without, -1), strict=True):
        assert batch["position"].dtype == np.int64
        first = batch["y"][:, 0] - SILENCE
        there = np.ones(2, bool) if not stream else batch["valid"] > 0
        segment = np.clip(first // 1000 - 1, 0, 1)
        offset = first - 1000 * (segment + 1)
        np.testing.assert_array_equal(
            batch["position"][there], (np.array(starts)[segment] + offset)[there]
        )
        np.testing.assert_array_equal(bare["position"][there], offset[there])


def test_batches_have_the_labels_of_their_segments():
    lengths, labels = [60, 5, 33, 90], [3, 9, 1, -1]
    plan = WindowPlan(lengths, frame=4, frames=2, batch=3)
    where = ramps(lengths), codes, plan, 5
    read = list(read_batches(*where, labels=labels))
    cut = take(window_dataset(*where, repeat=False, labels=labels), -1)
    planned = [row for block in plan.epoch(0) for row in block.segment]
    for a, b, segment in zip(read, cut, planned, strict=True):
        np.testing.assert_array_equal(a["label"], np.array(labels)[segment])
        np.testing.assert_array_equal(a["label"], b["label"])
    assert "label" not in next(read_batches(*where))


def test_processes_read_rows_of_the_same_batches():
    segments, plan = ramps([90]), WindowPlan([90], frame=2, frames=3, batch=4)
    whole = take(window_dataset(segments, codes, plan, 5), 6)
    for rows in (slice(0, 2), slice(2, 4)):
        for own, batch in zip(
            take(window_dataset(segments, codes, plan, 5, rows=rows), 6), whole, strict=True
        ):
            for name, value in batch.items():
                np.testing.assert_array_equal(own[name], value[rows], err_msg=name)
