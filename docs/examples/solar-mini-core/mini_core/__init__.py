"""A small program in the place of Solar core; the command is ``mini``."""
