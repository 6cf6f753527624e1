import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_rawaudio.data.corpus.settings import PARTS, CorpusSettings
from keras_rawaudio.data.corpus.splitting import sounding_range, split_in_time
from keras_rawaudio.errors import UserError

FRACTIONS = (0.8, 0.1, 0.1)
lengths = st.lists(st.integers(0, 1000), min_size=1, max_size=30)


def sizes(spans):
    return [sum(stop - start for _, start, stop in spans.get(part, [])) for part in PARTS]


def test_one_file_is_cut_like_the_benchmark():
    assert sizes(split_in_time([(0, 1954191)], FRACTIONS)) == [1563352, 195419, 195420]


@given(st.integers(10, 10**9))
def test_one_files_borders_are_the_closed_form(count):
    train, validation, _ = sizes(split_in_time([(0, count)], FRACTIONS))
    assert train == count * 8 // 10
    assert train + validation == count * 9 // 10


@given(lengths)
def test_every_sample_is_in_one_part_and_in_order(counts):
    """Pitfall 1: parts do not overlap, so that nothing of the test part is trained on."""
    ranges = [(7, 7 + count) for count in counts]
    spans = split_in_time(ranges, FRACTIONS) if any(counts) else {}
    seen = [set() for _ in counts]
    for part in PARTS:
        for file, start, stop in spans.get(part, []):
            fresh = set(range(start, stop))
            assert not fresh & seen[file]
            seen[file] |= fresh
    assert [len(samples) for samples in seen] == counts
    if sum(count > 0 for count in counts) > 2:
        order = [file for part in PARTS for file, _, _ in spans[part]]
        assert order == sorted(order)


@given(st.lists(st.integers(1, 1000), min_size=3, max_size=12))
def test_many_files_stay_whole_with_borders_nearest_to_the_targets(counts):
    spans = split_in_time([(0, count) for count in counts], FRACTIONS)
    assert all(spans[part] for part in PARTS)
    assert all(stop - start == counts[file] for part in PARTS for file, start, stop in spans[part])
    ends = np.cumsum(counts) / sum(counts)

    def distance(a, b):
        return abs(ends[a - 1] - 0.8) + abs(ends[b - 1] - 0.9)

    a = len(spans["train"])
    best = min(distance(i, j) for j in range(2, len(counts)) for i in range(1, j))
    assert distance(a, a + len(spans["validation"])) == pytest.approx(best)


def test_ten_equal_files_are_eight_one_one():
    spans = split_in_time([(0, 100)] * 10, FRACTIONS)
    assert [len(spans[part]) for part in PARTS] == [8, 1, 1]


def test_of_two_files_the_longer_trains():
    spans = split_in_time([(0, 100), (50, 1050)], FRACTIONS)
    assert spans == {"train": [(1, 50, 1050)], "validation": [(0, 0, 50)], "test": [(0, 50, 100)]}
    equal = split_in_time([(0, 90), (0, 90)], (0.7, 0.2, 0.1))
    assert equal == {"train": [(0, 0, 90)], "validation": [(1, 0, 60)], "test": [(1, 60, 90)]}


@given(st.integers(0, 3000), st.integers(1, 3000), st.integers(0, 3000), st.integers(1, 5000))
def test_sounding_range_whatever_the_chunks(head, sound, tail, size):
    audio = np.zeros(head + sound + tail, np.float32)
    audio[head : head + sound] = 0.1
    chunks = [audio[i : i + size] for i in range(0, len(audio), size)]
    start, stop = sounding_range(chunks, 8000, -60)
    assert head - 160 < start <= head
    assert head + sound <= stop < head + sound + 160
    assert stop <= len(audio)


def test_sounding_range_of_silence_and_of_a_click():
    assert sounding_range([np.zeros(1000, np.float32)], 8000, -60) == (0, 0)
    assert sounding_range([], 8000, -60) == (0, 0)
    click = np.zeros(1600, np.float32)
    click[810] = 1e-5
    assert sounding_range([click], 8000, -1) == (800, 960)


@pytest.mark.parametrize("split", [(0.5, 0.5), (1.0, 0.0, 0.0), (1.2, -0.1, -0.1), (0.8, 0.1, 0.2)])
def test_a_split_is_three_fractions_of_one(split):
    with pytest.raises(UserError, match="three fractions over 0 that add up to 1"):
        CorpusSettings(split=split)
