"""Several processes that train one model: by `TF_CONFIG`, or some number on this machine."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from tempfile import TemporaryFile

from keras_rawaudio.errors import UserError
from keras_rawaudio.training.interrupt import Interrupt

TF_CONFIG = "TF_CONFIG"
STOPPED = 130  # the exit code of a training after Ctrl-C: the chief may still be saving
POLL = 0.1  # seconds between two looks at the processes
SAME_FAILURE = 2.0  # seconds that the first one has to fail like another


class Cluster:
    """What `TF_CONFIG` says of the processes that train together.

    Args:
        text: its JSON: `cluster` with the addresses of `worker`s, and one `chief` or none; `task`
            with the `type` and `index` of this process.

    Attributes:
        size: processes.
        number: of this one, from 0: the chief is first.

    Raises:
        UserError: it is something else.

    Example:
        >>> addresses = {"worker": ["a:2222", "b:2222"]}
        >>> task = {"type": "worker", "index": 1}
        >>> cluster = Cluster(json.dumps({"cluster": addresses, "task": task}))
        >>> cluster.size, cluster.number
        (2, 1)
    """

    def __init__(self, text: str) -> None:
        try:
            values = json.loads(text)
            cluster, task = values["cluster"], values["task"]
            for kind, addresses in cluster.items():
                if not isinstance(addresses, list) or not all(map(_is_address, addresses)):
                    raise ValueError(f"{kind} is no list of addresses such as host:2222")
            every = [address for addresses in cluster.values() for address in addresses]
            if len(set(every)) < len(every):
                raise ValueError("an address is there twice")
            lists = {kind: len(addresses) for kind, addresses in cluster.items()}
            kind, index = task["type"], int(str(task["index"]))
            if lists.keys() - {"chief", "worker"} or lists.get("chief", 0) > 1:
                raise ValueError("it names tasks other than workers and one chief")
            if not 0 <= index < lists.get(kind, 0):
                raise ValueError(f"its cluster has no {kind} {index}")
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            reason = f"no {error}" if isinstance(error, KeyError) else str(error)
            raise UserError(f"cannot use {TF_CONFIG}: {reason}; see the how-to page") from None
        self.size = sum(lists.values())
        self.number = index + (lists.get("chief", 0) if kind == "worker" else 0)


def cluster_of_environment() -> Cluster | None:
    """The processes that this one trains with; None without `TF_CONFIG`.

    Raises:
        UserError: `TF_CONFIG` is damaged.
    """
    text = os.environ.get(TF_CONFIG)
    return Cluster(text) if text else None


def refuse_remainder(batch: int, replicas: int) -> None:
    """Refuse a batch whose rows cannot be divided.

    Raises:
        UserError: some would be left over.
    """
    if batch % replicas:
        raise UserError(
            f"a batch of {batch} rows does not divide into {replicas} replicas; "
            f"try --batch {-(-batch // replicas) * replicas}"
        )


def train_here(number: int, arguments: Sequence[str]) -> int:
    """Run a training as several processes on this machine, on ports that are free.

    Ctrl-C reaches all of them. Where one fails, the others are ended. What fails in all of them is
    printed once: by the first one, whose stderr is this process's.

    Args:
        number: of processes.
        arguments: of the command that each runs.

    Returns:
        The exit code: that of one that failed, 130 after Ctrl-C, or 0.

    Raises:
        UserError: a process was killed.
    """
    addresses = [f"127.0.0.1:{port}" for port in free_ports(number)]
    command = [sys.executable, "-m", "keras_rawaudio", *arguments, "--workers", "1"]
    processes: list[subprocess.Popen[bytes]] = []
    stop = Interrupt()
    with ExitStack() as stack, stop.catching():
        notes = [None, *(stack.enter_context(TemporaryFile()) for _ in range(1, number))]
        try:
            for index, own in enumerate(notes):
                task = {"type": "worker", "index": index}
                config = json.dumps({"cluster": {"worker": addresses}, "task": task})
                environment = {**os.environ, TF_CONFIG: config}
                # Of a session of its own, so that Ctrl-C comes once, from here.
                process = subprocess.Popen(
                    command, env=environment, stderr=own, start_new_session=True
                )
                processes.append(process)
            asked = False
            patience = SAME_FAILURE
            while None in (codes := [process.poll() for process in processes]):
                if failures(codes):
                    patience -= POLL
                    if failures(codes[:1]) or patience < 0:
                        break
                if stop.requested and not asked:
                    asked = True
                    for process in processes:
                        process.send_signal(signal.SIGTERM)
                time.sleep(POLL)
        finally:
            for process in processes:
                process.kill()
                process.wait()
        for failed in failures(codes):
            if failed < 0:
                raise UserError(f"a worker was killed (signal {-failed}); go on with --resume")
            if own := notes[codes.index(failed)]:
                own.seek(0)
                sys.stderr.write(own.read().decode(errors="replace"))
            return failed
    return STOPPED if STOPPED in codes else 0


def failures(codes: Sequence[int | None]) -> list[int]:
    """The exit codes of processes that neither ended well nor were asked to stop.

    Example:
        >>> failures([None, 0, 130, -9])
        [-9]
    """
    return [code for code in codes if code not in (None, 0, STOPPED)]


def _is_address(text: object) -> bool:
    """Whether it is a host and a port."""
    host, _, port = str(text).rpartition(":") if isinstance(text, str) else ("", "", "")
    return bool(host) and port.isascii() and port.isdigit() and 0 < int(port[:9]) < 1 << 16


def free_ports(number: int) -> list[int]:
    """Ports that nobody listens on at the moment."""
    with ExitStack() as sockets:
        bound = [sockets.enter_context(socket.socket()) for _ in range(number)]
        for each in bound:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in bound]
