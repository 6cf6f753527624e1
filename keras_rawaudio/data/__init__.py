"""Audio on its way to training: the corpus on disk, codecs, window plans, `tf.data` batches."""
