"""Tables that are aligned in a terminal of any width, and in a pipe have each row on one line.

Lines are put together here and written at once, also where they are coloured: a table may have a
hundred thousand rows.  rich is asked only what a terminal is like, and not imported for a pipe.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice, zip_longest
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

#: Cells that a column keeps even if the terminal is too narrow for all of them.
_LEAST = 12
_GAP = "  "
_INDENT = "    "

Row = Sequence[str]
#: (column, cell) -> a style of rich's, or "".
Style = Callable[[int, str], str]


def print_table(
    titles: Row,
    rows: Iterable[Row],
    *,
    right: Sequence[str] = (),
    below: str | None = None,
    style: Style | None = None,
    headed: bool = True,
) -> None:
    """Write a table to stdout; columns of which all cells are empty are left out.

    In a terminal cells are broken into several lines where it is too narrow;
    elsewhere nothing is broken, shortened or coloured.

    :param right: titles of the columns that are aligned to the right
    :param below: title of the last column, which goes below its row where the terminal is too narrow
    :param style: how a cell is shown in a terminal
    :param headed: whether the titles stand above; not where a table goes on
    """
    every = list(rows)
    kept = [i for i, _ in enumerate(titles) if any(row[i] for row in every)] or list(range(len(titles)))
    cells = [[titles[i] for i in kept], *([row[i] for i in kept] for row in every)]
    widths = [max(map(width_of, column)) for column in zip(*cells, strict=True)]
    aligned = [titles[i] in right for i in kept]
    console = terminal()
    first = 0 if headed else 1
    if console is None:
        _write(_line(row, widths, aligned) for row in cells[first:])
        return
    moved: list[str] = [""] * len(cells)
    if titles[kept[-1]] == below and _total(widths) > console.width:
        moved = ["", *(row[-1] for row in cells[1:])]
        cells, widths, aligned, kept = [row[:-1] for row in cells], widths[:-1], aligned[:-1], kept[:-1]
    widths = _fitted(widths, console.width)
    styles = [["bold"] * len(kept)]
    styles += [[style(i, row[i]) if style else "" for i in kept] for row in every]
    pen = _Pen(console)
    lines: list[str] = []
    for row, row_styles, rest in islice(zip(cells, styles, moved, strict=True), first, None):
        lines += _broken(row, widths, aligned, row_styles, pen)
        if rest:
            lines += [_INDENT + piece for piece in _pieces(rest, max(_LEAST, console.width - len(_INDENT)))]
    _write(lines)


class _Pen:
    """Colours text as rich would in this terminal."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._around: dict[str, tuple[str, str]] = {"": ("", "")}

    def write(self, text: str, style: str) -> str:
        if style not in self._around:
            self._around[style] = self._ask(style)
        before, after = self._around[style]
        return f"{before}{text}{after}"

    def _ask(self, style: str) -> tuple[str, str]:
        from rich.text import Text

        with self._console.capture() as capture:
            self._console.print(Text("x", style), end="", soft_wrap=True)
        before, _, after = capture.get().partition("x")
        return before, after


def terminal() -> Console | None:
    """What stdout leads to, if that is a terminal or is to be taken for one."""
    if not sys.stdout.isatty() and not os.environ.keys() & {"FORCE_COLOR", "TTY_COMPATIBLE"}:
        return None
    from rich.console import Console

    console = Console(file=sys.stdout, highlight=False)
    return console if console.is_terminal else None


def write_line(text: str) -> None:
    """Write one line to stdout, as it is."""
    _write([text])


def write_paragraph(text: str, before: str = "", style: str = "") -> None:
    """Write a line to stdout, in a terminal broken between words where it is too narrow.

    :param before: stands before it; what is broken off is aligned with what stands behind that
    :param style: of rich's, for a terminal
    """
    console = terminal()
    if console is None:
        _write([before + text])
        return
    first, *others = _pieces(text, max(_LEAST, console.width - len(before)))
    pen = _Pen(console)
    _write(
        [before + pen.write(first, style), *(" " * len(before) + pen.write(each, style) for each in others)]
    )


def _write(lines: Iterable[str]) -> None:
    text = "".join(f"{line}\n" for line in lines)
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.write(text.encode(encoding, "replace").decode(encoding))
    sys.stdout.flush()


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + len(_GAP) * (len(widths) - 1)


def _fitted(widths: Sequence[int], space: int) -> list[int]:
    """The widest columns made narrower, until all fit or none can give more."""
    fitted = list(widths)
    while _total(fitted) > space:
        widest = max(range(len(fitted)), key=fitted.__getitem__)
        if fitted[widest] <= _LEAST:
            break
        rest = max((w for i, w in enumerate(fitted) if i != widest), default=0)
        excess = _total(fitted) - space
        fitted[widest] = max(_LEAST, fitted[widest] - excess, min(rest, fitted[widest] - 1))
    return fitted


def _line(cells: Row, widths: Sequence[int], right: Sequence[bool]) -> str:
    return _GAP.join(map(_padded, cells, widths, right)).rstrip()


def width_of(text: str) -> int:
    """The cells that it takes in a line."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def _padded(cell: str, width: int, right: bool) -> str:
    if cell.isascii():
        return cell.rjust(width) if right else cell.ljust(width)
    padding = " " * (width - width_of(cell))
    return padding + cell if right else cell + padding


def _broken(
    cells: Row, widths: Sequence[int], right: Sequence[bool], styles: Sequence[str], pen: _Pen
) -> Iterator[str]:
    """The lines that one row takes."""
    pieces = [_pieces(cell, width) for cell, width in zip(cells, widths, strict=True)]
    for parts in zip_longest(*pieces, fillvalue=""):
        padded = list(map(_padded, parts, widths, right))
        while padded and not padded[-1].rstrip():
            padded.pop()
        if padded:
            padded[-1] = padded[-1].rstrip()
        yield _GAP.join(map(pen.write, padded, styles))


def _pieces(cell: str, width: int) -> list[str]:
    """`cell` in lines of at most `width`, broken between words where there are any."""
    if width_of(cell) <= width and not cell.startswith(" "):
        return [cell]
    from rich.cells import chop_cells

    lines, line = [], ""
    for word in cell.split(" "):
        joined = f"{line} {word}" if line else word
        if width_of(joined) <= width:
            line = joined
            continue
        if line:
            lines.append(line)
        *whole, line = chop_cells(word, width) or [""]
        lines += whole
    return [*lines, line]
