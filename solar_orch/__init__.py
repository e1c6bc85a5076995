"""Durable orchestration of deployment plans.

Importing the package imports nothing else and patches nothing; what a
program needs is imported from the module that holds it, for example
``from solar_orch.host import Host``.
"""

__version__ = "0.1.0"
