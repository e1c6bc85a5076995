"""Outputs that are followed while their middle is left out."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from solar_orch.plan.excerpt import continuation
from solar_orch.workers.output import BoundedOutput


def followed(limit: int, *chunks: bytes) -> list[str]:
    """What is new after each of these writes."""
    output, seen, pieces = BoundedOutput(limit), 0, []
    for chunk in chunks:
        output.write(chunk)
        new, seen = continuation(output.text(), seen)
        pieces.append(new)
    return pieces


def test_what_was_seen_is_not_repeated():
    assert followed(100, b"one\n", b"", b"two\n", b"tw", b"o\n") == ["one\n", "", "two\n", "tw", "o\n"]


def test_an_output_that_was_cut_goes_on_where_it_was():
    assert followed(8, b"abcdef", b"ghij", b"kl") == ["abcdef", "ghij", "kl"]
    assert followed(8, b"abc\nef", b"ghij", b"kl") == ["abc\nef", "ghij", "kl"]


def test_what_was_cut_before_it_could_be_seen_is_told_of():
    assert followed(8, b"ab", b"cdefghijkl") == ["ab", "cd\n... 4 bytes omitted ...\nijkl"]
    assert followed(8, b"abcdef", b"ghijklmn") == ["abcdef", "\n... 4 bytes omitted ...\nklmn"]
    assert followed(8, b"abcdefghijkl", b"mn") == ["abcd\n... 4 bytes omitted ...\nijkl", "mn"]


def test_such_a_line_that_the_command_has_written_itself_is_only_text():
    line = b"a\n... 12 bytes omitted ...\nb\n"
    assert followed(1000, line, b"c\n", b"d\n") == [line.decode(), "c\n", "d\n"]


_GAP = re.compile(r"\n?\.\.\. (\d+) bytes omitted \.\.\.\n")
_CHUNKS = st.lists(st.text("abcdefgh", max_size=30), max_size=30)


@given(st.integers(4, 30).map(lambda half: 2 * half), _CHUNKS)
def test_each_byte_is_told_once_or_counted_as_left_out(limit: int, chunks: list[str]):
    told = "".join(followed(limit, *(chunk.encode() for chunk in chunks)))
    stream, at, place = "".join(chunks), 0, 0
    for gap in [*_GAP.finditer(told), None]:
        piece = told[place : gap.start() if gap else len(told)]
        assert stream[at : at + len(piece)] == piece
        at += len(piece)
        if gap:
            at += int(gap[1])
            place = gap.end()
    assert at == len(stream)
