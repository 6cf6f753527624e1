"""How many streams examples/ray_serve.py holds in real time per core, against the bare sampler.

pip install 'ray[serve]' psutil ./serving
python examples/ray_serve_load.py generator.onnx --streams 1 4 8 --seconds 20

It starts a Ray of its own on this machine, with one replica, and prints a row for each number of
streams: seconds of audio per second of the slowest stream (1: it is held), the longest wait for a
message, and processor seconds per second of one stream: of the bare sampler with as many streams,
of the replica, and of Ray's proxy. Other programs on the machine change these costs little.
"""

import argparse
import asyncio
import json
import os
import sys
import time
from pathlib import Path

import psutil
import ray
import websockets
from ray import serve

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from keras_rawaudio_serving.sampler import Sampler

from examples.ray_serve import BLOCK_SECONDS, Options, build

PORT = 8123


def sampler_cost(model, streams, seconds):
    """Processor seconds of the bare sampler per second of one stream."""
    sampler = Sampler.load(model, streams=streams, random_seed=0)
    sampler.generate(BLOCK_SECONDS)
    begun = time.process_time()
    for _ in sampler.stream(seconds, BLOCK_SECONDS):
        pass
    return (time.process_time() - begun) / (streams * seconds)


async def connect(number):
    """A WebSocket that plays, and the bytes of one second."""
    address = f"ws://127.0.0.1:{PORT}/stream?seed={number}"
    socket = await websockets.connect(address, max_size=None, open_timeout=60)
    about = json.loads(await socket.recv())
    await socket.recv()
    return socket, 2 * about["channels"] * about["sample_rate"]


async def listen(socket, size, seconds):
    """Receive audio; returns its seconds, those that it took, and the longest wait."""
    begun = last = time.monotonic()
    received = longest = 0.0
    while last - begun < seconds:
        received += len(await socket.recv()) / size
        longest = max(longest, time.monotonic() - last)
        last = time.monotonic()
    return received, last - begun, longest


async def load(streams, seconds):
    """Listen to so many streams at once; returns what `listen` does, and costs by process."""
    playing = await asyncio.gather(*map(connect, range(streams)))
    before = cpu_seconds()
    found = await asyncio.gather(*(listen(*each, seconds) for each in playing))
    after = cpu_seconds()
    for socket, _ in playing:
        await socket.close()
    received = sum(audio for audio, _, _ in found)
    return found, {name: (after[name] - before[name]) / received for name in after}


def cpu_seconds():
    """Processor seconds so far of Ray Serve's processes: replica and proxy."""
    found = {"replica": 0.0, "proxy": 0.0}
    for process in psutil.process_iter(["cmdline"]):
        title = " ".join(process.info["cmdline"] or ())
        for name, mark in (("replica", "ServeReplica"), ("proxy", "ProxyActor")):
            if title.startswith(f"ray::{mark}"):
                times = process.cpu_times()
                found[name] += times.user + times.system
    return found


def main(argv=None):
    """Measure, and print a table; returns its rows."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("model", help="generator.onnx")
    parser.add_argument("--streams", type=int, nargs="+", default=[1, 4, 8])
    parser.add_argument("--seconds", type=float, default=20.0, help="per row")
    args = parser.parse_args(argv)
    os.environ.update(RAY_worker_niceness="0")  # the priority of this program, not a lower one
    ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False)
    rows = []
    try:
        serve.start(http_options={"host": "127.0.0.1", "port": PORT})
        options = Options(model=args.model, streams=max(args.streams), max_replicas=1)
        serve.run(build(options))
        print("streams  slowest  longest wait  sampler  replica  proxy  sampler/replica  /both")
        for streams in args.streams:
            bare = sampler_cost(args.model, streams, args.seconds / 2)
            found, costs = asyncio.run(load(streams, args.seconds))
            bare = (bare + sampler_cost(args.model, streams, args.seconds / 2)) / 2
            slowest = min(audio / taken for audio, taken, _ in found)
            longest = max(wait for _, _, wait in found)
            both = costs["replica"] + costs["proxy"]
            row = [slowest, longest, bare, *costs.values(), bare / costs["replica"], bare / both]
            rows.append([streams, *row])
            print(f"{streams:7}", *(f"{value:8.4f}" for value in row), flush=True)
    finally:
        serve.shutdown()
        ray.shutdown()
    return rows


if __name__ == "__main__":
    main()
