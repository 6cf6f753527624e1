"""A spectral model from audio files to an exported file: trains, resumes, scores, plays."""

import json
import shutil

import keras
import numpy as np
import pytest
import soundfile
import tensorflow as tf

from keras_rawaudio.data.corpus.settings import PARTS
from keras_rawaudio.data.corpus.synthesis import write_demo_piece
from keras_rawaudio.errors import UserError
from keras_rawaudio.exporters.export import export
from keras_rawaudio.exporters.metadata import describe
from keras_rawaudio.generation import advance, fresh_state
from keras_rawaudio.models.beats import NO_BEAT
from keras_rawaudio.recipes import load_recipe, recipe_from_json
from keras_rawaudio.reports.facts import facts
from keras_rawaudio.reports.report import Report
from keras_rawaudio.training import code_balance
from keras_rawaudio.training.code_corpus import CodeCorpus
from keras_rawaudio.training.copy_meter import CopyMeter
from keras_rawaudio.training.csv_log import read_log
from keras_rawaudio.training.memory_limit import MemoryLimit
from keras_rawaudio.training.model_files import load_model
from keras_rawaudio.training.resume import resume
from keras_rawaudio.training.run_folder import RunFolder
from keras_rawaudio.training.run_scores import evaluate
from keras_rawaudio.training.schedule import Budget
from keras_rawaudio.training.train import train

RECIPE = {
    "name": "tiny",
    "description": "",
    "spectral": {"units": 8, "components": 8, "clock_harmonics": 2},
    "data": {"length": 8, "batch": 2},
    "training": {"sample_seconds": 0.0, "validate_every": 1000.0, "warmup_steps": 3},
}


