"""The pipeline over more audio than memory holds."""

import os
import re
import sys
from pathlib import Path

import numpy as np
import pytest

from keras_rawaudio.data.windows import StreamPlan, WindowPlan, read_batches, window_dataset

from .conftest import codes


@pytest.mark.slow
@pytest.mark.parametrize("graph", [False, True])
def test_pages_of_a_memory_map_are_released(tmp_path, monkeypatch, graph):
    """An epoch over hours of audio leaves no more of them in memory than was asked for."""
    smaps = Path("/proc/self/smaps")
    if not smaps.exists():
        pytest.skip("what is resident cannot be read here")
    monkeypatch.setattr("keras_rawaudio.data.windows.dataset.RELEASE_EVERY", 1 << 20)
    path = tmp_path / "train.i16"
    whole = np.arange(1 << 24, dtype=np.int64).astype(np.int16)
    whole.tofile(path)
    segments = [np.memmap(path, np.int16, "r")]
    # Few lanes: Linux may map two megabytes around each place that is read.
    plan = WindowPlan([1 << 24], frame=256, frames=64, batch=2, shift="lanes")
    if graph:
        reader = window_dataset(segments, codes, plan, 3, repeat=False).as_numpy_iterator()
    else:
        reader = read_batches(segments, codes, plan, 3)
    most = 0
    for number, batch in enumerate(reader):
        if number % 16 == 15:
            maps = smaps.read_text().split(str(path))[1:]
            resident = (int(re.search(r"Rss:\s+(\d+) kB", each)[1]) for each in maps)
            most = max(most, sum(resident))
            first = batch["position"][0]
            expected = codes(whole[first : first + plan.window] / 32768)
            np.testing.assert_array_equal(batch["y"][0], expected)
    assert number == plan.batches_per_epoch - 1
    assert 0 < most < 16384  # kB, of 32768


@pytest.mark.skipif(sys.platform != "linux", reason="sparse files and overcommitment are Linux'")
def test_a_part_larger_than_memory_is_read(tmp_path):
    """A private map of it would ask for as much memory."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    length = (2 * memory) // 4 // 1000 * 1000
    path = tmp_path / "train.i16"
    with path.open("wb") as file:
        file.truncate(4 * length)
        file.seek(4 * (length - 7))
        file.write(np.arange(14, dtype="<i2").tobytes())
    segments = np.split(np.memmap(path, "<i2", "r", shape=(length, 2)), [length - 1000])
    plan = StreamPlan([length - 1000, 1000], 500)
    last = plan.batches_per_epoch - 1
    dataset = window_dataset(segments, lambda a: np.int32(a * 32768), plan, 3, 0, last, False)
    (batch,) = dataset.as_numpy_iterator()
    assert batch["y"][0, -7:].tolist() == np.arange(14).reshape(7, 2).tolist()
