"""Exploring: what a piece is like, before anything is learned from it."""

from keras_rawaudio.analysis.explore import explore

__all__ = ["explore"]
