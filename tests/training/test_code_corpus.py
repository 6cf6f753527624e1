"""The order in which a training reads its codes."""

import numpy as np
import pytest

from keras_rawaudio.data.windows import WindowPlan
from keras_rawaudio.dsp.block_spectra import HOPS
from keras_rawaudio.training.code_corpus import CodeCorpus

BANDS, WINDOW = 4, 64


def corpus(*blocks, labels=False):
    """Stretches of so many blocks, each read at every hop; their codes count the blocks."""
    codes, starts, place = [], [], 0
    for n in blocks:
        codes += [np.repeat(np.arange(n, dtype=np.int16) + place + 1, BANDS)] * HOPS
        starts += [place * BANDS] * HOPS
        place += n
    named = [i for i in range(len(blocks)) for _ in range(HOPS)]
    return CodeCorpus({"train": codes}, {"train": starts}, {"train": named} if labels else None)


@pytest.mark.parametrize("blocks", [(640,), (400, 240), (50, 500, 7, 83), (3,)])
def test_lanes_hold_every_code_once_at_its_place(blocks):
    data = corpus(*blocks, labels=True)
    rows, starts, labels = data.lanes(8, WINDOW)
    borders = np.cumsum([0, *blocks])
    for row, start, label in zip(rows, starts, labels, strict=True):
        np.testing.assert_array_equal(row, start // BANDS + np.arange(len(row)) // BANDS + 1)
        assert borders[label] <= row[0] - 1
        assert row[-1] <= borders[label + 1]
    counts = np.bincount(np.concatenate(rows))
    assert (counts[1:] == BANDS * HOPS).all()


@pytest.mark.parametrize("batch", [4, 8, 16])
@pytest.mark.parametrize("blocks", [(1600,), (400, 560, 640)])
def test_rows_of_a_batch_read_different_moments(batch, blocks):
    """In the order of `segments`, the lanes of one piece are at the same places in each reading."""
    data = corpus(*blocks)

    def nearest(rows):
        """Blocks between the two nearest of the moments that the first batch reads."""
        plan = WindowPlan([len(r) for r in rows], BANDS, WINDOW // BANDS, batch, "lanes")
        first = next(plan.epoch(0))
        moments = [rows[s][o] for s, o in zip(first.segment[0], first.offset[0], strict=True)]
        return np.diff(np.sort(moments)).min()

    rows, _, labels = data.lanes(batch, WINDOW)
    assert labels is None
    assert nearest(rows) > sum(blocks) / batch / 2
    if len(blocks) == 1:
        assert nearest(data.segments("train")) == 0


def test_lanes_cut_no_window_in_two():
    data = corpus(1603)
    rows, _, _ = data.lanes(8, WINDOW)
    used = sum(len(row) // WINDOW for row in rows)
    assert used == sum(len(row) // WINDOW for row in data.segments("train"))
