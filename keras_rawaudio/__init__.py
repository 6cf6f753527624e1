"""Train a recurrent generator on your own audio, export it as one file, play it anywhere.

Nothing heavy is imported here.
"""

__version__ = "0.1.0"
