"""Export a trained generator: `python export.py --run runs/song --out exported/song`."""

import sys

from keras_rawaudio.__main__ import main

if __name__ == "__main__":
    sys.exit(main(["export", *sys.argv[1:]]))
