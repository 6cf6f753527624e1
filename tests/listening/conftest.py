"""A listening test, as the command makes it, and listeners who answer it without a browser."""

import json

import numpy as np
import pytest
import soundfile

from keras_rawaudio.cli import main
from keras_rawaudio.data.corpus.synthesis import write_demo_piece
from keras_rawaudio.listening.design import Key
from keras_rawaudio.metrics.bracket_audio import through_mp3

RATE = 16000


def answers_of(key, name, chance_of, grades, seed=0):
    """Answers of a listener.

    Args:
        key: of the test.
        name: of the listener.
        chance_of: the probability of the first source of a pair, by the second; recording first.
        grades: of each source.
        seed: of the answers.
    """
    generator = np.random.default_rng(seed)
    answers = []
    for trial in key.trials:
        sources = dict(zip(key.sources(trial), trial.clips, strict=True))
        answer = {"trial": trial.id, "order": trial.clips, "plays": [1] * len(trial.clips)}
        if trial.question == "rate":
            (source,) = sources
            answer |= {"fidelity": grades[source], "musicality": grades[source]}
        else:
            first = "recording" if trial.question == "identify" else "a"
            (second,) = sources.keys() - {first}
            chosen = first if generator.random() < chance_of[first, second] else second
            answer["choice"] = sources[chosen]
        answers.append({**answer, "seconds": 9.5})
    return {
        "format": "keras-rawaudio listening test, answers",
        "version": 1,
        "test": key.test,
        "listener": name,
        "equipment": "headphones",
        "seed": seed,
        "began": f"2030-01-01T10:00:{seed % 60:02d}.000Z",
        "answers": answers,
    }


@pytest.fixture(scope="session")
def listen():
    """`answers_of`."""
    return answers_of


@pytest.fixture(scope="session")
def audio(tmp_path_factory):
    """A recording, the recording with hiss, and another piece."""
    if through_mp3(np.zeros(RATE, np.float32), RATE) is None:
        pytest.skip("a listening test needs soundfile >= 0.13, which writes MP3")
    home = tmp_path_factory.mktemp("audio")
    write_demo_piece(home / "song.wav", 60.0, RATE)
    write_demo_piece(home / "other.wav", 8.0, RATE, seed=5)
    song, rate = soundfile.read(home / "song.wav", frames=8 * RATE)
    hiss = np.random.default_rng(0).normal(size=len(song)) * 0.05
    soundfile.write(home / "hiss.wav", (song + hiss) / 4, rate)
    return home


@pytest.fixture(scope="session")
def made(audio):
    """The folder of a test."""
    words = f"listen-test --real {audio}/song.wav --a {audio}/hiss.wav --b {audio}/other.wav"
    assert main([*words.split(), "--out", f"{audio}/test", "--trials", "4", "--seconds", "1"]) == 0
    return audio / "test"


@pytest.fixture(scope="session")
def key(made):
    return Key.model_validate_json((made / "key.json").read_text())


@pytest.fixture
def answer_files(made, key, tmp_path):
    """Writes answers, and gives what `--results` takes."""

    def write(*answers):
        paths = [made / "key.json"]
        for number, one in enumerate(answers):
            paths.append(tmp_path / f"answers-{number}.json")
            paths[-1].write_text(json.dumps(one))
        return paths

    return write
