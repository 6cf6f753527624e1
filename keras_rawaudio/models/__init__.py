"""Models: recurrent tiers and a head."""

from keras_rawaudio.models.audio_model import AudioModel

__all__ = ["AudioModel"]
