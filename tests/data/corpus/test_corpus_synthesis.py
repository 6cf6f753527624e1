import numpy as np
import pytest
import soundfile

from keras_rawaudio.data.corpus.synthesis import DRONE, SCALE, synthesise, write_demo_piece
from keras_rawaudio.errors import UserError

RATE = 8000


@pytest.fixture(scope="module")
def piece():
    return synthesise(120, RATE)


def test_length_kind_and_peak(piece):
    assert piece.shape == (120 * RATE,)
    assert piece.dtype == np.float32
    assert np.abs(piece).max() == pytest.approx(0.7)
    assert abs(piece.mean()) < 0.01


def test_same_seed_same_piece():
    np.testing.assert_array_equal(synthesise(3, seed=5), synthesise(3, seed=5))
    assert np.abs(synthesise(3, seed=5) - synthesise(3, seed=6)).max() > 0.1


def test_notes_stand_out_of_their_surroundings(piece):
    """Every second shows the drone and a note of the scale, 20 dB over the hiss and the beat."""
    spectra = np.abs(np.fft.rfft(piece.reshape(-1, RATE) * np.hanning(RATE)))
    notes = np.stack([spectra[:, round(p) - 1 : round(p) + 2].max(axis=1) for p in SCALE], axis=1)
    hiss = np.median(spectra[:, 1000:], axis=1)
    assert np.all(notes.max(axis=1) > 10 * hiss)
    for pitch in DRONE:
        assert np.all(spectra[:, int(pitch) : int(pitch) + 2].max(axis=1) > 10 * hiss)
    assert len(set(notes.argmax(axis=1))) >= 5  # and the melody moves


def test_nine_then_fourteen_pulsations_a_minute(piece):
    low = np.fft.irfft(np.fft.rfft(piece) * (np.arange(len(piece) // 2 + 1) < 60 * 120))
    level = np.square(low).reshape(2, 60, 10, -1).mean(axis=-1).reshape(2, 600)
    spectra = np.abs(np.fft.rfft(level - level.mean(axis=1, keepdims=True), axis=1))
    assert spectra[:, :40].argmax(axis=1).tolist() == [9, 14]  # cycles in a minute


def test_two_beats_a_second(piece):
    high = np.diff(piece, 3)[: 8000 * 119]
    level = np.sqrt(np.square(high).reshape(-1, 80).mean(axis=1))  # 100 per second
    onsets = np.maximum(np.diff(np.log(level)), 0)
    onsets -= onsets.mean()
    lags = np.array([onsets[lag:] @ onsets[: len(onsets) - lag] for lag in range(20, 120)])
    assert lags.argmax() + 20 in (49, 50, 51, 99, 100, 101)
    assert lags.max() / (onsets @ onsets) > 0.4


@pytest.mark.parametrize("rate", [2000, 16000, 44100])
def test_other_rates(rate):
    assert synthesise(0.5, rate).shape == (rate // 2,)


def test_written_piece(tmp_path):
    path = write_demo_piece(tmp_path / "demo.flac", 2, seed=1)
    audio, rate = soundfile.read(path, dtype="float32")
    assert rate == RATE
    np.testing.assert_allclose(audio, synthesise(2, seed=1), atol=1 / 32768)


def test_bad_input(tmp_path):
    for seconds, rate in [(0, 8000), (-1, 8000), (np.nan, 8000), (1, 0)]:
        with pytest.raises(UserError):
            synthesise(seconds, rate)
    for path in (tmp_path / "none" / "a.wav", tmp_path / "a.song", tmp_path / "a"):
        with pytest.raises(UserError, match="cannot write"):
            write_demo_piece(path, 1)
