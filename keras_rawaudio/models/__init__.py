"""Models: recurrent tiers and a head."""

from keras_rawaudio.models.audio_model import AudioModel
from keras_rawaudio.models.spectral_model import SpectralModel

Model = AudioModel | SpectralModel

__all__ = ["AudioModel", "Model", "SpectralModel"]
