"""Whatever a value holds, in a command it stays one word or a part of one: asked of the shell itself."""

from __future__ import annotations

import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from solar_orch.plan.shell import Unquotable, quoted

_HOSTILE = st.sampled_from(
    [
        "",
        "a",
        "a b",
        "'",
        '"',
        "\\",
        "\\'",
        "$(echo pwned)",
        "`echo pwned`",
        "$HOME",
        "*",
        "~",
        "#",
        ";",
        "&",
        "\n",
    ]
)
_VALUES = st.lists(_HOSTILE, max_size=4).map("".join)
#: Before and behind a value, and what the shell makes of what stands around it.
_CONTEXTS = st.sampled_from(
    [
        ("", "", "", ""),
        ("x", "y", "x", "y"),
        ("'", "'", "", ""),
        ('"', '"', "", ""),
        ('"<', '>"', "<", ">"),
        ("'it'\\''s ", "'", "it's ", ""),
        ('"a\\"', '"', 'a"', ""),
        ("\"$(printf '%s' in)", '"', "in", ""),
    ]
)


def printed(command: str) -> str:
    done = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, check=True)
    return done.stdout


@settings(max_examples=60, deadline=None)
@given(_VALUES, _CONTEXTS)
def test_a_value_is_itself_wherever_it_may_stand(value: str, context: tuple[str, str, str, str]):
    before, behind, shown_before, shown_behind = context
    start = f"printf '<%s>' {before}"
    try:
        command = f"{start}{quoted(value, start)}{behind}"
    except Unquotable:
        assert "$(" in before
        return
    assert printed(command) == f"<{shown_before}{value}{shown_behind}>"


@pytest.mark.parametrize(
    "before",
    [
        "echo `cat ",
        'echo "`cat ',
        'echo "$(cat ',
        'echo "${X:-',
        "echo ${X:-",
        "echo $((1 + ",
        "((x=",
        "echo $[1 + ",
        "cat <<END\n",
        "echo # ",
        "echo \\",
        'echo "\\',
        "echo $",
        'echo "$',
        "echo \\\\$",
        "echo $'",
        'echo "$(cat <<EOF\n1) it"s\nEOF\n)" "',
        "echo a\\ #b'c\nx ",
        "echo a\\;#b'c\nx ",
        "echo a\\\n#b'c\nx ",
    ],
)
def test_places_where_nothing_is_safe_are_refused(before: str):
    with pytest.raises(Unquotable, match=r"a value cannot be quoted .*; hand it over by kwargs"):
        quoted("x", before)


@pytest.mark.parametrize(
    "before",
    [
        "echo ",
        "echo a#",
        "echo \\$",
        'echo "\\$',
        "echo '$",
        "echo $(cat ",
        "echo # no\ncat ",
        "X=${Y}; echo ",
    ],
)
def test_places_that_look_like_those_and_are_safe(before: str):
    assert quoted("x", before) == "x"
