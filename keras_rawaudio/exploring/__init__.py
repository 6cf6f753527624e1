"""Exploring: what a piece is like, before anything is learned from it."""

from keras_rawaudio.exploring.explore import explore

__all__ = ["explore"]
