"""What is new in the kept output of a task, of which the middle may have been left out."""

from __future__ import annotations

import re

#: As :class:`solar_orch.workers.output.BoundedOutput` writes it.
_OMITTED = re.compile(rb"^\.\.\. (\d+) bytes omitted \.\.\.\n", re.MULTILINE)


def continuation(text: str, seen: int) -> tuple[str, int]:
    """What of an output comes after the part that was seen.

    Where bytes that were not seen have been left out, a line says so.  Of an
    output in which bytes were replaced or masked the places are known only
    about.

    :param text: the output as it is kept now
    :param seen: how many of its bytes were seen, those left out counted; 0 at first
    :return: what is new, and how many bytes have been seen with that
    """
    data = text.encode()
    gap = _gap(data)
    if gap is None:
        return _decoded(data[seen:]), max(seen, len(data))
    head, tail = data[: gap.start()], data[gap.end() :]
    if len(head) > len(tail):
        # Each has half of what is kept: the last line of the first half had no end.
        head = head[:-1]
    resumed = len(head) + int(gap[1])
    end = resumed + len(tail)
    if seen == 0:
        return text, end
    if seen >= resumed:
        return _decoded(tail[seen - resumed :]), max(seen, end)
    new = head[seen:]
    between = b"" if not head or head.endswith(b"\n") else b"\n"
    omitted = resumed - max(seen, len(head))
    return _decoded(new + between + b"... %d bytes omitted ...\n" % omitted + tail), end


def _gap(data: bytes) -> re.Match[bytes] | None:
    """The line that says what was left out: of several the one in the middle, the others were written."""
    middle = len(data) // 2
    return min(_OMITTED.finditer(data), key=lambda found: abs(found.start() - middle), default=None)


def _decoded(data: bytes) -> str:
    return data.decode("utf-8", "replace")
