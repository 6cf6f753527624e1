"""Streams of an exported generator over WebSockets, on Ray Serve.

pip install 'ray[serve]' ./serving
serve run examples.ray_serve:build model=generator.onnx streams=8

ws://HOST:8000/stream?seed=7&temperature=0.9 is one stream: first a text message with its JSON
(sample_rate, channels), then binary messages of 16-bit little-endian samples, in real time. A text
message such as {"temperature": 0.8} turns controls.
"""

import asyncio
import json
import secrets
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
from fastapi import FastAPI, WebSocket, WebSocketDisconnect
from keras_rawaudio_serving.errors import ServingError
from keras_rawaudio_serving.stream_batch import StreamBatch
from pydantic import BaseModel
from ray import serve

BLOCK_SECONDS = 0.5
WAITING_BLOCKS = 20  # of a listener that does not read, before it is dropped

api = FastAPI()


class Options(BaseModel):
    """What follows `serve run examples.ray_serve:build`."""

    model: str
    """The path of generator.onnx, which all machines of the cluster see."""
    streams: int = 8
    """How many streams one replica, on one core, holds."""
    max_replicas: int = 4


def turn(stream, values) -> None:
    """Turn the controls of a stream: values by name.

    It stands before `Streams`: Ray Serve pickles the app, and the functions that it calls, when the
    class is decorated.
    """
    try:
        for name, value in values.items():
            stream.set_control(name, float(value))
    except (AttributeError, TypeError, ValueError):
        raise ServingError('give numbers by name, such as {"temperature": 0.9}') from None


@serve.deployment
@serve.ingress(api)
class Streams:
    """One replica: all of its streams advance together, in one run of the graph per block.

    A WebSocket is one request, and Ray Serve leaves a request with its replica. So the state of a
    stream lies where it is used, and ends with the connection.
    """

    def __init__(self, model: str) -> None:
        self.batch = StreamBatch(model)
        about = self.batch.metadata
        self.about = {"sample_rate": about.sample_rate, "channels": about.channels}
        whole = round(BLOCK_SECONDS * about.sample_rate / about.frame)
        self.block = max(1, whole) * about.frame
        self.queues = {}
        self.producer = None

    @api.websocket("/stream")
    async def stream(self, socket: WebSocket) -> None:
        """One stream, from the connection's beginning to its end."""
        await socket.accept()
        given = dict(socket.query_params)
        try:
            stream = self.batch.open(int(given.pop("seed", secrets.randbits(32))))
            turn(stream, given)
        except (ServingError, ValueError) as error:
            await socket.close(1008, str(error))
            return
        pages = self.queues[stream] = asyncio.Queue()
        if self.producer is None or self.producer.done():
            self.producer = asyncio.create_task(self.produce())
        await socket.send_text(json.dumps(self.about))
        sending = asyncio.create_task(self.send(socket, pages))
        try:
            while True:
                turn(stream, json.loads(await socket.receive_text()))
        except WebSocketDisconnect:
            pass
        except (ServingError, ValueError) as error:
            await socket.close(1008, str(error))
        finally:
            self.queues.pop(stream, None)
            sending.cancel()

    async def send(self, socket: WebSocket, pages: asyncio.Queue) -> None:
        """Send what is made for a stream; None ends it."""
        with suppress(WebSocketDisconnect, RuntimeError):  # the listener has left
            while (page := await pages.get()) is not None:
                await socket.send_bytes(page)
            await socket.close(1013, "too slow")

    async def produce(self) -> None:
        """Make block after block for all streams, at the pace of the clock, while there are any."""
        due = time.monotonic()
        while self.queues:
            streams = list(self.queues)
            made = await asyncio.to_thread(self.batch.advance, streams, self.block)
            for stream, audio in zip(streams, made, strict=True):
                pages = self.queues.get(stream)  # None: it has left meanwhile
                if pages is None:
                    continue
                if pages.qsize() < WAITING_BLOCKS:
                    pages.put_nowait((np.clip(audio, -1, 1) * 32767).astype("<i2").tobytes())
                else:
                    del self.queues[stream]
                    pages.put_nowait(None)
            # What was missed is not made up for.
            due = max(due + self.block / self.about["sample_rate"], time.monotonic())
            await asyncio.sleep(due - time.monotonic())


def build(options: Options) -> serve.Application:
    """The application: one core per replica, and replicas as there are streams."""
    deployment = Streams.options(
        ray_actor_options={"num_cpus": 1},
        max_ongoing_requests=options.streams,
        autoscaling_config={
            "min_replicas": 1,
            "max_replicas": options.max_replicas,
            # The next replica starts while there is room for a quarter more.
            "target_ongoing_requests": max(1, options.streams * 3 // 4),
            "upscale_delay_s": 3,
        },
        graceful_shutdown_timeout_s=3600,  # streams that go on when replicas become fewer
    )
    return deployment.bind(str(Path(options.model).resolve()))
