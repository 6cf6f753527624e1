"""From files to samples: kinds, rates, channels, clipping, and silence that is trimmed."""

import numpy as np
import pytest

from keras_rawaudio.data.codecs import fit_codec
from keras_rawaudio.data.corpus import PARTS, Corpus
from keras_rawaudio.data.corpus.corpus import to_int16
from keras_rawaudio.errors import UserError

from .conftest import KINDS, noise, tone, whole, write


@pytest.mark.parametrize("kind", ["wav", "flac"])
def test_sixteen_bits_at_the_same_rate_come_through_exactly(tmp_path, prepare, kind):
    audio = to_int16(noise(2))
    corpus = prepare(write(tmp_path / f"a.{kind}", audio))
    assert corpus.sample_rate == 8000
    np.testing.assert_array_equal(np.concatenate([*map(corpus.segments, PARTS)], axis=1)[0], audio)
    np.testing.assert_array_equal(whole(corpus), audio / np.float32(32768))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rate", [44100, 22050])
@pytest.mark.parametrize("channels", [1, 2])
def test_every_kind_and_rate_to_mono(tmp_path, prepare, kind, rate, channels):
    left = tone(2, rate)
    audio = left if channels == 1 else np.stack([left, np.zeros_like(left)], axis=1)
    source = write(tmp_path / f"a.{kind}", audio, rate)
    corpus = prepare(source, trim=False, channels=1, max_sample_rate=16000)
    assert (corpus.sample_rate, corpus.channels) == (16000, 1)
    decoded = whole(corpus)
    assert len(decoded) == pytest.approx(32000, abs=2000 if kind == "mp3" else 2)  # MP3 pads
    spectrum = np.abs(np.fft.rfft(decoded[8000:24000] * np.hanning(16000)))
    assert np.argmax(spectrum) == 440
    assert np.abs(decoded[8000:24000]).max() == pytest.approx(0.5 / channels, rel=0.1)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("rate", "expected"), [(44100, 44100), (48000, 48000), (22050, 22050)])
