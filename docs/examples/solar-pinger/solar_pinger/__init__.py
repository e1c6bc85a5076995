"""A fourth worker for solar-worker: it watches whether the targets of tasks can be reached."""
