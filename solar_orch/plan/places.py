"""Places within the text of a plan file."""

from __future__ import annotations

import re

from solar_orch.plan.reader import Position

#: What ends a line for YAML.
_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
_BLOCK = re.compile(r"[|>][-+0-9]*[ \t]*(?:#.*)?$")


def lines_of(text: str | bytes) -> list[str]:
    """The lines of a plan file, whose numbers are those of mistakes."""
    if isinstance(text, bytes):
        text = text.decode(errors="replace")
    text = text.removeprefix("\ufeff")
    return text.split("\n") if text.lstrip()[:1] == "{" else _BREAK.split(text)


def within(lines: list[str], start: Position, value: str, offset: int) -> Position | None:
    """Where a part of a string stands in the file; None if that cannot be told for certain.

    It can where the file has, up to that part, the very characters of the string: in one line
    behind a quote or without one, or in a block whose lines are kept.

    :param start: where the string begins, as :func:`~solar_orch.plan.reader.read` says
    :param offset: of the part in `value`, from 0
    """
    line, column = start[0] - 1, start[1] - 1
    if not (0 <= line < len(lines)):
        return None
    rest = lines[line][column:]
    if _BLOCK.match(rest):
        return _within_block(lines, line, value, offset)
    quote = 1 if rest[:1] in ("'", '"') else 0
    told = value[: offset + 1]
    if rest[quote : quote + len(told)] == told:
        return (line + 1, column + quote + offset + 1)
    return None


def _within_block(lines: list[str], header: int, value: str, offset: int) -> Position | None:
    before = value[:offset]
    number = before.count("\n")
    told = value.split("\n")[: number + 1]
    found = lines[header + 1 : header + 2 + number]
    first = next((line for line in found if line.strip()), "")
    indent = len(first) - len(first.lstrip(" "))
    if [line[indent:] for line in found] != told:
        return None
    return (header + 2 + number, indent + len(before) - (before.rfind("\n") + 1) + 1)
