"""The workers: what is called, and what else is told of the calls."""
