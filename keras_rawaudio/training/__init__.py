"""Training: the stateful shell round the pure model, and the run folder that it fills."""
