"""The Ray Serve app: streams by WebSocket are streams of the sampler.

The slow tests start a local Ray. The others let one replica answer in this process.
"""

import asyncio
import importlib
import json
import socket
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx
import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "serving")]

from ..serving.toy_generators import build_toy  # noqa: E402

PORT = 8124
PATIENCE = 300  # seconds


@pytest.fixture(scope="module")
def ray_serve():
    for package in ("ray.serve", "websockets", "psutil"):
        pytest.importorskip(package)
    return importlib.import_module("examples.ray_serve")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "generator.onnx"
    onnx.save(build_toy(frame=80, delay=40), path)
    return path


@pytest.fixture(scope="module")
def replica(ray_serve, model):
    """The address of one replica, which knows nothing of Ray."""
    import uvicorn
    from ray import serve

    own = ray_serve.Streams.func_or_class.__mro__[1]
    patch = pytest.MonkeyPatch()
    context = SimpleNamespace(servable_object=own(str(model)))
    patch.setattr(serve, "get_replica_context", lambda: context)
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(ray_serve.api, log_level="error"))
        thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.05)
        yield f"ws://127.0.0.1:{listening.getsockname()[1]}/stream"
        server.should_exit = True
        thread.join()
    patch.undo()


def receive(address, blocks, *messages):
    """Blocks of one connection; messages are sent after the first."""
    import websockets

    async def receiving():
        async with websockets.connect(address, open_timeout=120) as connection:
            about = json.loads(await connection.recv())
            audio = [await connection.recv()]
            for message in messages:
                await connection.send(message)
            audio += [await connection.recv() for _ in range(blocks - 1)]
            return about, np.concatenate([np.frombuffer(part, "<i2") for part in audio])

    return asyncio.run(asyncio.wait_for(receiving(), 120))


def test_a_connection_is_one_stream(replica, model):
    from keras_rawaudio_serving.sampler import Sampler

    about, audio = receive(f"{replica}?seed=7&temperature=0.5", 3)
    assert about == {"sample_rate": 8000, "channels": 1}
    assert len(audio) == 3 * 4000 - 40
    wanted = Sampler.load(model, random_seed=7, temperature=0.5).generate(len(audio) / 8000)[0]
    np.testing.assert_allclose(audio / 32767, wanted, atol=1e-4)


def test_a_control_is_turned_for_the_blocks_to_come(replica):
    _, audio = receive(f"{replica}?seed=7", 4, '{"temperature": 0.1}')
    assert np.std(audio[-4000:]) / np.std(audio[:3960]) == pytest.approx(0.1, rel=0.2)


@pytest.mark.parametrize("query", ["seed=x", "seed=-1", "temperature=9", "tempo=1"])
def test_a_wrong_request_ends_the_connection_with_a_reason(replica, query):
    from websockets.exceptions import ConnectionClosedError

    with pytest.raises(ConnectionClosedError, match="1008"):
        receive(f"{replica}?{query}", 1)


@pytest.mark.parametrize("message", ["[1]", "{", '{"temperature": []}', '{"temperature": 9}'])
def test_a_wrong_message_ends_the_connection_with_a_reason(replica, message):
    from websockets.exceptions import ConnectionClosedError

    with pytest.raises(ConnectionClosedError, match="1008"):
        receive(f"{replica}?seed=7", 9, message)


@pytest.fixture
def patience(ray_serve, monkeypatch):
    """Priority and deadlines by which Ray's own processes start on a busy machine, too."""
    monkeypatch.setenv("RAY_worker_niceness", "0")  # 15 more than this process otherwise
    for check in ("READY", "HEALTH"):
        monkeypatch.setenv(f"RAY_SERVE_PROXY_{check}_CHECK_TIMEOUT_S", str(PATIENCE))
    monkeypatch.setattr("ray.serve._private.api.HTTP_PROXY_TIMEOUT", PATIENCE)


@pytest.mark.slow
def test_the_load_test_prints_its_table(ray_serve, patience, model, capsys):
    """The first slow test here: it starts a Ray of its own."""
    load = importlib.import_module("examples.ray_serve_load")
    ((streams, bare, slowest, *_),) = load.main([str(model), "--streams", "2", "--seconds", "2"])
    assert streams == 2
    assert min(bare, slowest) > 0  # how fast depends on what else the machine does
    assert "\n      2 " in capsys.readouterr().out


@pytest.mark.parametrize("capacity", [0.5, 1, 5.5, 40, 41.5])
def test_the_largest_number_of_streams_in_real_time_is_found(ray_serve, capacity):
    load = importlib.import_module("examples.ray_serve_load")
    assert load.most(lambda streams: capacity / streams, 4) == int(capacity)
    assert load.most(lambda streams: min(1, capacity / streams), 3) == int(capacity)


@pytest.fixture
def cluster(ray_serve, patience, model):
    """The app's address on a local Ray; two streams per replica, two replicas at most."""
    import ray
    from ray import serve

    ray.init(num_cpus=3, include_dashboard=False, log_to_driver=False)
    serve.start(http_options={"host": "127.0.0.1", "port": PORT})
    options = ray_serve.Options(model=str(model), streams=2, max_replicas=2)
    serve.run(ray_serve.build(options))
    yield f"ws://127.0.0.1:{PORT}/stream"
    serve.shutdown()
    ray.shutdown()


@pytest.mark.slow
def test_more_streams_get_another_replica_and_state_stays_where_it_is(cluster, model):
    """Four streams at once, of two per replica: each is the sampler's from beginning to end.

    The first ones play until there are two replicas; the others wait for the second one.
    """
    import websockets
    from keras_rawaudio_serving.sampler import Sampler
    from ray import serve

    async def one(seed):
        async with websockets.connect(f"{cluster}?seed={seed}", open_timeout=PATIENCE) as stream:
            await stream.recv()
            parts, replicas = [], 0
            while len(parts) < 24 or replicas < 2:
                parts.append(await stream.recv())
                if len(parts) % 8 == 0:
                    running = serve.status().applications["default"].deployments["Streams"]
                    replicas = running.replica_states.get("RUNNING", 0)
            return np.frombuffer(b"".join(parts), "<i2")

    async def all_of_them():
        return await asyncio.gather(*map(one, range(4)))

    found = asyncio.run(asyncio.wait_for(all_of_them(), 2 * PATIENCE))
    for seed, audio in enumerate(found):
        wanted = Sampler.load(model, random_seed=seed).generate(len(audio) / 8000)[0]
        np.testing.assert_allclose(audio / 32767, wanted, atol=1e-4)
