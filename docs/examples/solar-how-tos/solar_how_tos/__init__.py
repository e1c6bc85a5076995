"""The short parts of the how-to of solar-orch."""

#: The version of the contracts that all parts of this package are made for.
solar_orch_api = "1"
