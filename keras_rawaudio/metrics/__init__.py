"""Judging audio: bits and baselines, tone, beat, health, likeness, copying, and pictures of it all.

Numpy, scipy and matplotlib only; each is imported by the file that needs it, none of them here.
Measures take float mono audio `(n,)` in [-1, 1] and its sample rate, and are documented with their
formula, their source and how they fail.
"""
