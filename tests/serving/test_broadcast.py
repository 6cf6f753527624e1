"""One stream of pages for many, and the Ogg pages in it."""

import asyncio
import io
from collections.abc import AsyncIterator

import numpy as np
import pytest
import soundfile
from keras_rawaudio_serving import ServingError
from keras_rawaudio_serving.broadcast import Broadcast, TooManyListenersError
from keras_rawaudio_serving.ogg_opus import OggOpusEncoder


async def read_all(pages: AsyncIterator[bytes]) -> list[bytes]:
    return [page async for page in pages]


def page(number: int) -> bytes:
    return b"%d" % number


def test_a_new_listener_gets_headers_and_the_last_pages() -> None:
    async def listen() -> list[bytes]:
        broadcast = Broadcast(2, burst=2)
        broadcast.headers = b"head"
        for number in range(5):
            broadcast.publish(page(number))
        pages = broadcast.listen()
        broadcast.publish(page(5))
        first = [await anext(pages) for _ in range(4)]
        broadcast.close()
        assert await read_all(pages) == []
        assert await read_all(broadcast.listen()) == []
        return first

    assert asyncio.run(listen()) == [b"head", b"3", b"4", b"5"]


def test_a_listener_before_the_first_page_waits_for_the_headers() -> None:
    async def listen() -> list[bytes]:
        broadcast = Broadcast(1)
        pages = broadcast.listen()
        reader = asyncio.create_task(anext(pages))  # type: ignore[arg-type, var-annotated]
        await asyncio.sleep(0)
        broadcast.headers = b"head"
        broadcast.publish(b"0")
        return [await reader, await anext(pages)]

    assert asyncio.run(listen()) == [b"head", b"0"]


def test_a_slow_listener_is_dropped_and_the_others_are_not() -> None:
    async def listen() -> None:
        broadcast = Broadcast(2, burst=2, queue=3)
        broadcast.headers = b"head"
        slow, quick = broadcast.listen(), broadcast.listen()
        broadcast.publish(page(0))
        assert [await anext(slow), await anext(slow)] == [b"head", b"0"]
        assert [await anext(quick), await anext(quick)] == [b"head", b"0"]
        for number in range(1, 10):
            broadcast.publish(page(number))
            assert await anext(quick) == page(number)
        assert (broadcast.dropped, broadcast.listeners) == (1, 1)
        assert await read_all(slow) == []
        assert sum(queue.qsize() for queue in broadcast._listeners) == 0
        # There is room again.
        again = broadcast.listen()
        assert broadcast.listeners == 2
        await anext(again)
        await again.aclose()  # type: ignore[attr-defined]
        assert broadcast.listeners == 1

    asyncio.run(listen())


def test_no_more_listeners_than_may_be() -> None:
    async def listen() -> None:
        broadcast = Broadcast(1)
        pages = broadcast.listen()
        with pytest.raises(TooManyListenersError):
            broadcast.listen()
        assert broadcast.refused == 1
        del pages

    asyncio.run(listen())


def encode(encoder: OggOpusEncoder, audio: np.ndarray) -> list[bytes]:
    pages = []
    for start in range(0, len(audio), 1000):
        pages += encoder.encode(audio[start : start + 1000])
    return pages


@pytest.mark.parametrize(("rate", "decoded_rate"), [(16000, 16000), (22050, 48000)])
@pytest.mark.parametrize("channels", [1, 2])
def test_a_stream_can_be_read_from_any_page(rate: int, decoded_rate: int, channels: int) -> None:
    t = np.arange(8 * rate) / rate
    tones = [0.5 * np.sin(2 * np.pi * 500 * (channel + 1) * t) for channel in range(channels)]
    audio = np.stack(tones, axis=1).astype(np.float32)
    encoder = OggOpusEncoder(channels, rate)
    pages = encode(encoder, audio[:, 0] if channels == 1 else audio)
    assert len(pages) >= 6
    assert all(page.startswith(b"OggS") for page in [encoder.headers, *pages])
    assert encoder.headers[28:36] == b"OpusHead"
    stream = io.BytesIO(encoder.headers + b"".join(pages[3:6]))
    decoded, read_rate = soundfile.read(stream, always_2d=True)
    assert (read_rate, decoded.shape[1]) == (decoded_rate, channels)
    middle = decoded[decoded_rate : 2 * decoded_rate]
    spectrum = np.abs(np.fft.rfft(middle, axis=0))
    np.testing.assert_array_equal(spectrum.argmax(axis=0), 500 * (1 + np.arange(channels)))
    assert 0.3 < np.std(middle) < 0.4


def test_an_encoder_keeps_no_audio() -> None:
    encoder = OggOpusEncoder(1, 8000)
    noise = np.random.default_rng(0).uniform(-1, 1, 8000).astype(np.float32)
    sizes = []
    for _ in range(30):
        encoder.encode(noise)
        sizes.append(len(encoder._sink._data))
    assert max(sizes) < 1000
    encoder.close()


def test_three_channels_are_refused() -> None:
    with pytest.raises(ServingError, match="3 channels: a stream has 1 or 2"):
        OggOpusEncoder(3, 48000)
