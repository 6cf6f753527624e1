"""Corpus: audio files to train, validation and test parts on disk, and back as arrays."""

from keras_rawaudio.data.corpus.corpus import Corpus
from keras_rawaudio.data.corpus.preparing import default_cache, prepare
from keras_rawaudio.data.corpus.settings import PARTS, CorpusSettings
from keras_rawaudio.data.corpus.stored import open_corpus

__all__ = ["PARTS", "Corpus", "CorpusSettings", "default_cache", "open_corpus", "prepare"]
