"""What is installed, what a part is like, and what is wrong with any of them.

:mod:`~solar_orch.doctor.registry` reads what is registered and imports no
part.  Whatever imports one does so in a process of its own, so that a part
that hangs, ends its process or crashes is a finding like any other:

* :mod:`~solar_orch.doctor.bench` starts a fresh interpreter and asks it;
* :mod:`~solar_orch.doctor.examination` is what that one does, and
  :mod:`~solar_orch.doctor.isolation` its processes, one for each part;
* :mod:`~solar_orch.doctor.probing` and :mod:`~solar_orch.doctor.description`
  run there, with the part, and :mod:`~solar_orch.doctor.assembly` with all.
"""
