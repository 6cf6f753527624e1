"""Versions of the packages and revision of the code that made a file."""

from __future__ import annotations

import platform
import subprocess
from importlib import metadata
from pathlib import Path

import keras_rawaudio

PACKAGES = ("keras", "tensorflow", "numpy", "onnx", "tf2onnx")


def versions() -> dict[str, str]:
    """Version of Python, of this package and of those that decide its results."""
    found = {"python": platform.python_version(), "keras_rawaudio": keras_rawaudio.__version__}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def git_revision() -> str:
    """Revision of the checkout that this package runs from; empty where there is none.

    It ends in `-dirty` where files of the revision are changed. The checkout's index is not
    written: who is killed while it is would leave its lock.
    """
    folder = Path(__file__).parent
    if not (folder.parent / ".git").exists():
        return ""

    def git(*words: str) -> str:
        command = ["git", "--no-optional-locks", "-C", str(folder), *words]
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
        return done.stdout.strip()

    try:
        revision = git("describe", "--always", "--abbrev=12")
        changed = git("status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.SubprocessError):
        return ""
    return f"{revision}-dirty" if changed else revision
