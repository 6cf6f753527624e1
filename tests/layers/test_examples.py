"""The examples in the docstrings run as written."""

import doctest
import importlib
import pkgutil

import pytest

import keras_rawaudio.layers

MODULES = ["", *(f".{m.name}" for m in pkgutil.iter_modules(keras_rawaudio.layers.__path__))]


@pytest.mark.parametrize("name", MODULES)
def test_examples(name):
    module = importlib.import_module(f"keras_rawaudio.layers{name}")
    assert doctest.testmod(module).failed == 0
