"""The producer keeps to the clock, and says when it cannot."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from keras_rawaudio_serving import Sampler, ServingError, producer
from keras_rawaudio_serving.live_controls import LiveControls
from keras_rawaudio_serving.producer import Producer

Toy = Callable[..., Path]


class Published:
    """What came out of a producer."""

    def __init__(self, sampler: Sampler) -> None:
        self.pages: list[bytes] = []
        self.headers = b""
        self.failed = threading.Event()
        self.producer = Producer(sampler, LiveControls(sampler), self.take, self.failed.set)

    def take(self, page: bytes, headers: bytes) -> None:
        self.pages.append(page)
        self.headers = headers


def test_never_more_than_two_seconds_ahead(toy: Toy) -> None:
    published = Published(Sampler.load(toy(), random_seed=1))
    began = time.monotonic()
    published.producer.start()
    time.sleep(1.5)
    assert published.producer.healthy
    published.producer.stop()
    most = time.monotonic() - began + producer.AHEAD_SECONDS + 2 * producer.BLOCK_SECONDS
    assert 1.5 < published.producer.seconds < most
    assert published.headers.startswith(b"OggS")
    assert len(published.pages) == pytest.approx(published.producer.seconds, abs=1.1)
    assert published.producer.late == 0
    assert not published.producer.healthy  # it has ended


def test_a_slow_sampler_is_counted_and_not_hurried(
    toy: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    sampler = Sampler.load(toy(), random_seed=1)

    def slow(block_seconds: float) -> Iterator[np.ndarray]:
        while True:
            time.sleep(0.05)
            yield np.zeros((1, 80), np.float32)  # 10 ms

    monkeypatch.setattr(sampler, "stream", slow)
    monkeypatch.setattr(producer, "AHEAD_SECONDS", 0.1)
    published = Published(sampler)
    published.producer.start()
    time.sleep(0.8)
    published.producer.stop()
    assert 2 <= published.producer.late <= 8
    assert published.producer.busy > 2 * published.producer.seconds


def test_an_error_of_any_kind_is_reported(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    sampler = Sampler.load(toy())

    def broken(block_seconds: float) -> Iterator[np.ndarray]:
        yield np.zeros((1, 80), np.float32)
        raise ValueError("a mistake in the code")

    monkeypatch.setattr(sampler, "stream", broken)
    published = Published(sampler)
    published.producer.start()
    assert published.failed.wait(20)
    assert isinstance(published.producer.error, ValueError)
    published.producer.stop()


def test_a_sampler_that_fails_is_reported_once(toy: Toy) -> None:
    published = Published(Sampler.load(toy(gain=float("inf"))))
    published.producer.start()
    assert published.failed.wait(20)
    assert isinstance(published.producer.error, ServingError)
    published.producer.stop()


def test_a_sampler_that_hangs_is_not_healthy(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    sampler = Sampler.load(toy())
    go_on = threading.Event()

    def hanging(block_seconds: float) -> Iterator[np.ndarray]:
        go_on.wait(20)
        yield np.zeros((1, 80), np.float32)

    monkeypatch.setattr(sampler, "stream", hanging)
    monkeypatch.setattr(producer, "STALL_SECONDS", 0.05)
    published = Published(sampler)
    published.producer.start()
    time.sleep(0.2)
    assert not published.producer.healthy
    monkeypatch.undo()
    assert published.producer.healthy
    published.producer._stopping.set()
    go_on.set()
    published.producer.stop()
