"""Heads: the tier's output to a prediction. A new one is one file here, named after its kind, and
its settings in `recipes/heads.py`."""

from __future__ import annotations

import importlib

from keras_rawaudio.models.heads.base import Head

__all__ = ["Head", "head_layer"]


def head_layer(kind: str) -> type[Head]:
    """The layer of a kind of head, from the file of that name.

    Args:
        kind: as in a recipe, such as "categorical".

    Returns:
        The subclass of `Head` with that `kind`.

    Raises:
        ModuleNotFoundError: there is no file of that name.
        TypeError: not exactly one class of the file has that kind.

    Example:
        >>> head_layer("categorical").__name__
        'CategoricalHead'
    """
    module = importlib.import_module(f"{__name__}.{kind}")
    layers = [x for x in vars(module).values() if getattr(x, "kind", None) == kind]
    if len(layers) != 1:
        names = ", ".join(layer.__name__ for layer in layers) or "none"
        raise TypeError(f"{module.__name__} needs one class with kind = {kind!r}, not: {names}")
    return layers[0]
