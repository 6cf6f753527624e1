"""The bars of the music benchmark on figures that are made up."""

import ast
import importlib.util
from pathlib import Path

import pytest

PATH = Path(__file__).resolve().parents[2] / "benchmarks" / "music_bars.py"


@pytest.fixture(scope="module")
def music_bars():
    import sys

    spec = importlib.util.spec_from_file_location("music_bars", PATH)
    module = importlib.util.module_from_spec(spec)
    sys.modules["music_bars"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    yield module
    del sys.modules["music_bars"]


@pytest.fixture
def result(healthy):
    """Of a piece that meets each bar by its own figures."""
    own = {"own 50 %": 10.0, "held-out": 15.0}
    return {
        **healthy,
        "sample_rate": 44_100,
        "test_bits_per_sample": 3.0,
        "realtime_factor": 2.5,
        "streams": [{"beat_strength_by_10_s": [0.5] * 6, "longest_copy": None}] * 8,
        "distances": {
            "KAD (musicnn)": {"mean": 19.0, **own},
            "coverage (musicnn)": {"mean": 0.4, "held-out": 0.6},
            "level at 1000 Hz (dB)": {"mean": -1.5},
            "level at 16000 Hz (dB)": {"mean": 1.0},
            "side/mid at 1000 Hz (dB)": {"mean": 2.9},
        },
    }


def test_all_are_met(music_bars, result):
    assert [bar.met for bar in music_bars.bars(result)] == [True] * 12


def test_kad_is_held_to_the_larger_of_two_medians_and_the_heldout_part(music_bars, result):
    kad = music_bars.bars(result)[0]
    assert kad.limit == 20
    result["distances"]["KAD (musicnn)"]["held-out"] = 30.0
    assert music_bars.bars(result)[0].limit == 30


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("collapsed streams", {"collapsed": 1}),
        ("beat", {"beat_strength": 0.41}),
        ("tone, off by (dB)", {"tonal_prominence_db": 14.6}),
        ("pitch persistence, off by", {"pitch_persistence": 0.4}),
        ("cepstral ratio, worst third", {"cepstral_ratio_by_third": [1.0, 1.4, 1.0]}),
        ("best match of 2 s", {"train_set_similarity": 0.71}),
        (
            "longest copy (s)",
            {"streams": [{"beat_strength_by_10_s": [0.5], "longest_copy": {"seconds": 4.5}}]},
        ),
        (
            "10 s with half of the beat",
            {"streams": [{"beat_strength_by_10_s": [0.5] * 4 + [0.2], "longest_copy": None}]},
        ),
    ],
)
def test_each_is_missed_alone(music_bars, result, name, change):
    missed = [bar.name for bar in music_bars.bars({**result, **change}) if not bar.met]
    assert missed == [name]


def test_mono_without_the_extra_says_nothing_of_what_is_not_known(music_bars, result):
    result["distances"] = {"level at 1000 Hz (dB)": {"mean": 2.5}}
    result["test_bits_per_sample"] = result["own_similarity"] = None
    header, (row,) = music_bars.table([result])
    cells = dict(zip(header, row, strict=True))
    assert cells["KAD (musicnn)"] == cells["side/mid, worst octave (dB)"] == "-"
    assert cells["octave levels, worst (dB)"] == "2.50 (≤ 2.00) ✗"
    assert cells["bars met"] == "7 of 8"
    assert cells["best match of 2 s"] == "0.60"


def test_choices_and_results_are_on_different_pieces():
    """Pitfall 26: what is chosen on some pieces is reported on others."""
    tree = ast.parse(PATH.with_name("music.py").read_text(encoding="utf-8"))
    sets = {
        node.targets[0].id: ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and node.targets[0].id in ("DEVELOPMENT", "REPORT")
    }
    assert min(map(len, sets.values())) > 3
    assert not set(sets["DEVELOPMENT"]) & set(sets["REPORT"])
