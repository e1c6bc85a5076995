"""What solar_orch does in a second, against others and against what could be had; see docs/performance.rst.

``tox -e bench`` runs it.  pytest collects nothing here.
"""
