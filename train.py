"""Train a generator on your own audio: `python train.py --audio song.flac --run runs/song`."""

import sys

from keras_rawaudio.__main__ import main

if __name__ == "__main__":
    sys.exit(main(["train", *sys.argv[1:]]))
