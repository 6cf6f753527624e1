"""Measures of audio: baselines, tonal prominence, beat strength, health, timbre, similarity.

Numpy and scipy, each imported by the file that needs it. The networks of `musicnn.py` and
`note_transcription.py` come with the extra `ears`. Measures take audio in [-1, 1] and its sample
rate: `(n,)` or `(n, channels)`, of which they measure the mono mix unless they say otherwise. They
are documented with their formula, their source and how they fail.
"""
