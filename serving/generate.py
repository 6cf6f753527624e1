#!/usr/bin/env python3
"""Front door for a checkout: `python serving/generate.py MODEL --seconds 30 --out new.wav`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from keras_rawaudio_serving.__main__ import main

if __name__ == "__main__":
    sys.exit(main())
