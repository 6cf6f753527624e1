"""Seeds in: resampling, cutting, mixing."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from keras_rawaudio_serving import ServingError
from keras_rawaudio_serving.audio import read_seed
from keras_rawaudio_serving.resample import resample

Tone = Callable[..., Path]
PAIRS = [(44100, 16000), (48000, 16000), (8000, 16000), (22050, 8000), (16000, 44100)]


def _sine(frequency: float, rate: int, seconds: float = 1.0) -> np.ndarray:
    return np.sin(2 * np.pi * frequency * np.arange(round(seconds * rate)) / rate)


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_a_sine_keeps_frequency_level_and_phase(source: int, target: int) -> None:
    for frequency in (50.0, 1000.0, 0.88 * min(source, target) / 2):
        out = resample(_sine(frequency, source), source, target)
        assert out.shape == (target,)
        middle = slice(target // 10, -target // 10)
        error = (out - _sine(frequency, target))[middle]
        assert np.abs(error).max() < 1e-4  # -80 dB


@pytest.mark.parametrize(("source", "target"), [(44100, 16000), (22050, 8000)])
def test_resampling_does_not_alias(source: int, target: int) -> None:
    for frequency in (0.505 * target, 0.6 * target, 0.99 * source / 2):
        out = resample(_sine(frequency, source), source, target)
        assert np.abs(out[target // 10 : -target // 10]).max() < 1e-4


def test_resampling_keeps_a_constant_and_the_length() -> None:
    for n in (1, 2, 100, 4411):
        assert len(resample(np.ones(n), 44100, 16000)) == round(n * 16000 / 44100)
    out = resample(np.ones(8000), 44100, 11000)
    np.testing.assert_allclose(out[500:-500], 1, atol=1e-6)
    same = np.arange(5, dtype=np.float32)
    np.testing.assert_array_equal(resample(same, 8000, 8000), same)


def test_against_scipy() -> None:
    signal = pytest.importorskip("scipy.signal")
    spectrum = np.zeros(22051, complex)
    spectrum[1:6000] = np.exp(2j * np.pi * np.random.default_rng(0).random(5999))
    audio = np.fft.irfft(spectrum)  # band-limited noise, periodic
    audio /= np.abs(audio).max()
    expected = signal.resample(audio, 16000)  # exact for periodic signals
    out = resample(audio, 44100, 16000)
    assert np.abs(out - expected)[1000:-1000].max() < 1e-3


def test_seed_at_another_rate_is_resampled_and_cut_by_sample_index(tone: Tone) -> None:
    """Pitfall 16: a second at 44.1 kHz is a second at the model's rate, from the right place."""
    path = tone(seconds=3, rate=44100, frequency=440, channels=2)
    seed = read_seed(path, 16000, start=1.0, seconds=1.0)
    assert seed.missing_seconds == 0
    assert seed.audio.shape == (16000,)
    assert seed.audio.dtype == np.float32
    # Audio beyond the cut is read along: no fade at the seed's own edges.
    np.testing.assert_allclose(seed.audio, 0.5 * _sine(440, 16000), atol=1e-4)


def test_seed_cut_at_odd_places(tone: Tone) -> None:
    path = tone(seconds=2, rate=44100, frequency=100)
    for start in (0.0, 0.003, 0.0311, 1.23456):
        seed = read_seed(path, 8000, start=start, seconds=0.25)
        assert seed.audio.shape == (2000,)
        t = round(start * 44100) / 44100 + np.arange(2000) / 8000
        expected = 0.5 * np.sin(2 * np.pi * 100 * t)
        tail = slice(100, None)  # the file itself begins with an edge
        np.testing.assert_allclose(seed.audio[tail], expected[tail], atol=1e-3)


