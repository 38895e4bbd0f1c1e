"""The checks every method, study and card passes by being listed."""
