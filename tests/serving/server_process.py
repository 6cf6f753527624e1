"""`keras-rawaudio-serve` in a process of its own."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from keras_rawaudio_serving import serve

from .conftest import SERVING

TOKEN = "s\xe9cret"  # which a client sends as UTF-8


class Server:
    """A running server."""

    def __init__(self, model: Path, *words: object) -> None:
        code = "import sys; from keras_rawaudio_serving.serve import main; sys.exit(main())"
        self.process = subprocess.Popen(
            [sys.executable, "-c", code, str(model), "--port", "0", *map(str, words)],
            env={**os.environ, "PYTHONPATH": str(SERVING), serve.TOKEN_VARIABLE: TOKEN},
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stderr is not None
        line = self.process.stderr.readline()
        assert line.startswith("http://127.0.0.1:"), line + self.process.stderr.read()
        self.url = line.split()[0]
        self.port = int(self.url.split(":")[2].strip("/"))

    def get(self, path: str) -> bytes:
        with urllib.request.urlopen(self.url + path, timeout=20) as reply:
            return bytes(reply.read())

    def post(self, body: bytes, token: str | None = TOKEN) -> tuple[int, Any]:
        headers = {}
        if token is not None:  # urllib sends headers as Latin-1
            headers["Authorization"] = "Bearer " + token.encode().decode("latin-1")
        request = urllib.request.Request(self.url + "controls", body, headers)
        try:
            with urllib.request.urlopen(request, timeout=20) as reply:
                return reply.status, json.load(reply)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    def metric(self, name: str) -> float:
        found = re.search(rf"^rawaudio_{name} (\S+)$", self.get("metrics").decode(), re.M)
        assert found is not None, name
        return float(found[1])

    def connect(self, receive_buffer: int | None = None) -> socket.socket:
        client = socket.socket()
        if receive_buffer is not None:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        client.connect(("127.0.0.1", self.port))
        return client

    def listen(self, receive_buffer: int | None = None) -> socket.socket:
        client = self.connect(receive_buffer)
        client.sendall(b"GET /stream.ogg HTTP/1.1\r\nHost: x\r\n\r\n")
        return client

    def memory(self) -> float:
        """Resident, in MB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.findall(r"VmRSS:\s+(\d+)", status)[0]) / 1024

    def stop(self, how: signal.Signals = signal.SIGINT) -> int:
        self.process.send_signal(how)
        rest = self.process.communicate(timeout=60)[1]
        assert re.fullmatch(r"\d+ s of audio; \d+ times .* \d listeners dropped\n", rest), rest
        return self.process.returncode
