"""A runner for solar-worker: each worker in a process of its own."""

#: The version of the contracts that this was made for.
solar_orch_api = "1"
