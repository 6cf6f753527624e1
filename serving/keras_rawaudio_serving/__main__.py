"""`python -m keras_rawaudio_serving`, and the commands of the package."""

import sys


def main() -> int:
    """Run the sampler; Ctrl-C while its code is read ends it as later.

    Returns:
        The exit code, as of `keras_rawaudio_serving.cli.main`.
    """
    try:
        from .cli import main as command

        return command()
    except KeyboardInterrupt:
        return 130


def serve() -> int:
    """Run the server, likewise.

    Returns:
        The exit code, as of `keras_rawaudio_serving.serve.main`.
    """
    try:
        from .serve import main as command

        return command()
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
