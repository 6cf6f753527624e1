"""The systems of the comparison: where their code is, at which commit, and what it needs."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Ours:
    """A recipe of this project."""

    adapter: str = "ours.py"


@dataclass(frozen=True)
class Peer:
    """A system of others.

    Attributes:
        adapter: the script that keeps the contract for it.
        address: of its public repository.
        commit: that is fetched.
        paths: what of it is checked out.
        packages: what pip installs for it.
        gpu: whether its adapter can learn on one.
    """

    adapter: str
    address: str
    commit: str
    paths: tuple[str, ...]
    packages: tuple[str, ...]
    gpu: bool = False


PEERS = {
    "prism-samplernn": Peer(
        "prism.py",
        "https://github.com/rncm-prism/prism-samplernn",
        "f05a772f002dcc3bfa091283b7958bcd92a80be5",
        (".",),
        ("tensorflow-cpu==2.16.2", "tf_keras==2.16.0", "librosa", "natsort", "soundfile"),
    ),
    "samplernn-pytorch": Peer(
        "samplernn_pytorch.py",
        "https://github.com/deepsound-project/samplernn-pytorch",
        "4167442627b1414ff8fdc86528812b46168c656b",
        (".",),
        ("torch==2.13.0", "numpy", "soundfile"),
        gpu=True,
    ),
    "sashimi": Peer(
        "sashimi.py",
        "https://github.com/state-spaces/s4",
        "e757cef57d89e448c413de7325ed5601aceaac13",
        ("models/s4", "models/sashimi"),
        ("torch==2.13.0", "numpy", "scipy", "einops", "opt_einsum", "soundfile"),
        gpu=True,
    ),
}
OURS = {"raw": Ours(), "default": Ours()}
SYSTEMS: dict[str, Ours | Peer] = {**OURS, **PEERS}


def code_of(name: str, out: Path, sources: Path | None) -> Path:
    """The code of a peer at its commit, fetched if it is not there.

    Args:
        out: code lies in `out/code/NAME`.
        sources: a folder of local git repositories by their names, instead of the public address.

    Raises:
        UserError: git could not fetch it.
    """
    peer, folder = PEERS[name], out / "code" / name
    address = str(sources / Path(peer.address).name) if sources else peer.address
    if not (folder / ".git").is_dir():
        _call(["git", "clone", "--quiet", "--no-checkout", address, folder])
    _call(["git", "-C", folder, "checkout", "--quiet", peer.commit, "--", *peer.paths])
    return folder


def python_of(name: str, out: Path, given: Mapping[str, str]) -> str:
    """The interpreter of a system: given, our own, or that of an environment made for it.

    Raises:
        UserError: its packages could not be installed.
    """
    if name in given:
        return given[name]
    if name in OURS:
        return sys.executable
    environment = out / "environments" / name
    python = environment / "bin" / "python"
    installed = environment / "installed"
    if not installed.is_file():
        _call([sys.executable, "-m", "venv", environment])
        _call([python, "-m", "pip", "install", "--quiet", *PEERS[name].packages])
        installed.touch()
    return str(python)


def _call(words: Sequence[str | Path]) -> None:
    from keras_rawaudio.errors import UserError

    line = list(map(str, words))
    if subprocess.run(line).returncode:
        raise UserError(f"failed: {' '.join(line)}")
