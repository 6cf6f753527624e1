"""Controls of the sampler: what a file declares may be turned, in its range, also over time."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from keras_rawaudio_serving.cli import main
from keras_rawaudio_serving.control_curves import read_curves
from keras_rawaudio_serving.errors import ServingError
from keras_rawaudio_serving.live_controls import LiveControls
from keras_rawaudio_serving.sampler import Sampler

LEVEL = {
    "name": "level",
    "minimum": -2.0,
    "maximum": 2.0,
    "default": 0.5,
    "unit": "",
    "description": "The first state of the toy.",
}


@pytest.fixture
def turnable(toy):
    return toy(frame=4, controls=[LEVEL], deterministic=True, initial=0.5)


def test_a_control_sets_its_state(turnable):
    sampler = Sampler.load(turnable, streams=2, random_seed=0)
    assert list(sampler.controls) == ["level"]
    plain = sampler.generate(0.01)
    sampler.reset()
    sampler.set_control("level", [1.0, 2.0])
    np.testing.assert_allclose(sampler.generate(0.01), plain * [[2.0], [4.0]], rtol=1e-5)
    sampler.reset()  # a control holds through it
    np.testing.assert_allclose(sampler.generate(0.01), plain * [[2.0], [4.0]], rtol=1e-5)


def test_live_controls_begin_as_they_were_set(turnable):
    sampler = Sampler.load(turnable, streams=2, random_seed=0)
    assert LiveControls(sampler).values["level"].tolist() == [0.5, 0.5]
    sampler.set_control("level", [1.0, 2.0])
    assert LiveControls(sampler).values["level"].tolist() == [1.0, 2.0]


def test_threads_share_a_control(turnable):
    sampler = Sampler.load(turnable, streams=3, threads=2, random_seed=0, controls={"level": 1.0})
    audio = sampler.generate(0.01)
    np.testing.assert_array_equal(audio[0], audio[2])


def test_a_file_without_controls_has_the_temperature(toy):
    sampler = Sampler.load(toy(), random_seed=0)
    sampler.set_control("temperature", [0.5])
    assert sampler.temperature.tolist() == [0.5]


@pytest.mark.parametrize(
    ("name", "values", "words"),
    [
        ("pitch", [1.0], "this file has level"),
        ("level", [3.0], "must be -2 to 2"),
        ("level", [float("nan")], "must be -2 to 2"),
        ("level", [1.0, 1.0, 1.0], "3 values for 1 streams"),
    ],
)
def test_what_a_file_has_not_is_refused(turnable, name, values, words):
    with pytest.raises(ServingError, match=words):
        Sampler.load(turnable).set_control(name, values)


def test_a_control_of_another_recipe_is_refused_with_the_recipe(toy):
    sampler = Sampler.load(toy(recipe={"name": "raw"}))
    with pytest.raises(ServingError, match=r"'density': .* temperature \(recipe 'raw'\)"):
        sampler.set_control("density", [1.0])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"name": "clock"}, "not of this graph"),
        ({"name": 3}, "without a name"),
        ({"minimum": 1.0}, "empty"),
        ({"maximum": "high"}, "not a number"),
    ],
)
def test_damaged_controls_are_refused(toy, change, words):
    with pytest.raises(ServingError, match=words):
        Sampler.load(toy(controls=[LEVEL | change]))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("curves.json", json.dumps({"level": [[0, 0.0], [10, 2.0]]})),
        ("curves.csv", "seconds,level\n0,0\n10,2\n"),
        ("sheet.csv", "\ufeffseconds, level\r\n0, 0\r\n10, 2\r\n"),  # of a spreadsheet
        ("sparse.csv", "seconds,level,tempo\n0,0,1\n5,,2\n10,2,\n"),
    ],
)
def test_curves_are_straight_between_points_and_level_beyond(tmp_path, name, text):
    (tmp_path / name).write_text(text, encoding="utf-8")
    curves = read_curves(["tempo=1.5"], str(tmp_path / name))
    assert [curves.at(t)["level"] for t in (0, 5, 10, 99)] == [0, 1, 2, 2]
    assert curves.at(3)["tempo"] == 1.5


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.json", "[1]", "give JSON"),
        ("a.json", '{"level": [[0, "x"]]}', "not a number"),
        ("a.json", '{"level": [[0, true]]}', "true is not a number"),
        ("a.json", '{"level": [["0", 1]]}', '"0" is not a number'),
        ("a.json", '{"level": [[1, 0], [0, 0]]}', "go back"),
        ("a.json", '{"level": []}', "must be there"),
        ("a.json", '{"level": [[0, NaN]]}', "finite"),
        ("a.json", '{"level": [[0, 1' + "0" * 400 + "]]}", "not a number"),
        ("a.json", "{}", "holds no curve; give JSON"),
        ("a.csv", "", "holds no curve"),
        ("a.csv", "seconds,level\n", "holds no curve"),
        ("a.csv", "level\n1\n", "give JSON"),
        ("a.csv", "seconds,level\n0\n", "not a number"),
        ("a.csv", "seconds,level,level\n0,1,2\n", "level is there twice"),
        ("a.csv", "seconds,level\n0,0\n1,5,-6,0\n", "give JSON"),  # decimal commas
        ("a.json", '{"level": [[0, 0]], "level": [[0, 1]]}', "level is there twice"),
    ],
)
def test_bad_curves_are_refused_in_one_line(tmp_path, name, text, words):
    (tmp_path / name).write_text(text)
    with pytest.raises(ServingError, match=words):
        read_curves([], str(tmp_path / name))


def test_the_command_line_turns_controls(turnable, tmp_path: Path, capsys):
    curves = tmp_path / "curves.json"
    curves.write_text(json.dumps({"level": [[0, 0.5], [0.2, 2.0]]}))
    high = tmp_path / "high.json"
    high.write_text('{"level": [[0, 1], [7, 9]]}')
    out = str(tmp_path / "new.wav")
    words = [str(turnable), "--seconds", "0.3", "--out", out, "--quiet"]
    assert main([*words, "--curves", str(curves)]) == 0
    curved, _ = soundfile.read(out)
    assert main([*words, "--control", "level=1"]) == 0
    level, _ = soundfile.read(out)
    sampler = Sampler.load(turnable, controls={"level": 1.0})
    np.testing.assert_allclose(level, np.clip(sampler.generate(0.3)[0], -1, 1), atol=2**-14)
    assert not np.allclose(curved, level, atol=1e-2)
    for more, message in [
        (["--control", "level"], "NAME=VALUE"),
        (["--control", "level=9"], "must be -2 to 2"),
        (["--control", "pitch=1"], "this file has level"),
        (["--control", "level=1", "level=2"], "level is there twice"),
        (["--control", "level=1", "--control", "level=2"], "level is there twice"),
        (["--control", "level=1", "--control", "pitch=1"], "no control 'pitch'"),
        (["--control", "temperature=1", "--temperature", "0.5"], "temperature is given twice"),
        (["--curves", str(tmp_path / "none.json")], "no such file of curves"),
        (["--curves", str(high)], "curves, at 7 s: level is 9: it must be -2 to 2"),
    ]:
        assert main([*words, *more]) == 2
        assert message in capsys.readouterr().err


def values_of(sampler):
    return np.unique(sampler.generate(0.001), axis=1)[:, 0].tolist()


def test_music_is_named(album):
    values = values_of(Sampler.load(album(), streams=2, music=["day"]))
    assert values == [2, 2]
    tiny = Sampler.load(album(), music=["night=1e-300"])  # weights count by their ratio alone
    assert values_of(tiny) == values_of(Sampler.load(album(), music=["night"]))
    sampler = Sampler.load(album(), streams=2, music=["sea", "night = 3, day=1"])
    assert values_of(sampler) == [4, 1.25]
    sampler.reset()  # it holds through it
    sampler.prime(np.zeros(8))
    assert values_of(sampler) == [4, 1.25]


def test_the_weight_of_each_music_is_a_control(album):
    sampler = Sampler.load(album(), streams=2, random_seed=0)
    assert list(sampler.controls) == ["temperature", "music/night", "music/day", "music/sea"]
    sampler.set_control("music/night", [1.0])
    assert values_of(sampler) == [1, 1]
    sampler.set_control("music/sea", [0.0, 0.5])
    assert values_of(sampler) == [1, 2]


def test_live_controls_show_the_music_that_was_named(album):
    sampler = Sampler.load(album(), streams=2, music=["day", "sea"])
    live = LiveControls(sampler)
    assert [live.values[f"music/{name}"].tolist() for name in ("night", "day", "sea")] == [
        [0, 0],
        [1, 0],
        [0, 1],
    ]
    live.set("music/night", [1.0])
    live.apply()
    assert values_of(sampler) == [1.5, 2.5]


def test_unnamed_music_is_drawn_by_its_share(album):
    draws = values_of(Sampler.load(album(), streams=400, random_seed=0))
    assert [draws.count(v) / 400 for v in (1, 2, 4)] == pytest.approx([0.2, 0.5, 0.3], abs=0.07)
    few = Sampler.load(album(), streams=8, random_seed=0)
    assert values_of(few) == draws[:8]
    few.reset()
    assert values_of(few) == draws[:8]
    few.prime(np.zeros(8))  # a seed is none of them
    assert values_of(few) == [0] * 8


def test_music_with_no_share_is_drawn_by_its_name_alone(album):
    path = album(music={"names": ["night", "day", "sea"], "shares": [0, 0.5, 0.5]})
    assert set(values_of(Sampler.load(path, streams=40, random_seed=0))) == {2, 4}
    assert values_of(Sampler.load(path, music=["night"])) == [1]


@pytest.mark.parametrize(
    ("music", "words"),
    [
        (["nigth"], "no music 'nigth': nearest of 3: night"),
        (["night=x"], "NAME=WEIGHT"),
        (["night=-1"], "NAME=WEIGHT"),
        (["night=1e300,day=1"], "weights from 0 to 1e.06"),
        (["night=0"], "add up to nothing"),
        (["night", "day", "sea"], "music: 3 values for 1 streams.* joined by commas"),
    ],
)
def test_wrong_music_is_one_line(album, music, words):
    with pytest.raises(ServingError, match=words):
        Sampler.load(album(), music=music)


def test_a_wrong_name_of_music_among_controls_is_one_line(album, turnable):
    with pytest.raises(ServingError, match="nearest of 3: day"):
        Sampler.load(album()).set_control("music/dya", [1.0])
    with pytest.raises(ServingError, match="names no music"):
        Sampler.load(turnable, music=["night"])


@pytest.mark.parametrize(
    "music",
    [
        {"names": ["night", "day"], "shares": [0.5, 0.5]},
        {"names": ["night", "day", "day"], "shares": [0.2, 0.5, 0.3]},
        {"names": ["night", "day", 3], "shares": [0.2, 0.5, 0.3]},
        {"names": ["night", "day", "sea"], "shares": [0, 0, 0]},
        {"names": ["night", "day", "sea"], "shares": [0.2, 0.8]},
        {"names": ["night", "day", "sea"]},
        ["night"],
    ],
)
def test_damaged_names_of_music_are_refused(album, music):
    with pytest.raises(ServingError, match="damaged"):
        Sampler.load(album(music=music))
