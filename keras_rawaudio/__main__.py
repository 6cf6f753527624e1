"""`python -m keras_rawaudio`."""

import sys

from keras_rawaudio.cli import main

sys.exit(main())
