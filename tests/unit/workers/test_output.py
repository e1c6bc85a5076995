"""What is kept of a stream: its two ends, whole characters, and little memory."""

from __future__ import annotations

import re
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from solar_orch.workers.output import BoundedOutput, Tail, decode

MARKER = re.compile(r"\n?\.\.\. (\d+) bytes omitted \.\.\.\n")
TEXT = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0.\ufffd"))


def written(limit: int, data: bytes, pieces: int = 1) -> BoundedOutput:
    output = BoundedOutput(limit)
    size = max(1, len(data) // pieces)
    for start in range(0, len(data), size):
        output.write(data[start : start + size])
    return output


def test_what_fits_is_kept_as_it_is() -> None:
    output = written(1024, "Zeile eins\nänd zwei\n".encode(), pieces=7)
    assert output.text() == "Zeile eins\nänd zwei\n"
    assert output.total == 21


def test_nothing_written_is_an_empty_text() -> None:
    assert BoundedOutput(1024).text() == ""
    assert BoundedOutput(1024).total == 0


@pytest.mark.parametrize("length", [99, 100])
def test_a_stream_of_up_to_the_limit_is_not_cut(length: int) -> None:
    data = bytes(ord("a") + i % 26 for i in range(length))
    assert written(100, data, pieces=9).text() == data.decode()


def test_of_a_longer_one_both_halves_are_kept() -> None:
    assert (
        written(100, b"a" * 50 + b"-" + b"b" * 50).text()
        == "a" * 50 + "\n... 1 bytes omitted ...\n" + "b" * 50
    )


def test_the_marker_has_a_line_of_its_own_after_a_whole_line_too() -> None:
    text = written(20, b"12345678\n\n" + b"x" * 30 + b"\n123456789").text()
    assert text == "12345678\n\n... 30 bytes omitted ...\n\n123456789"


@given(TEXT, st.integers(2, 60), st.integers(1, 20))
def test_no_character_is_cut_in_two(text: str, limit: int, pieces: int) -> None:
    data = text.encode()
    output = written(limit, data, pieces)
    shown = output.text()
    assert output.total == len(data)
    assert "\ufffd" not in shown
    found = MARKER.search(shown)
    if len(data) <= limit:
        assert shown == text
        return
    assert found
    head, tail = shown[: found.start()], shown[found.end() :]
    if shown[: found.start() + 1].endswith("\n") and text.startswith(head + "\n"):
        # The line end before the marker may be the text's own.
        assert int(found[1]) in {len(data) - len((head + tail).encode()) - own for own in (0, 1)}
    else:
        assert int(found[1]) == len(data) - len((head + tail).encode())
    assert text.startswith(head)
    assert text.endswith(tail)
    assert len((head + tail).encode()) >= limit - 8


@given(st.binary(max_size=300), st.integers(2, 60), st.integers(1, 20))
def test_any_bytes_become_text(data: bytes, limit: int, pieces: int) -> None:
    output = written(limit, data, pieces)
    assert "\0" not in output.text()
    assert output.text().encode("utf-8").decode("utf-8") == output.text()
    assert output.total == len(data)


@given(st.binary(max_size=300), st.integers(1, 60), st.integers(1, 20))
def test_a_tail_is_the_end_however_it_was_written(data: bytes, limit: int, pieces: int) -> None:
    tail = Tail(limit)
    size = max(1, len(data) // pieces)
    for start in range(0, len(data), size):
        tail.write(data[start : start + size])
    assert tail.bytes() == data[-limit:]
    assert tail.total == len(data)
    assert tail.cut == (len(data) > limit)


def test_memory_does_not_grow_with_the_stream() -> None:
    output = BoundedOutput(64 * 1024)
    chunk = b"x" * 4099
    tracemalloc.start()
    try:
        for _ in range(50_000):
            output.write(chunk)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert output.total == 50_000 * 4099
    assert peak < 4 * 64 * 1024


def test_nul_and_what_is_no_utf8_are_replaced() -> None:
    assert decode(b"a\0b\xffc") == "a\ufffdb\ufffdc"


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (b"", ""),
        (b"\n\n", ""),
        (b"one", "one"),
        (b"one\ntwo\n", "two"),
        (b"one\r\ntwo\r\n\r\n", "two"),
        (b"one\n  \n", "  "),
        (b"x" * 100 + b"\nlast\n", "last"),
    ],
)
def test_last_line(data: bytes, line: str) -> None:
    tail = Tail(20)
    tail.write(data)
    assert tail.last_line() == line


def test_a_last_line_that_is_not_whole_is_none() -> None:
    tail = Tail(20)
    tail.write(b"one\n" + b"x" * 21)
    assert tail.last_line() is None


@pytest.mark.parametrize(
    ("data", "lines"),
    [
        (b"short\n", "short\n"),
        (b"a long first line\nsecond\n", "second\n"),
        (b"a line that is far too long alone", "too long alone"),
        (b"0123456789" + b"\xc3\xa4" + b"x" * 13, "x" * 13),
    ],
)
def test_lines_begin_with_a_whole_one_if_there_is_one(data: bytes, lines: str) -> None:
    tail = Tail(14)
    tail.write(data)
    assert tail.lines() == lines


@pytest.mark.parametrize(
    ("data", "before"), [(b"a\nMARK\n", b"a\n"), (b"MARK", b""), (b"a\n", b"a\n"), (b"MARKaMARK", b"MARKa")]
)
def test_what_stands_before_a_mark(data: bytes, before: bytes) -> None:
    tail = Tail(10)
    tail.write(data)
    assert (tail.before("MARK").bytes(), tail.bytes()) == (before, data)
