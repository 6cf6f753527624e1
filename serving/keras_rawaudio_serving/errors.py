"""The one error that a user is meant to read."""


class ServingError(Exception):
    """Bad input: one clear line; the command line prints it and exits with code 2."""
