"""A task type for solar_orch: ``listens``."""
