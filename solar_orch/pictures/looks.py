"""How states look: a colour, and for those who do not tell colours apart a mark, in all pictures the same."""

from __future__ import annotations

from dataclasses import dataclass

from solar_orch.states import State


@dataclass(frozen=True, slots=True)
class Look:
    """How a state is drawn."""

    #: Of the border and the mark; told apart by those who do not see red or green.
    strong: str
    #: Of the area.
    pale: str
    #: A path within 12 by 12, drawn by lines 2 wide.
    mark: str
    dashed: bool = False


LOOKS = {
    State.SUCCESS: Look("#00734f", "#d6f0e5", "M2 6.5 L5 9.5 L10 2.5"),
    State.INPROGRESS: Look("#0061a4", "#d5e9fa", "M3.5 2 L9.5 6 L3.5 10 Z"),
    State.ERROR: Look("#b3261e", "#fbdbd6", "M2.5 2.5 L9.5 9.5 M9.5 2.5 L2.5 9.5"),
    State.ERROR_RETRY: Look("#9a5b00", "#fdeac4", "M9.5 4 A4 4 0 1 0 10 7 M9.9 1.4 L9.6 4.3 L6.8 3.8"),
    State.SKIPPED: Look("#76527f", "#eee3f1", "M2.5 2.5 L6 6 L2.5 9.5 M6.5 2.5 L10 6 L6.5 9.5", dashed=True),
    State.NOOP: Look("#5f6368", "#f1f3f4", "M2 6 L10 6", dashed=True),
    State.PENDING: Look("#5f6368", "#ffffff", "M2.5 6 A3.5 3.5 0 1 1 9.5 6 A3.5 3.5 0 1 1 2.5 6"),
}
