"""Train a recurrent generator on your own audio, export it as one file, play it anywhere.

Nothing heavy is imported here: each room (`corpus`, `codecs`, `windows`, `layers`, `models`,
`training`, `generation`, `exporting`, `listening`) is imported by whoever needs it.
"""

__version__ = "0.1.0"
