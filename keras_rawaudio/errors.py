"""The one error that a user is meant to read."""


class UserError(Exception):
    """Bad input: one clear line that says what is wrong, where, and what to do.

    The command line prints the message and exits with code 2; nothing half-written stays behind.

    Example:
        >>> raise UserError("no such file: song.wav; check the path")
        Traceback (most recent call last):
        ...
        keras_rawaudio.errors.UserError: no such file: song.wav; check the path
    """
