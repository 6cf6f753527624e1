"""Sweeps: many runs of one recipe, with settings that a search engine chooses."""

from keras_rawaudio.sweeps.settings import Range, SweepSettings, read_sweep

__all__ = ["Range", "SweepSettings", "read_sweep"]
