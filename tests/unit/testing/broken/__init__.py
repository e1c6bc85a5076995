"""Executors that each break one promise of the contract, and the tests of the kit that are meant for it.

All of them are the executor ``inline`` with one change.  One file for each of the kit's.
"""

from broken import background, capabilities, carrying, connecting, killing, running, serving
from broken.base import BROKEN, Broken

__all__ = [
    "BROKEN",
    "Broken",
    "background",
    "capabilities",
    "carrying",
    "connecting",
    "killing",
    "running",
    "serving",
]
