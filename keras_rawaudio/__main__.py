"""`python -m keras_rawaudio`, and the command `keras-rawaudio`."""

from __future__ import annotations

import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; Ctrl-C while its code is read ends it as later.

    Args:
        arguments: as of `keras_rawaudio.cli.main`.

    Returns:
        The exit code, as of `keras_rawaudio.cli.main`.
    """
    try:
        from keras_rawaudio.cli import main as command

        return command(arguments)
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
