"""The domain: plans, and how they progress.  Nothing here does any I/O."""
