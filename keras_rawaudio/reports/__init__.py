"""Pages to look at and listen to: a run, generated files beside the real ones, runs side by side.

Each is one HTML file with its pictures and its audio inside, that asks nothing of any network.
"""
