"""What a part must be, namespace by namespace: the contracts as code.

:mod:`~solar_orch.contracts.parts` says in docstrings who calls a part, when,
from where, whether it may block, and what raising does.
:mod:`~solar_orch.contracts.table` names the contract of each namespace and
checks what an entry point loads to; :mod:`~solar_orch.contracts.versions`
compares the version of the contracts that a part was made for.
"""
