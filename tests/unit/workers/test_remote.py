"""The script that runs a command on another host, on this one: what ssh does in between is left out."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from harness import PATIENCE, wait_until
from hypothesis import given, settings
from hypothesis import strategies as st

from solar_orch.workers import remote, session

TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=30)


class Begun:
    """A script that runs, as a login shell would run it, until its stdin ends."""

    def __init__(self, sent: bytes, stdin: bytes = b"") -> None:
        self._popen = subprocess.Popen(
            ["/bin/sh", "-c", remote.invocation(sent)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        assert self._popen.stdin is not None
        self._popen.stdin.write(sent + stdin)
        self._popen.stdin.flush()
        self.session = self._popen.pid

    def ended(self, cut: bool = False) -> tuple[int, bytes, bytes]:
        """Exit code, stdout and stderr; its stdin stays open until then unless it is to be cut."""
        if not cut:
            self._popen.wait(PATIENCE)
        out, err = self._popen.communicate(timeout=PATIENCE)
        return self._popen.returncode, out, err


def run(
    command: str | Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    cwd: str | None = None,
    stdin: bytes | None = None,
) -> tuple[int, bytes, bytes]:
    size = None if stdin is None else len(stdin)
    return Begun(remote.script(command, env=env or {}, cwd=cwd, stdin_size=size), stdin or b"").ended()


@settings(max_examples=25, deadline=None)
@given(st.lists(TEXTS, max_size=4), TEXTS)
def test_words_and_variables_arrive_as_they_are(words: list[str], value: str) -> None:
    command = ["/bin/sh", "-c", 'printf "%s\\0" "$A" "$@"', "sh", *words]
    expected = "".join(f"{text}\0" for text in [value, *words]).encode()
    assert run(command, env={"A": value}) == (0, expected, b"")


def test_a_text_is_a_shell_s(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "-d").mkdir()
    monkeypatch.chdir(tmp_path)
    text = "pwd\ncat <<E\n$A $#\nE\nread x || echo nothing\n[ $$ != $PPID ] && sh -c 'exit 3'"
    assert run(text, env={"A": "it's"}, cwd="-d") == (3, f"{tmp_path}/-d\nit's 0\nnothing\n".encode(), b"")


@pytest.mark.parametrize("size", [0, 1, 300_000])
def test_it_reads_its_stdin_to_the_end(size: int) -> None:
    assert run("cat | wc -c; cat | wc -c", stdin=b"\n" * size) == (0, b"%d\n0\n" % size, b"")


def test_exit_codes_and_signals() -> None:
    assert run("exit 7") == (7, b"", b"")
    assert run("kill -KILL $$") == (137, b"", b"")
    assert run("exit 255") == (255, b"", remote.ENDED_WITH_255.encode() + b"\n")
    code, _, said = run("true", cwd="/nowhere")
    assert code not in (0, 255)
    assert b"/nowhere" in said


def test_its_own_path_is_not_that_of_the_command() -> None:
    assert run(["/bin/echo", "a"], env={"PATH": "/nowhere"}) == (0, b"a\n", b"")


def test_the_end_of_stdin_ends_all_of_its_session() -> None:
    command = "trap '' TERM; timeout 1000 sleep 1000 & sleep 1000 & echo begun; sleep 1000; sleep 1000"
    begun = Begun(remote.script(command, env={}))
    wait_until(lambda: len(session.members(begun.session)) >= 7, "the command and its children")
    assert begun.ended(cut=True) == (137, b"begun\n", b"")
    assert session.members(begun.session) == []


def test_one_that_goes_when_asked_may_clean_up() -> None:
    command = "trap 'echo cleaned; exit 5' TERM; echo begun; while :; do sleep 0.05; done"
    begun = Begun(remote.script(command, env={}))
    wait_until(lambda: len(session.members(begun.session)) >= 4, "the command")
    assert begun.ended(cut=True)[:2] == (5, b"begun\ncleaned\n")


def test_what_is_cut_off_on_the_way_does_nothing(tmp_path: Path) -> None:
    whole = remote.script(f"touch {tmp_path}/done", env={})
    for size in range(0, len(whole) - 2, 97):
        found = subprocess.run(
            ["/bin/sh", "-c", remote.invocation(whole)],
            input=whole[:size],
            capture_output=True,
            timeout=PATIENCE,
            check=False,
        )
        assert found.stdout == b""
    assert list(tmp_path.iterdir()) == []
