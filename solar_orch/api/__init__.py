"""What the commands do, for programs: see :class:`~solar_orch.api.orchestrator.Orchestrator`."""
