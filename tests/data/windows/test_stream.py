"""Evaluation reads everything once, in order."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_rawaudio.data.windows import StreamPlan
from keras_rawaudio.errors import UserError


@settings(max_examples=200)
@given(
    st.lists(st.integers(0, 40), min_size=1, max_size=8).filter(any),
    st.integers(1, 12),
    st.integers(1, 4),
)
def test_every_sample_once_in_order(lengths, window, batch):
    plan = StreamPlan(lengths, window, batch)
    seen = []
    rows = [None] * batch
    total = 0
    for block in plan.epoch():
        for at in zip(*block, strict=True):
            total += 1
            for i, (s, o, reset, valid) in enumerate(zip(*(a.tolist() for a in at), strict=True)):
                if not valid:
                    assert reset
                    continue
                seen += [(s, o + j) for j in range(valid)]
                assert reset == (o == 0)
                assert reset or rows[i] == (s, o - window)
                assert valid == min(window, lengths[s] - o)
                rows[i] = (s, o)
    assert sorted(seen) == [(s, j) for s, n in enumerate(lengths) for j in range(n)]
    assert total == plan.batches_per_epoch
    if batch == 1:
        assert seen == sorted(seen)
        assert total == sum(-(-n // window) for n in lengths)


def test_rows_share_the_work():
    plan = StreamPlan([10] * 12 + [40], window=10, batch=4)
    assert plan.batches_per_epoch == 4


def test_skipping():
    plan = StreamPlan([100_000], window=10)
    blocks = list(plan.epoch(0, skip=2000))
    assert blocks[0].offset[0, 0] == 20_000
    assert sum(map(len, (b.offset for b in blocks))) == 8000


@pytest.mark.parametrize(("lengths", "window"), [([], 4), ([0, 0], 4), ([5], 0)])
def test_bad_input(lengths, window):
    with pytest.raises(UserError):
        StreamPlan(lengths, window)
