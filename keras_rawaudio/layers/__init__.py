"""Keras layers for recurrent generators and audio, each usable in a model of your own.

Example:
    A noisy cell, noisy activations and stochastic units in a `keras.Sequential`, trained:

    >>> import keras, numpy as np
    >>> keras.utils.set_random_seed(0)
    >>> model = keras.Sequential([
    ...     keras.layers.RNN(NoisyGRUCell(8, activation_noise="normal"), return_sequences=True),
    ...     keras.layers.Dense(8), NoisyActivation("hard_tanh"),
    ...     keras.layers.Dense(8), BinaryStochastic(), keras.layers.Dense(1),
    ... ])
    >>> model.compile(keras.optimizers.Adam(0.01), "mse")
    >>> x = np.sin(0.3 * np.arange(320, dtype="float32")).reshape(8, 40, 1)
    >>> history = model.fit(x[:, :-1], x[:, 1:], epochs=20, verbose=0)
    >>> history.history["loss"][-1] < 0.5 * history.history["loss"][0]
    True
"""

from keras_rawaudio.layers.affine_coupling import AffineCoupling
from keras_rawaudio.layers.bidirectional_stack import BidirectionalStack
from keras_rawaudio.layers.binary_stochastic import BinaryStochastic
from keras_rawaudio.layers.corruption import Corruption
from keras_rawaudio.layers.deep_gate_lstm_cell import DeepGateLSTMCell
from keras_rawaudio.layers.discriminator import Discriminator
from keras_rawaudio.layers.lpc_filter_bank import LPCFilterBank
from keras_rawaudio.layers.noisy_activation import NoisyActivation
from keras_rawaudio.layers.noisy_gru_cell import NoisyGRUCell
from keras_rawaudio.layers.noisy_lstm_cell import NoisyLSTMCell
from keras_rawaudio.layers.postfilter import Postfilter
from keras_rawaudio.layers.recurrent_stack import RecurrentStack

__all__ = [
    "AffineCoupling",
    "BidirectionalStack",
    "BinaryStochastic",
    "Corruption",
    "DeepGateLSTMCell",
    "Discriminator",
    "LPCFilterBank",
    "NoisyActivation",
    "NoisyGRUCell",
    "NoisyLSTMCell",
    "Postfilter",
    "RecurrentStack",
]
