"""Training: everything that keeps state around the pure model, and the run folder."""
