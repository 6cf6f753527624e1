"""`python -m keras_rawaudio.cli`."""

import sys

from keras_rawaudio.cli import main

sys.exit(main())