def test_own_rate_and_channels_by_default(tmp_path, prepare, kind, rate, expected):
    """Stereo in, stereo out at its own rate: each channel keeps its own pitch."""
    audio = np.stack([tone(2, rate), tone(2, rate, pitch=1000.0)], axis=1)
    corpus = prepare(write(tmp_path / f"a.{kind}", audio, rate), trim=False)
    assert (corpus.sample_rate, corpus.channels) == (expected, 2)
    assert corpus.describe()["channels"] == 2
    decoded = whole(corpus)
    assert decoded.shape == (pytest.approx(2 * expected, abs=0.1 * expected), 2)
    second = decoded[expected // 2 : expected // 2 + expected]
    spectrum = np.abs(np.fft.rfft(second * np.hanning(expected)[:, None], axis=0))
    assert np.argmax(spectrum, axis=0).tolist() == [440, 1000]


def test_rates_above_48_khz_come_down(tmp_path, prepare):
    source = write(tmp_path / "a.wav", noise(1, 96000), 96000)
    assert prepare(source).sample_rate == 48000
    assert prepare(source, sample_rate=96000).sample_rate == 96000


def test_stereo_is_kept_exactly_and_mixed_to_mono_beside_it(tmp_path, prepare):
    audio = np.stack([noise(2), noise(2, seed=1)], axis=1)
    audio = to_int16(audio)
    corpus = prepare(write(tmp_path / "a.flac", audio))
    for part, stretch in zip(PARTS, np.split(audio, [12800, 14400]), strict=True):
        (stereo,), (mono,) = corpus.segments(part), corpus.segments(part, mono=True)
        np.testing.assert_array_equal(stereo, stretch)
        np.testing.assert_allclose(mono, stretch.mean(axis=1), atol=0.5)
        assert isinstance(stereo, np.memmap)
        assert mono.dtype == np.int16
        assert corpus.samples(part) == len(mono) == len(stereo)
        floats = np.concatenate([*corpus.chunks(part, 1000, mono=True)])
        np.testing.assert_array_equal(floats, mono / np.float32(32768))
    assert Corpus.open(corpus.folder).channels == 2
    alone = prepare(tmp_path / "a.flac", channels=1)
    np.testing.assert_allclose(whole(alone), audio.mean(axis=1) / 32768, atol=0.6 / 32768)
    assert alone.segments("test", mono=True)[0].shape == alone.segments("test")[0].shape == (1600,)


def test_mixed_channels_become_stereo(tmp_path, prepare):
    left, right, mono = noise(1), noise(1, seed=1), noise(1, seed=2)
    many = np.stack([noise(1, seed=seed) for seed in range(5)], axis=1)
    write(tmp_path / "in" / "0.wav", mono)
    write(tmp_path / "in" / "1.wav", np.stack([left, right], axis=1))
    write(tmp_path / "in" / "2.wav", many)
    corpus = prepare(tmp_path / "in")
    assert corpus.channels == 2
    expected = [[mono, mono], [left, right], [many.mean(axis=1)] * 2]
    found = [segment for part in PARTS for segment in corpus.segments(part)]
    for segment, channels in zip(found, expected, strict=True):
        np.testing.assert_allclose(segment / 32768, np.stack(channels, axis=1), atol=1.5 / 32768)


@pytest.mark.parametrize(("channels", "expected"), [(None, 1), (1, 1), (2, 2)])
def test_more_than_two_channels_are_averaged(tmp_path, prepare, channels, expected):
    audio = np.stack([noise(1, seed=seed) for seed in range(5)], axis=1)
    source = write(tmp_path / "a.wav", audio, subtype="FLOAT")
    corpus = prepare(source, channels=channels)
    assert corpus.channels == expected
    mean = audio.mean(axis=1)
    wanted = mean if expected == 1 else np.stack([mean, mean], axis=1)
    np.testing.assert_allclose(whole(corpus), wanted, atol=1 / 32768)


def test_what_cancels_in_mono_is_not_silent_in_stereo(tmp_path, prepare):
    """Trimming looks at the power of the channels, not at that of their sum."""
    side = np.concatenate([np.zeros(8000, np.float32), noise(4)])
    source = write(tmp_path / "a.wav", np.stack([side, -side], axis=1))
    assert prepare(source).describe()["sources"][0]["kept"] == [8000, 40000]
    with pytest.raises(UserError, match="nothing but silence"):
        prepare(source, channels=1)


def test_one_codec_for_both_channels(tmp_path, prepare):
    audio = np.stack([noise(2, gain=0.5), noise(2, gain=0.1, seed=1)], axis=1)
    corpus = prepare(write(tmp_path / "a.wav", audio))
    (segment,) = corpus.segments("train")
    values = segment / 32768
    assert fit_codec("peak", corpus.parts()).peak == np.abs(values).max()
    assert fit_codec("standardize", corpus.parts()).std == pytest.approx(values.std())


@pytest.mark.parametrize(
    ("rates", "wanted", "expected"),
    [
        ([44100], None, 44100),
        ([44100, 48000, 96000], None, 44100),
        ([8000], None, 8000),
        ([44100, 11025], None, 11025),
        ([8000], 22050, 22050),
        ([8000, 16000], 8000, 8000),
    ],
)
def test_the_rate_and_the_number_of_samples(tmp_path, prepare, rates, wanted, expected):
    for number, rate in enumerate(rates):
        write(tmp_path / "in" / f"{number}.wav", noise(1.5, rate), rate)
    corpus = prepare(tmp_path / "in", sample_rate=wanted)
    assert corpus.sample_rate == expected
    for source in corpus.describe()["sources"]:
        assert source["samples"] == pytest.approx(1.5 * expected, abs=1)


def test_streamed_resampling_is_the_resampling_of_the_whole(tmp_path, prepare):
    import soxr

    audio = noise(20, 44100)  # several blocks long
    corpus = prepare(write(tmp_path / "a.wav", audio, 44100, subtype="FLOAT"), sample_rate=16000)
    np.testing.assert_allclose(
        whole(corpus), soxr.resample(audio, 44100, 16000, quality="HQ"), atol=2 / 32768
    )


def test_overshoot_is_clipped_and_never_wraps(tmp_path, prepare):
    """Pitfall 18: resampling a full-scale square wave goes beyond 1; its sign must stay."""
    square = np.sign(tone(2, 16000, pitch=101.0)).astype(np.float32)
    source = write(tmp_path / "a.wav", square, 16000, subtype="FLOAT")
    with pytest.warns(UserWarning, match="clipped"):
        decoded = whole(prepare(source, sample_rate=8000))
    middle = slice(20, 40)  # of the first half period, 40 samples long
    assert np.all(decoded[middle] > 0.5)
    assert decoded.max() == 32767 / 32768
    assert decoded.min() == -1
    np.testing.assert_array_equal(
        to_int16(np.float32([-9, -1, 0, 1, 9])), [-32768, -32768, 0, 32767, 32767]
    )


def test_silent_head_and_tail_are_trimmed(tmp_path, prepare):
    silence = np.zeros(8000, np.float32)
    audio = np.concatenate([silence, noise(4), silence, noise(4), silence])
    source = write(tmp_path / "a.wav", audio)
    kept = prepare(source).describe()["sources"][0]["kept"]
    assert kept == [8000, len(audio) - 8000]  # the silence in the middle stays
    assert len(whole(prepare(source))) == len(audio) - 16000
    assert len(whole(prepare(source, trim=False))) == len(audio)


def test_a_fade_out_is_music(tmp_path, prepare):
    fade = noise(8, gain=0.9) * np.logspace(0, -4, 64000)  # down by 80 dB
    source = write(tmp_path / "a.wav", fade.astype(np.float32), subtype="PCM_24")
    assert prepare(source).describe()["sources"][0]["kept"] == [0, 64000]
    strict = prepare(source, trim_decibels=-60.0).describe()["sources"][0]["kept"]
    assert strict[1] == pytest.approx(64000 * 55 / 80, rel=0.03)  # 5 dB from peak to level


def test_the_trim_level_is_relative_to_the_files_own_peak(tmp_path, prepare):
    hum = tone(1, gain=0.0005)
    loud = np.concatenate([hum, noise(2, gain=0.9), hum])
    quiet = np.concatenate([hum, noise(2, gain=0.01), hum])
    kept = {
        name: prepare(write(tmp_path / name, audio), trim_decibels=-60.0).describe()["sources"][0][
            "kept"
        ]
        for name, audio in (("loud.wav", loud), ("quiet.wav", quiet))
    }
    assert kept == {"loud.wav": [8000, 24000], "quiet.wav": [0, 32000]}


def test_a_silent_file_among_others_is_left_out(tmp_path, prepare):
    for number in range(4):
        write(tmp_path / "in" / f"{number}.wav", noise(1, gain=0.1 * (number != 1)))
    corpus = prepare(tmp_path / "in")
    used = [s["source"] for part in PARTS for s in corpus.describe()["parts"][part]["segments"]]
    assert used == [0, 2, 3]
