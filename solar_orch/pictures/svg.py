"""The pieces that SVG pictures are put together from.

Texts are set in a font of one width, so that it is known how much room they take
wherever the picture is looked at.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from xml.sax.saxutils import escape, quoteattr

from solar_orch.pictures.looks import LOOKS
from solar_orch.plan.report import shown
from solar_orch.states import State

#: Of a character, as a part of the font's size.
_ADVANCE = 0.61

_FONTS = "'DejaVu Sans Mono', 'Liberation Mono', 'Noto Sans Mono', Menlo, Consolas, 'Courier New', monospace"

INK = "#202124"
DIM = "#5f6368"

#: Pixels from the edges.
MARGIN = 16
#: Pixels that :func:`head` takes.
HEAD = 62


def number(value: float) -> str:
    """A length in pixels."""
    return f"{value:.1f}".removesuffix(".0")


def element(tag: str, content: str = "", **attributes: object) -> str:
    """One element; ``_`` in the names of attributes stands for ``-``.

    :param content: markup
    """
    given = "".join(
        f" {name.replace('_', '-')}={quoteattr(number(value) if isinstance(value, float) else str(value))}"
        for name, value in attributes.items()
        if value is not None
    )
    return f"<{tag}{given}>{content}</{tag}>" if content else f"<{tag}{given}/>"


def markup(text: str) -> str:
    """`text` as content of an element, without characters that cannot stand in XML."""
    return escape(shown(text))


def text(x: float, y: float, size: float, content: str, **attributes: object) -> str:
    """One line of text that begins at `x` and stands on `y`."""
    return element("text", markup(content), x=x, y=y, font_size=size, **attributes)


def title(lines: Iterable[str]) -> str:
    """What is shown of an element when the pointer is on it."""
    return f"<title>{'&#10;'.join(map(markup, lines))}</title>"


def cells(content: str) -> int:
    """How many characters' room a text takes."""
    if content.isascii():
        return len(content)
    return sum(_cells(char) for char in content)


def _cells(char: str) -> int:
    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def room(length: float, size: float) -> int:
    """How many characters of this font size have room in so many pixels."""
    return max(0, int(length / (size * _ADVANCE)))


def width(content: str, size: float) -> float:
    """Pixels that a text takes."""
    return cells(content) * size * _ADVANCE


def cut(content: str, most: int) -> str:
    """`content`, or its beginning and its end with … between them, so that it takes `most` cells."""
    content = shown(content)
    if cells(content) <= most:
        return content
    if most < 2:
        return "…"[:most]
    front, back = "", ""
    left = most - 1
    begin, end = 0, len(content)
    while begin < end:
        # By turns, and the beginning first.
        from_front = cells(front) <= cells(back)
        char = content[begin] if from_front else content[end - 1]
        left -= _cells(char)
        if left < 0:
            break
        if from_front:
            front, begin = front + char, begin + 1
        else:
            back, end = char + back, end - 1
    return f"{front}…{back}"


def mark(state: State, x: float, y: float, colour: str | None = None, size: float = 12) -> str:
    """The mark of a state, in its colour or in another one."""
    scale = "" if size == 12 else f" scale({size / 12:.3f})"
    return element(
        "path",
        d=LOOKS[state].mark,
        transform=f"translate({number(x)} {number(y)}){scale}",
        stroke=colour or LOOKS[state].strong,
        stroke_width=2,
        fill="none",
        stroke_linecap="round",
        stroke_linejoin="round",
    )


def head(heading: str, line: str, counts: Mapping[State, int]) -> str:
    """The title, a line below it, and the legend: the states that there are, and how often."""
    parts = [
        text(MARGIN, MARGIN + 10.0, 15, heading, font_weight="bold"),
        text(MARGIN, MARGIN + 27.0, 11, line, fill=DIM),
    ]
    x = float(MARGIN)
    for state, count in counts.items():
        label = f"{count} {state}"
        parts += [mark(state, x, MARGIN + 35.0), text(x + 17, MARGIN + 45.0, 11, label)]
        x += 17 + width(label, 11) + 18
    return "".join(parts)


def head_width(heading: str, line: str, counts: Mapping[State, int]) -> float:
    """Pixels that :func:`head` takes, margins included."""
    legend = sum(35 + width(f"{count} {state}", 11) for state, count in counts.items())
    return 2 * MARGIN + max(width(heading, 15) * 1.02, width(line, 11), legend)


def document(total_width: float, total_height: float, parts: Iterable[str]) -> str:
    """A whole SVG file."""
    w, h = number(round(total_width)), number(round(total_height))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{w}" height="{h}" viewBox="0 0 {w} {h}"'
        f' font-family="{_FONTS}" fill="{INK}">\n'
        f'<rect width="{w}" height="{h}" fill="#ffffff"/>\n' + "\n".join(parts) + "\n</svg>\n"
    )
