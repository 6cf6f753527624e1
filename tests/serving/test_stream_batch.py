"""Streams that come and go in one batch are streams of the sampler."""

import numpy as np
import pytest
from keras_rawaudio_serving.errors import ServingError
from keras_rawaudio_serving.sampler import Sampler
from keras_rawaudio_serving.stream_batch import StreamBatch


def test_streams_come_and_go(toy):
    path = toy(delay=6, states=[{"name": "level", "shape": [1], "initial": 0.3}, CLOCK])
    batch = StreamBatch(path)
    first, second = batch.open(3), batch.open(4)
    second.set_control("temperature", 0.5)
    found = {first: [], second: []}
    for streams, samples in (([first], 8), ([first, second], 6), ([second], 16), ([first], 4)):
        for stream, audio in zip(streams, batch.advance(streams, samples), strict=True):
            found[stream].append(audio)
    for stream, seed, temperature, count in ((first, 3, 1.0, 14), (second, 4, 0.5, 18)):
        sampler = Sampler.load(path, random_seed=seed, temperature=temperature)
        audio = np.concatenate(found[stream])
        assert len(audio) == count
        np.testing.assert_allclose(audio, sampler.generate(count / 8000)[0], atol=1e-6)


CLOCK = {"name": "clock", "shape": [], "initial": 0.0}


def test_several_channels(stereo_toy):
    (audio,) = StreamBatch(stereo_toy()).advance([StreamBatch(stereo_toy()).open(0)], 8)
    assert audio.shape == (8, 2)
    wanted = Sampler.load(stereo_toy(), random_seed=0).generate(8 / 8000)[0]
    np.testing.assert_allclose(audio, wanted, atol=1e-6)


def test_music_is_drawn_as_the_sampler_draws_it_and_may_be_set(album):
    batch = StreamBatch(album())
    streams = [batch.open(seed) for seed in range(5)]
    wanted = [Sampler.load(album(), random_seed=seed).generate(4 / 8000)[0] for seed in range(5)]
    np.testing.assert_array_equal(batch.advance(streams, 4), wanted)
    for name, weight in (("night", 0.0), ("day", 0.0), ("sea", 1.0)):
        streams[0].set_control(f"music/{name}", weight)
    np.testing.assert_array_equal(batch.advance(streams[:1], 4)[0], [4.0] * 4)


def test_a_wrong_control_is_one_line(toy):
    stream = StreamBatch(toy()).open(0)
    with pytest.raises(ServingError, match="no control 'tempo': this file has temperature"):
        stream.set_control("tempo", 1.0)
    for value in (3.0, float("nan")):
        with pytest.raises(ServingError, match=r"must be 0\.1 to 2"):
            stream.set_control("temperature", value)
