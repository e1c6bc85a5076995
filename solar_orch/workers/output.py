"""What a command writes, kept to a bounded size."""

from __future__ import annotations

from collections.abc import Callable

#: Makes another text of one.
Edit = Callable[[str], str]


class Tail:
    """The last bytes of a stream.

    :param limit: how many bytes are kept
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        #: Bytes written so far, kept or not.
        self.total = 0
        self._kept = bytearray()

    def write(self, data: bytes) -> None:
        """Take in the next bytes of the stream; does not block."""
        self.total += len(data)
        if len(data) >= self.limit:
            self._kept[:] = data[len(data) - self.limit :]
            return
        self._kept += data
        # Cutting at twice the limit makes a write cost in proportion to its own size.
        if len(self._kept) > 2 * self.limit:
            del self._kept[: -self.limit]

    def bytes(self) -> bytes:
        """What is kept, at most ``limit`` bytes."""
        return bytes(self._kept[max(0, len(self._kept) - self.limit) :])

    def before(self, mark: str) -> Tail:
        """What stands before the last `mark`; all of it if there is none."""
        kept, encoded = self.bytes(), mark.encode()
        found = Tail(self.limit)
        found.total = self.total
        found._kept += kept[: kept.rfind(encoded)] if encoded in kept else kept
        return found

    @property
    def cut(self) -> bool:
        """Whether earlier bytes were dropped."""
        return self.total > self.limit

    def lines(self) -> str:
        """What is kept as text; a first line of which the beginning is lost is left out if others follow."""
        kept = self.bytes()
        if self.cut:
            kept = _without_broken_start(kept)
            _, newline, rest = kept.partition(b"\n")
            if newline and rest.strip():
                kept = rest
        return decode(kept)

    def last_line(self) -> str | None:
        """The last line without its line end, empty lines at the end not counted.

        :return: ``""`` if nothing was written; None if that line is longer than what is kept
        """
        kept = self.bytes().rstrip(b"\r\n")
        start = kept.rfind(b"\n") + 1
        if self.cut and start == 0:
            return None
        return decode(kept[start:])


class BoundedOutput:
    """The first and the last part of a stream of bytes of any length.

    Takes memory for about 1.5 times `limit`, however much is written.

    :param limit: how many bytes are kept: one half from the beginning, one from the end
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._head = bytearray()
        self._head_limit = limit // 2
        self._tail = Tail(limit - self._head_limit)

    @property
    def total(self) -> int:
        """Bytes written so far, kept or not."""
        return len(self._head) + self._tail.total

    def write(self, data: bytes) -> None:
        """Take in the next bytes of the stream; does not block."""
        room = self._head_limit - len(self._head)
        if room > 0:
            self._head += data[:room]
            data = data[room:]
        if data:
            self._tail.write(data)

    @property
    def cut(self) -> bool:
        """Whether bytes had to be left out."""
        return self._tail.cut

    def text(self, head: Edit = str, tail: Edit = str) -> str:
        """What is kept, as text.

        Where bytes had to be left out, a line ``... N bytes omitted ...``
        says so; no character is cut in two there.  Bytes that are no UTF-8,
        and NUL, are replaced by U+FFFD.

        :param head: what is made of what stands before that line
        :param tail: what is made of what stands behind it
        """
        first, last = bytes(self._head), self._tail.bytes()
        if not self.cut:
            return decode(first + last)
        first, last = _without_broken_end(first), _without_broken_start(last)
        omitted = self.total - len(first) - len(last)
        before = head(decode(first))
        gap = "" if not before or before.endswith("\n") else "\n"
        return f"{before}{gap}... {omitted} bytes omitted ...\n{tail(decode(last))}"


def decode(data: bytes) -> str:
    """Bytes as text that any terminal and any database takes."""
    return data.decode("utf-8", "replace").replace("\0", "\ufffd")


def _is_continuation(byte: int) -> bool:
    return byte & 0xC0 == 0x80


def _character_length(first: int) -> int:
    """Bytes of the UTF-8 character that begins with this byte; 1 for what begins none."""
    if 0xC2 <= first <= 0xDF:
        return 2
    if 0xE0 <= first <= 0xEF:
        return 3
    if 0xF0 <= first <= 0xF4:
        return 4
    return 1


def _without_broken_end(data: bytes) -> bytes:
    """`data` less a character at its end of which bytes are missing."""
    for back in range(1, min(3, len(data)) + 1):
        if not _is_continuation(data[-back]):
            return data[:-back] if _character_length(data[-back]) > back else data
    return data


def _without_broken_start(data: bytes) -> bytes:
    """`data` less the rest of a character whose first byte is missing."""
    start = 0
    while start < min(3, len(data)) and _is_continuation(data[start]):
        start += 1
    return data[start:]
