"""The one error that a user is meant to read."""


class ServingError(Exception):
    """Bad input: one clear line; the command line prints it and exits with code 2."""


def one_line(text: object) -> str:
    r"""Text for one line of a terminal: what cannot be printed is escaped, a long middle left out.

    Example:
        >>> one_line("no such model: a\nb")
        'no such model: a\\nb'
    """
    line = "".join(c if c.isprintable() else repr(c)[1:-1] for c in str(text))
    return line if len(line) <= 500 else f"{line[:245]} ... {line[-245:]}"
