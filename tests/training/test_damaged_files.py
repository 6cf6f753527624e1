"""Files of a run, a corpus and a recipe with any content: read, or refused in one line."""

import copy
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_rawaudio.data.corpus.corpus import Corpus
from keras_rawaudio.errors import UserError
from keras_rawaudio.recipes import load_recipe
from keras_rawaudio.training.csv_log import read_log
from keras_rawaudio.training.json_files import read_json
from keras_rawaudio.training.run_folder import FORMAT_VERSION, RunFolder

PARTS = ("train", "validation", "test")
SEGMENTS = {"samples": 100, "segments": [{"samples": 100, "start": 0, "source": 0}]}
CORPUS = {
    "format_version": 1,
    "fingerprint": "a",
    "sample_rate": 2000,
    "channels": 1,
    "settings": {},
    "sources": [{"path": "song.wav"}],
    "parts": dict.fromkeys(PARTS, SEGMENTS),
}
RUN = {
    "format_version": FORMAT_VERSION,
    "corpus": "corpus",
    "sample_rate": 2000,
    "measure": "bits_per_sample",
    "baselines": {"order_0": 1.0},
    "versions": {},
    "seed": 0,
}
RECIPE = {
    "codec": {"name": "mulaw", "levels": 16},
    "tiers": [{"frame_size": 8, "units": 4}],
    "head": {"kind": "categorical", "hidden_units": 8},
    "data": {"length": 64},
}
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=5,
)


@st.composite
def changed(draw, values):
    """The values with one of them, at any depth, replaced or left out."""
    values = place = copy.deepcopy(values)
    while True:
        key = draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
        inner = place[key]
        if not (isinstance(inner, (dict, list)) and inner and draw(st.booleans())):
            break
        place = inner
    if draw(st.booleans()):
        place[key] = draw(VALUES)
    else:
        del place[key]
    return json.dumps(values).encode()


def read_corpus(folder):
    for part in PARTS:
        (folder / f"{part}.i16").write_bytes(bytes(200))
    corpus = Corpus.open(folder)
    for part in PARTS:
        corpus.segments(part), corpus.starts(part), corpus.place(part, 0.0)


def read_run(folder):
    (folder / "recipe.json").write_text("{}")
    RunFolder.open(folder)


READERS = {
    "corpus.json": (CORPUS, read_corpus),
    "run.json": (RUN, read_run),
    "recipe.json": (RECIPE, lambda folder: load_recipe(str(folder / "recipe.json"))),
    "recipe.yaml": (RECIPE, lambda folder: load_recipe(str(folder / "recipe.yaml"))),
}
ROWS = st.text(alphabet='step,minutes\n0123456789.-e"', max_size=200)


def test_a_number_that_no_float_holds_is_one_line(tmp_path):
    (tmp_path / "run.json").write_text(
        '{"format_version": 1, "baselines": {"a": 1' + "0" * 400 + "}}"
    )
    with pytest.raises(UserError, match="more than 300 digits"):
        read_json(tmp_path / "run.json")


def in_one_line(read, folder):
    try:
        read(folder)
    except UserError as error:  # and nothing else
        assert "\n" not in str(error)  # noqa: PT017 -- it need not be raised


@pytest.mark.parametrize("name", READERS)
def test_what_is_changed_below_is_whole(tmp_path, name):
    valid, read = READERS[name]
    (tmp_path / name).write_text(json.dumps(valid))
    read(tmp_path)


@pytest.mark.parametrize("name", READERS)
@settings(max_examples=100)
@given(data=st.data())
def test_any_content_is_read_or_refused_in_one_line(tmp_path_factory, name, data):
    valid, read = READERS[name]
    folder = tmp_path_factory.mktemp("damaged")
    (folder / name).write_bytes(data.draw(changed(valid) | st.binary(max_size=200)))
    in_one_line(read, folder)


@settings(max_examples=100)
@given(content=ROWS.map(lambda rows: f"step,minutes\n{rows}".encode()) | st.binary(max_size=200))
def test_any_log_is_read_or_refused_in_one_line(tmp_path_factory, content):
    log = tmp_path_factory.mktemp("damaged") / "log.csv"
    log.write_bytes(content)
    in_one_line(lambda path: read_log(path, "minutes"), log)
