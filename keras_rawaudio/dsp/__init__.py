"""Signal processing in NumPy and SciPy that models and metrics share."""
