"""Keras layers for recurrent generators, on any backend; nothing here knows of audio."""

from keras_rawaudio.layers.binary_stochastic import BinaryStochastic
from keras_rawaudio.layers.deep_gate_lstm_cell import DeepGateLSTMCell
from keras_rawaudio.layers.noisy_activation import NoisyActivation
from keras_rawaudio.layers.noisy_gru_cell import NoisyGRUCell
from keras_rawaudio.layers.noisy_lstm_cell import NoisyLSTMCell
from keras_rawaudio.layers.recurrent_stack import RecurrentStack

__all__ = [
    "BinaryStochastic",
    "DeepGateLSTMCell",
    "NoisyActivation",
    "NoisyGRUCell",
    "NoisyLSTMCell",
    "RecurrentStack",
]
