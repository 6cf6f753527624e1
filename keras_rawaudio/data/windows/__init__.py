"""Windows: which stretches of audio a batch holds, and the `tf.data` pipeline that reads them."""

from keras_rawaudio.data.windows.dataset import read_batches, window_dataset
from keras_rawaudio.data.windows.plan import WindowPlan, Windows
from keras_rawaudio.data.windows.stream import StreamPlan

__all__ = ["StreamPlan", "WindowPlan", "Windows", "read_batches", "window_dataset"]