@pytest.fixture(scope="module", autouse=True)
def short_draws():
    """Balances codes by a few blocks: how well is tested in test_code_balance.py."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(code_balance, "SECONDS", 1.0)
        yield


@pytest.fixture(scope="module")
def piece(tmp_path_factory):
    return write_demo_piece(tmp_path_factory.mktemp("piece") / "piece.wav", 8.0, 2000)


@pytest.fixture(scope="module")
def run(piece, tmp_path_factory):
    folder = tmp_path_factory.mktemp("spectral")
    train([piece], folder / "run", recipe_from_json(RECIPE), Budget(epochs=1), cache=folder)
    return folder / "run"


@pytest.fixture(scope="module")
def album(tmp_path_factory):
    """A run on two files of other lengths."""
    folder = tmp_path_factory.mktemp("album")
    files = [write_demo_piece(folder / f"{n}.wav", s, 2000) for n, s in (("night", 8), ("day", 24))]
    train(files, folder / "run", recipe_from_json(RECIPE), Budget(epochs=1), cache=folder)
    return folder / "run"


def test_a_run_keeps_the_codebook_size_that_its_budget_gave(run):
    """Its checkpoint fits no other, whatever the budget of a resumed run."""
    size = load_model(RunFolder(run)).spectral_codec.codebook_size
    assert RunFolder(run).read_recipe()["spectral"]["codebook_size"] == size


@pytest.mark.slow
def test_every_file_of_an_album_is_a_label(album):
    model = load_model(RunFolder(album))
    assert list(model.labels) == ["night", "day"]
    np.testing.assert_allclose(model.label_shares, [0.25, 0.75], atol=0.02)
    codes = CodeCorpus.load(RunFolder(album).codes, 1 << 14)
    assert codes.labels("train") == [0, 0, 0, 0, 1, 1, 1, 1]
    assert codes.labels("validation") == [0, 1]
    assert 0 < evaluate(album, diagnose=True)["bits_per_code"] < 10
    # Too short for a steady pulse, so without a clock.


def test_a_run_finds_the_beats_of_its_train_part(run):
    model = load_model(RunFolder(run))
    beat = float(model.prior.beat)
    assert 0 <= beat < 1
    model.prior.set_beat([NO_BEAT])
    codes = CodeCorpus.load(RunFolder(run).codes, model.spectral_codec.codebook_size)
    rows, starts = codes.segments("train"), codes.starts("train")
    model.find_beats(rows, starts, [0] * len(rows))
    assert float(model.prior.beat) == pytest.approx(beat)


def test_a_run_finds_the_sections_of_its_train_part(run):
    model = load_model(RunFolder(run))
    codes = CodeCorpus.load(RunFolder(run).codes, model.spectral_codec.codebook_size)
    kept = [np.asarray(weight) for weight in model.sections.weights]
    assert kept[0].any()
    rows = codes.read("train", model.frame)
    model.find_sections(rows, [0] * len(rows))
    for weight, before in zip(model.sections.weights, kept, strict=True):
        np.testing.assert_allclose(weight, before, atol=1e-4)


def test_codes_of_a_corpus_without_labels_have_none(run):
    assert CodeCorpus.load(RunFolder(run).codes, 1 << 14).labels("train") is None


def test_the_shipped_recipe_is_spectral():
    recipe = load_recipe("default", {"spectral.units": 64})
    assert recipe.spectral.units == 64
    assert recipe_from_json(json.loads(json.dumps(recipe.to_json()))) == recipe


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("spectral.units", 0, "units"),
        ("spectral.dropout", 1.0, "dropout"),
        ("data.shift", 1, "shift"),
    ],
)
def test_wrong_settings_are_refused(key, value, words):
    with pytest.raises(UserError, match=words):
        load_recipe("default", {key: value})


def test_a_run_is_scored_in_bits_per_code(run):
    scores = evaluate(run)
    assert 0 < scores["bits_per_code"] < 10
    assert scores["baselines"]["code_frequencies"] > 0
    codes = CodeCorpus.load(RunFolder(run).codes, 1 << 14)
    assert scores["samples"] == codes.samples("test")
    assert all(c.min() >= 1 for c in codes.segments("train"))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("train_codes", np.int16(0)),
        ("train_codes", np.int16(17)),
        ("train_starts", -1),
        ("train_starts", 0.5),
        ("train_labels", -1),
    ],
)
def test_codes_that_do_not_fit_are_one_line(tmp_path, name, value):
    path = tmp_path / "codes.npz"
    codes = {part: [np.array([1, 16], np.int16)] for part in PARTS}
    zeros = {part: [0] for part in PARTS}
    CodeCorpus(codes, zeros, zeros).save(path)
    assert CodeCorpus.load(path, 16).starts("train") == [0]
    arrays = dict(np.load(path))
    np.savez(path, **{**arrays, name: np.full(arrays[name].shape, value)})
    with pytest.raises(UserError, match=r"cannot read .*codes\.npz: .*; train into a new folder"):
        CodeCorpus.load(path, 16)


def test_the_page_says_which_model_is_kept_and_whether_it_knows_the_piece_by_heart(run):
    report = Report(RunFolder(run), load_model(RunFolder(run)))
    assert 19 < report.model.memory_seconds <= 20
    assert "its state begins anew within" in report.summary(None).words
    report.model.memory.assign(0)
    report.log[-1] |= {"minutes": 0.0, "bits_per_code": 0.5, "copied_seconds": 0.0}
    words = report.summary(None).words
    assert words.startswith("kept: the model after 0.0 minutes, 0.500 bits per code on validation;")
    assert "memorised" not in words
    report.log.append(report.log[-1] | {"bits_per_code": 99.0, "copied_seconds": 9.0})
    assert "It follows the train part for 9 s at a stretch" in report.summary(None).words
    assert "memorised" in report.summary(None).words
    report.model.memory.assign(20)
    assert "its state begins anew within 1.3 s" in report.summary(None).words
    sizes = facts(report.run, report.model, report.log, None)[1].tables[0].rows
    assert ["a block", "128 samples, 2 codes"] in sizes


def test_a_log_without_copies_is_damaged(run, tmp_path):
    shutil.copytree(run, tmp_path / "run")
    log = RunFolder(tmp_path / "run").log
    log.write_text(log.read_text().replace("copied_seconds", "copied"))
    with pytest.raises(UserError, match="no number under 'copied_seconds'"):
        Report(RunFolder(tmp_path / "run"), load_model(RunFolder(tmp_path / "run")))


@pytest.mark.slow
@pytest.mark.parametrize(("copied", "limit"), [(1.0, 4.0), (9.0, 4.0), (9.0, None)])
def test_a_model_that_copies_for_too_long_is_interrupted(
    run, tmp_path, monkeypatch, capsys, copied, limit
):
    shutil.copytree(run, tmp_path / "run")
    path = RunFolder(tmp_path / "run").recipe
    recipe = json.loads(path.read_text())
    recipe["training"]["longest_copy"] = limit
    path.write_text(json.dumps(recipe))

    def longest(meter, seed):
        return np.full(16, 2.0 if 0 < float(meter.model.copies.threshold) < 0.7 else copied)

    monkeypatch.setattr(CopyMeter, "longest", longest)
    resume(tmp_path / "run", Budget(epochs=2))
    stops = limit is not None and copied > limit
    row = read_log(RunFolder(tmp_path / "run").log)[-1]
    assert row["copied_seconds"] == (2.0 if stops else copied)
    model = load_model(RunFolder(tmp_path / "run"))
    threshold = float(model.copies.threshold)
    assert (0.6 < threshold < 0.7) == stops
    assert (threshold == 0) == (not stops)
    assert float(model.memory) == (0 if limit is None else 20 * model.rate // model.block)
    words = f"copies are interrupted from a correlation of {threshold:.2f} on"
    assert (words in capsys.readouterr().err) == stops


@pytest.mark.slow
def test_a_resumed_run_seeks_copies_among_the_spectra_of_its_codebook(run, tmp_path, monkeypatch):
    shutil.copytree(run, tmp_path / "run")
    meters = []

    def longest(meter, seed):
        meters.append(meter)
        return np.zeros(16)

    monkeypatch.setattr(CopyMeter, "longest", longest)
    resume(tmp_path / "run", Budget(epochs=2))
    codec = load_model(RunFolder(tmp_path / "run")).spectral_codec
    for band, magnitudes in enumerate(codec.magnitudes):
        assert np.any(magnitudes)
        np.testing.assert_array_equal(meters[0].model.spectral_codec.magnitudes[band], magnitudes)
        assert np.any(meters[0].powers[band])


@pytest.mark.slow
def test_an_interrupted_run_goes_on_as_if_it_had_not_been(run, piece, tmp_path):
    recipe = recipe_from_json(RECIPE | {"training": RECIPE["training"] | {"schedule": "constant"}})
    for name, budgets in {"whole": [2], "parts": [1, 2]}.items():
        train([piece], tmp_path / name, recipe, Budget(epochs=budgets[0]), cache=tmp_path)
        for epochs in budgets[1:]:
            resume(tmp_path / name, Budget(epochs=epochs))
    whole, parts = (np.load(RunFolder(tmp_path / n).training_state) for n in ("whole", "parts"))
    for name in whole.files:
        if name != "progress":
            np.testing.assert_array_equal(whole[name], parts[name], err_msg=name)


@pytest.mark.slow
def test_music_is_the_same_in_keras_savedmodel_and_onnx(album, tmp_path):
    import onnxruntime

    path = export(album, tmp_path / "exported")
    model = load_model(RunFolder(album))
    rng = np.random.default_rng(0)
    feeds = {n: np.asarray(v) for n, v in fresh_state(model, 4).items()}
    feeds["music"] = np.array([[1, 0], [0, 1], [0.6, 0.2], [0, 0]], np.float32)
    feeds["forced"] = (0.2 * rng.normal(size=(4, 2 * model.block))).astype(np.float32)
    feeds["noise"] = rng.random((4, 5 * model.block, 1), np.float32)
    feeds["temperature"] = np.ones(4, np.float32)
    given = [feeds[n] for n in ("forced", "noise", "temperature")]
    _, state = advance(model, *given, {n: feeds[n] for n in fresh_state(model, 4)})
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [o.name for o in session.get_outputs()]
    made = dict(zip(names, session.run(None, feeds), strict=True))
    saved = tf.saved_model.load(str(tmp_path / "exported" / "saved_model"))
    saved = saved.signatures["advance"](**{n: tf.constant(v) for n, v in feeds.items()})
    for name in (*model.state_spec(), "codes"):
        np.testing.assert_allclose(made[f"{name}_next"], state[name], atol=1e-4, err_msg=name)
        np.testing.assert_allclose(saved[name], state[name], atol=1e-4, err_msg=name)


@pytest.mark.slow
def test_the_sampler_names_music(album, tmp_path):
    from keras_rawaudio_serving.cli import main
    from keras_rawaudio_serving.sampler import Sampler

    path = export(album, tmp_path / "exported")
    sampler = Sampler.load(path, streams=2, random_seed=1, music=["night=3,day=1"])
    assert [label.name for label in sampler.metadata.labels] == ["night", "day"]
    whole = sampler.generate(1.0)
    assert np.abs(whole).max() > 0
    curves = tmp_path / "curves.json"
    curves.write_text(json.dumps({"music/night": [[0, 1], [1, 0]], "music/day": [[0, 0], [1, 1]]}))
    arguments = [str(path), "--seconds", "1", "--out", str(tmp_path / "new.wav"), "--quiet"]
    assert main([*arguments, "--curves", str(curves)]) == 0


@pytest.mark.slow
def test_the_sampler_plays_it(run, tmp_path):
    from keras_rawaudio_serving.sampler import Sampler

    path = export(run, tmp_path / "exported")
    sampler = Sampler.load(path, streams=2, random_seed=1)
    whole = sampler.generate(2.0)
    assert whole.shape == (2, 4000)
    assert np.abs(whole).max() > 0
    sampler.reset()
    parts = np.concatenate([*sampler.stream(0.5), *sampler.stream(1.5)], axis=1)
    np.testing.assert_allclose(parts, whole, atol=1e-4)
    sampler.prime(np.zeros(700))
    assert sampler.generate(1.0).shape == (2, 2000)
    assert list(sampler.controls) == ["temperature", "tempo", "level", "density", "hold"]
    sampler.reset()
    sampler.set_control("level", [-20.0])
    quiet = sampler.generate(2.0)
    np.testing.assert_allclose(quiet[:, 400:], whole[:, 400:] / 10, atol=1e-4)


@pytest.mark.slow
def test_stereo_files_train_a_stereo_generator(tmp_path):
    import soundfile
    from keras_rawaudio_serving.sampler import Sampler

    from keras_rawaudio.reports.report import write_report

    rate = 4000
    audio, _ = soundfile.read(write_demo_piece(tmp_path / "mono.wav", 12.0, rate))
    stereo = np.stack([audio, 0.3 * np.roll(audio, 5)], axis=1)
    soundfile.write(tmp_path / "stereo.wav", stereo, rate)
    recipe = RECIPE | {"training": RECIPE["training"] | {"sample_seconds": 2.5}}
    run = tmp_path / "run"
    train(
        [tmp_path / "stereo.wav"], run, recipe_from_json(recipe), Budget(epochs=1), cache=tmp_path
    )
    write_report(run)
    made, _ = soundfile.read(next((run / "samples").glob("*.wav")))
    assert made.shape == (2.5 * rate, 2)
    sampler = Sampler.load(export(run, tmp_path / "exported"), random_seed=0)
    assert sampler.channels == 2
    sampler.prime(stereo[:rate])
    left, right = sampler.generate(3.0)[0].T
    # The louder channel stays the louder one.
    assert np.std(left) > 2 * np.std(right) > 0


def test_a_run_generates_after_each_validation_though_copies_are_interrupted_from_the_second_on(
    piece, tmp_path, monkeypatch
):
    """Then the model has states that it had not when it generated first."""

    def find(limit, updates, seed):
        limit.model.copies.threshold.assign(0.8 * len(found))
        found.append(seed)
        return 0.0

    found = []
    monkeypatch.setattr(MemoryLimit, "find", find)
    often = {**RECIPE["training"], "sample_seconds": 0.25, "validate_every": 1e-6}
    recipe = recipe_from_json(RECIPE | {"training": often})
    train([piece], tmp_path / "run", recipe, Budget(epochs=2), cache=tmp_path)
    assert len(found) > 1
    assert len(list((tmp_path / "run" / "samples").glob("*.wav"))) == len(found)


def test_codes_are_balanced_after_all_where_ctrl_c_came_at_the_end(run, tmp_path, monkeypatch):
    """The budget is used by then: `--resume` does what is left."""
    folder = RunFolder(shutil.copytree(run, tmp_path / "run"))
    calls = []

    def find_anew(limit, updates, seed):
        calls.append(seed)
        if len(calls) == 1:
            raise KeyboardInterrupt
        limit.model.nearness.assign(0.125)
        return 0.0

    class AtTheEnd(keras.callbacks.Callback):
        """As a tracking service, which then takes the model that is kept."""

        def on_train_end(self, logs=None):
            kept.append(float(load_model(folder).nearness))

    kept = []
    monkeypatch.setattr(MemoryLimit, "find_anew", find_anew)
    assert not resume(folder.path, Budget(epochs=2), callbacks=[AtTheEnd()])
    assert load_model(folder).nearness != 0.125
    assert resume(folder.path, callbacks=[AtTheEnd()])
    assert load_model(folder).nearness == 0.125
    assert kept[0] != kept[1] == 0.125
    assert resume(folder.path, callbacks=[AtTheEnd()])
    assert len(calls) == len(kept) == 2


def test_labels_of_a_second_and_of_a_moment_are_learned_or_left_out(tmp_path, capfd):
    """One holds no window, one no block: neither is drawn, and a note names them."""
    files = [write_demo_piece(tmp_path / "song.wav", 8.0, 2000)]
    for name, seconds in (("hit", 0.05), ("loop", 0.5)):
        rng = np.random.default_rng(0)
        files.append(tmp_path / f"{name}.wav")
        soundfile.write(files[-1], rng.normal(size=round(seconds * 2000)) / 9, 2000)
    recipe = recipe_from_json({**RECIPE, "data": {"length": 64, "batch": 2}})
    train(files, tmp_path / "run", recipe, Budget(epochs=1), cache=tmp_path / "cache")
    note = "note: 2 of 3 labels are shorter than a window of training: nothing is learned of "
    assert f"{note}hit, loop; join such files" in capfd.readouterr().err
    model = load_model(RunFolder(tmp_path / "run"))
    np.testing.assert_allclose(model.label_shares, [1, 0, 0], atol=1e-6)
    metadata = json.loads(json.dumps(describe(model, {})))
    assert sum(metadata["music"]["shares"]) == pytest.approx(1)