def test_seed_default_is_one_second_or_the_rest(tone: Tone) -> None:
    path = tone(seconds=1.5, rate=8000)
    assert len(read_seed(path, 8000).audio) == 8000
    rest = read_seed(path, 8000, start=1.25)
    assert len(rest.audio) == 2000
    assert rest.missing_seconds == 0  # nothing more was asked
    short = read_seed(path, 8000, start=1.25, seconds=1.0)
    assert len(short.audio) == 2000
    assert short.missing_seconds == pytest.approx(0.75)


def test_seed_is_mixed_to_mono(tmp_path: Path) -> None:
    stereo = np.stack([np.full(800, 0.5), np.full(800, -0.25)], axis=1)
    soundfile.write(tmp_path / "s.wav", stereo, 8000, subtype="FLOAT")
    np.testing.assert_allclose(read_seed(tmp_path / "s.wav", 8000).audio, 0.125)


def test_bad_seed_audio(tmp_path: Path, tone: Tone) -> None:
    path = tone(seconds=1, rate=8000)
    with pytest.raises(ServingError, match="no such seed audio"):
        read_seed(tmp_path / "none.wav", 8000)
    with pytest.raises(ServingError, match="beyond the end"):
        read_seed(path, 8000, start=1.0)
    with pytest.raises(ServingError, match="start is -1"):
        read_seed(path, 8000, start=-1)
    with pytest.raises(ServingError, match="length is 0"):
        read_seed(path, 8000, seconds=0)
    (tmp_path / "text.wav").write_text("hello")
    with pytest.raises(ServingError, match=r"cannot read seed audio \S+text\.wav: Format not rec"):
        read_seed(tmp_path / "text.wav", 8000)
    (tmp_path / "a.raw").write_bytes(bytes(100))
    with pytest.raises(ServingError, match=r"cannot read seed audio \S+a\.raw: samplerate"):
        read_seed(tmp_path / "a.raw", 8000)
    soundfile.write(tmp_path / "empty.wav", np.zeros(0), 8000)
    with pytest.raises(ServingError, match="empty"):
        read_seed(tmp_path / "empty.wav", 8000)
    soundfile.write(tmp_path / "nan.wav", np.full(100, np.nan), 8000, subtype="FLOAT")
    with pytest.raises(ServingError, match="NaN"):
        read_seed(tmp_path / "nan.wav", 8000)


@pytest.mark.parametrize(
    ("start", "seconds"),
    [(np.nan, 1.0), (np.inf, 1.0), (1e308, 1.0), (0.0, np.nan), (0.0, np.inf), (0.0, 1e308)],
)
def test_a_seed_has_a_place(tone: Tone, start: float, seconds: float) -> None:
    with pytest.raises(ServingError, match=r"the seed's (start|length) is"):
        read_seed(tone(), 8000, start, seconds)


def test_decoders_print_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "noise.mp3").write_bytes(bytes(range(256)) * 8)
    with pytest.raises(ServingError, match="cannot read seed audio"):
        read_seed(tmp_path / "noise.mp3", 8000)
    assert capfd.readouterr().err == ""


def test_a_seed_that_may_not_be_read_is_called_so(
    tone: Tone, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Libsndfile's text for what the system refuses is "System error." """

    def refuse(*arguments: object) -> None:
        raise PermissionError(13, "Permission denied")

    path = tone(seconds=1, rate=8000)
    monkeypatch.setattr("keras_rawaudio_serving.audio.open", refuse, raising=False)
    with pytest.raises(ServingError, match=r"cannot read seed audio .*: Permission denied"):
        read_seed(path, 8000)


def test_a_rate_that_no_audio_has_is_refused_before_it_is_read(tone: Tone) -> None:
    """Its resampling would take gigabytes."""
    path = tone(seconds=0.1, rate=8000)
    data = bytearray(path.read_bytes())
    data[24:28] = (2**31 - 1).to_bytes(4, "little")
    path.write_bytes(data)
    with pytest.raises(ServingError, match="claims 2147483647 Hz, at most 768000 can be"):
        read_seed(path, 8000)
