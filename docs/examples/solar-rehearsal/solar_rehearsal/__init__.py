"""Tasks drivers: :class:`solar_rehearsal.approval.Tasks` and :class:`solar_rehearsal.rehearsal.Tasks`."""
