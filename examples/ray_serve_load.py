"""How many streams examples/ray_serve.py holds in real time per core, against the bare sampler.

pip install 'ray[serve]' psutil ./serving
python examples/ray_serve_load.py generator.onnx --seconds 20
python examples/ray_serve_load.py generator.onnx --streams 1 4 8
taskset -c 0 python examples/ray_serve_load.py generator.onnx --core 1

It starts a Ray of its own on this machine, with one replica. It looks for the largest number of
streams that the bare sampler makes in real time by the clock, and for the largest number that the
replica holds: its slowest stream gets 1.00 seconds of audio per second. With `--streams` it takes
these numbers instead. `--core` puts the replica and the bare sampler on one processor core; the
rest stays where `taskset` puts it.

A row for each number of streams: seconds of audio per second of the bare sampler and of the slowest
stream, the longest wait for a message, and processor seconds per second of one stream: of the bare
sampler with as many streams, of the replica, and of Ray's proxy.
"""

import argparse
import asyncio
import json
import math
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
SETTLE_SECONDS = 2  # of listening before it counts


def bare(model, streams, seconds, cores):
    """Seconds of audio per second of the bare sampler, and its processor seconds per second of
    one stream."""
    usual = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    sampler = Sampler.load(model, streams=streams, random_seed=0)
    sampler.generate(BLOCK_SECONDS)
    begun, cpu = time.monotonic(), time.process_time()
    for _ in sampler.stream(seconds, BLOCK_SECONDS):
        pass
    taken, cpu = time.monotonic() - begun, time.process_time() - cpu
    os.sched_setaffinity(0, usual)
    return seconds / taken, cpu / (streams * seconds)


def most(speed, first):
    """The largest number of streams whose speed is 1.00 or more; the search begins at `first`."""
    held, missed, streams = 0, math.inf, first
    while missed - held > 1:
        found = speed(streams)
        if held_in_real_time(found):
            held = streams
        else:
            missed = streams
        streams = min(max(int(streams * found), held + 1), missed - 1)
    return held


def held_in_real_time(speed):
    """Whether it is 1.00 or more, in two digits."""
    return round(speed, 2) >= 1


async def connect(number):
    """A WebSocket that plays, and the bytes of one second."""
    address = f"ws://127.0.0.1:{PORT}/stream?seed={number}"
    socket = await websockets.connect(address, max_size=None, open_timeout=60)
    about = json.loads(await socket.recv())
    await socket.recv()
    return socket, 2 * about["channels"] * about["sample_rate"]


async def listen(socket, size, seconds):
    """Receive audio; returns its seconds, those that it took, and the longest wait."""
    began = time.monotonic()
    while (last := time.monotonic()) - began < SETTLE_SECONDS:
        await socket.recv()  # what was made while the others connected, too
    began, received, longest = last, 0.0, 0.0
    while last - began < seconds:
        received += len(await socket.recv()) / size
        longest = max(longest, time.monotonic() - last)
        last = time.monotonic()
    return received, last - began, longest


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


def processes():
    """Ray Serve's processes by what they are: replica and proxy."""
    for process in psutil.process_iter(["cmdline"]):
        title = " ".join(process.info["cmdline"] or ())
        for name, mark in (("replica", "ServeReplica"), ("proxy", "ProxyActor")):
            if title.startswith(f"ray::{mark}"):
                yield name, process


def cpu_seconds():
    """Processor seconds so far of Ray Serve's processes."""
    found = {"replica": 0.0, "proxy": 0.0}
    for name, process in processes():
        times = process.cpu_times()
        found[name] += times.user + times.system
    return found


def measure(model, streams, seconds, cores):
    """A row: number of streams, speed of the bare sampler, and what else the table shows."""
    speed, cost = bare(model, streams, seconds / 2, cores)
    found, costs = asyncio.run(load(streams, seconds))
    slowest = min(audio / taken for audio, taken, _ in found)
    longest = max(wait for _, _, wait in found)
    row = [streams, speed, slowest, longest, cost, *costs.values()]
    print(f"{streams:7}", *(f"{value:9.4f}" for value in row[1:]), flush=True)
    return row


def main(argv=None):
    """Measure, and print a table; returns its rows."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("model", help="generator.onnx")
    parser.add_argument("--streams", type=int, nargs="+", help="these numbers; no search")
    parser.add_argument("--seconds", type=float, default=20.0, help="per row")
    parser.add_argument("--core", type=int, help="of the replica and the bare sampler")
    args = parser.parse_args(argv)
    cores = os.sched_getaffinity(0) if args.core is None else {args.core}
    if not args.streams:
        alone = most(lambda streams: bare(args.model, streams, args.seconds / 2, cores)[0], 4)
        print(f"the bare sampler makes {alone} streams in real time", flush=True)
    os.environ.update(RAY_worker_niceness="0")  # the priority of this program, not a lower one
    ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False)
    rows = []
    try:
        serve.start(http_options={"host": "127.0.0.1", "port": PORT})
        limit = max(args.streams or [2 * alone])
        serve.run(build(Options(model=args.model, streams=limit, max_replicas=1)))
        for name, process in processes():
            if name == "replica":
                for thread in process.threads():
                    os.sched_setaffinity(thread.id, cores)
        print("streams   sampler   slowest   longest  costs of: sampler, replica, proxy")
        for streams in args.streams or ():
            rows.append(measure(args.model, streams, args.seconds, cores))
        if not args.streams:

            def slowest(streams):
                rows.append(measure(args.model, streams, args.seconds, cores))
                return rows[-1][2]

            held = most(slowest, max(1, alone))
            print(f"the replica holds {held} streams, {held / alone:.0%} of the bare sampler's")
    finally:
        serve.shutdown()
        ray.shutdown()
    return rows


if __name__ == "__main__":
    main()
