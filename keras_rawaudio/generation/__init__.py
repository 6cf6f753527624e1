"""Generation: the reference that every export is compared with."""

from keras_rawaudio.generation.advance import advance, fresh_state, generator_state_spec
from keras_rawaudio.generation.generator import Generator
from keras_rawaudio.generation.sampler import ReferenceSampler

__all__ = ["Generator", "ReferenceSampler", "advance", "fresh_state", "generator_state_spec"]
