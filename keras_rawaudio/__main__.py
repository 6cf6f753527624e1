"""`python -m keras_rawaudio`, and the command `keras-rawaudio`."""

from __future__ import annotations

import sys


def main() -> int:
    """Run a command; Ctrl-C while its code is read ends it as later.

    Returns:
        The exit code, as of `keras_rawaudio.cli.main`.
    """
    try:
        from keras_rawaudio.cli import main as command

        return command()
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
