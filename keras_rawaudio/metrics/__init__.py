"""Judging audio: bits and baselines, tone, beat, health, likeness, copying, and pictures of it all.

Numpy and scipy, each imported by the file that needs it; the networks of `musicnn` and `note_transcription`
come with an extra.
Measures take float mono audio `(n,)` in [-1, 1] and its sample rate, and are documented with their
formula, their source and how they fail.
"""
