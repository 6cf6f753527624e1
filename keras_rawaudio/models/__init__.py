"""Models: recurrent tiers, a head, and the recipe that names a point of their space."""

from keras_rawaudio.models.audio_model import AudioModel
from keras_rawaudio.models.build import build_model

__all__ = ["AudioModel", "build_model"]
