"""The command `keras-rawaudio-serve`: one stream to many listeners over HTTP."""

import argparse
import os
import socket
from collections.abc import Sequence
from typing import TYPE_CHECKING

from .command import Parser, Say, add_control_argument, missing_extra, run_command
from .errors import ServingError

if TYPE_CHECKING:
    from .sampler import Sampler

PROGRAM = "keras-rawaudio-serve"
TOKEN_VARIABLE = "KERAS_RAWAUDIO_TOKEN"
# What the kernel keeps for a listener that does not read. Small, so that this is noticed soon.
_SEND_BUFFER = 16384
_UNREAD_MILLISECONDS = 20_000


def build_parser() -> argparse.ArgumentParser:
    parser = Parser(prog=PROGRAM, description="Stream an exported generator to many listeners.")
    add = parser.add_argument
    add("model", metavar="MODEL", help="generator.onnx, made by keras-rawaudio export")
    add("--host", default="127.0.0.1", help="address to listen on (127.0.0.1: this machine alone)")
    add("--port", type=int, default=8000, help="TCP port (8000); 0 takes a free one")
    add("--listeners", type=int, default=100, metavar="N", help="how many at once (100)")
    add(
        "--token",
        help="lets those who know it set controls; better in the environment variable "
        f"{TOKEN_VARIABLE}, which other users do not see",
    )
    add("--temperature", type=float, metavar="T", help="of sampling, 0.1 to 2 (1)")
    add_control_argument(parser)
    add(
        "--music",
        metavar="NAME",
        help="of a file that was trained on several: a name, or weights such as night=0.7,day=0.3 "
        "(one at random)",
    )
    add("--random-seed", type=int, metavar="N", help="same number, same audio")
    add("--seed-audio", metavar="FILE", help="audio that the model continues: its first second")
    add("--threads", type=int, default=1, metavar="N", help="processor threads (1)")
    add("--quiet", action="store_true", help="errors only")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code (0, 2 for bad input, 130 for Ctrl-C)."""
    args = build_parser().parse_args(argv)
    return run_command(PROGRAM, lambda: _run(args))


def _run(args: argparse.Namespace) -> None:
    token = os.environ.get(TOKEN_VARIABLE) if args.token is None else args.token
    if token == "":
        raise ServingError("the token is empty")
    if token is not None and (token != token.strip() or len(token.splitlines()) > 1):
        raise ServingError(
            "the token begins or ends with white space, or holds a line break: no HTTP header "
            "carries that"
        )
    if args.listeners < 1:
        raise ServingError(f"--listeners is {args.listeners}: it must be 1 or more")
    try:
        from .http_server import HttpServer
    except ImportError as error:
        raise missing_extra(PROGRAM, "serve", error) from None
    from .control_curves import read_curves

    controls = read_curves(args.control, None, args.temperature)
    with _bind(args.host, args.port) as listening:
        sampler = _load_sampler(args)
        controls.check(sampler)
        controls.apply(sampler, 0.0)
        if args.seed_audio is not None:
            _prime(sampler, args.seed_audio)
        server = HttpServer(sampler, args.listeners, token)
        say = Say(args.quiet)
        producer, broadcast = server.streaming.producer, server.streaming.broadcast
        try:
            say(
                f"{_address(listening)} for up to {args.listeners} listeners; controls "
                + ("for those who know the token" if token else "are fixed: no --token")
            )
            server.run(sockets=[listening])
        finally:
            say(
                f"{producer.seconds:.0f} s of audio; {producer.late} times too slow for the clock; "
                f"{broadcast.dropped} listeners dropped"
            )
        if producer.error is not None:
            raise producer.error


def _load_sampler(args: argparse.Namespace) -> "Sampler":
    from .sampler import Sampler

    return Sampler.load(
        args.model,
        temperature=1.0 if args.temperature is None else args.temperature,
        music=[args.music] if args.music is not None else None,
        random_seed=args.random_seed,
        threads=args.threads,
    )


def _prime(sampler: "Sampler", path: str) -> None:
    """Let the model read the first second of a file."""
    from .audio import read_seed

    sampler.prime(read_seed(path, sampler.sample_rate, 0.0, None, sampler.channels).audio)


def _address(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


def _bind(host: str, port: int) -> socket.socket:
    if not 0 <= port <= 65535:
        raise ServingError(f"--port is {port}: it must be 0 to 65535")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        bound = socket.socket(family, kind, protocol)
    except (OSError, UnicodeError) as error:
        raise ServingError(f"--host {host}: {getattr(error, 'strerror', None) or error}") from None
    try:
        if os.name != "nt":  # there it would take a port that is in use
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # What is accepted inherits both.
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNREAD_MILLISECONDS)
        bound.bind(address)
        bound.listen(256)
    except OSError as error:
        bound.close()
        raise ServingError(f"{host}:{port}: {error.strerror}") from None
    return bound
