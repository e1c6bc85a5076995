"""Executors: how a call reaches a worker, and in what it runs."""
