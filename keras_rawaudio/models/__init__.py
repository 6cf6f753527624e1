"""Models: recurrent tiers and a head; codes of spectra; a refiner of generated audio."""

from keras_rawaudio.models.audio_model import AudioModel
from keras_rawaudio.models.refiner import Refiner
from keras_rawaudio.models.spectral_model import SpectralModel

Model = AudioModel | SpectralModel | Refiner

__all__ = ["AudioModel", "Model", "Refiner", "SpectralModel"]
