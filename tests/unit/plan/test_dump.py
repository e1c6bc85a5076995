"""What is dumped reads well, and is read back as it was."""

from __future__ import annotations

import dataclasses
import string
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from solar_orch.plan import dump as dump_module
from solar_orch.plan import reader
from solar_orch.plan.dump import dump
from solar_orch.plan.model import OnError, OnLost, Plan, Task
from solar_orch.plan.parse import CONTROLS, parse
from solar_orch.plan.templates import KEEP, escaped, fill
from solar_orch.states import State


def test_the_text() -> None:
    plan = Plan(
        "roll-out",
        [
            Task("fetch", "cmd", ["curl -O http://x\ntar xf y\n"], {"cwd": "/tmp"}, target="web1"),
            Task(
                "2",
                "echo",
                ["0755", "no", 1],
                timelimit=30.0,
                retry=2,
                weight=1.5,
                after=["fetch"],
                retry_delay=5.0,
                retry_delay_max=60.5,
                on_lost=OnLost.ERROR,
            ),
            Task("é", "noop", status=State.NOOP, after=["fetch", "2"]),
        ],
        uid="roll-out:1",
    )
    assert dump(plan) == (
        """\
name: roll-out
uid: roll-out:1
tasks:
- uid: fetch
  parameters:
    type: cmd
    args:
    - |
      curl -O http://x
      tar xf y
    kwargs:
      cwd: /tmp
    target: web1
- uid: '2'
  parameters:
    type: echo
    args:
    - '0755'
    - 'no'
    - 1
    timelimit: 30
    retry: 2
    retry_delay: 5
    retry_delay_max: 60.5
    on_lost: error
    weight: 1.5
  after:
  - fetch
- uid: é
  parameters:
    type: noop
    status: NOOP
  after:
  - fetch
  - '2'
"""
    )
    assert parse(dump(plan)) == plan


def test_no_uid_is_no_line() -> None:
    assert dump(Plan("p", [Task("a", "noop")])).startswith("name: p\ntasks:\n")


def test_what_is_as_it_is_by_default_is_no_line() -> None:
    task = Task("a", "noop", retry_delay=0.0, retry_delay_max=None, on_lost=OnLost.RERUN)
    assert dump(Plan("p", [task])) == "name: p\ntasks:\n- uid: a\n  parameters:\n    type: noop\n"


def test_a_maximum_of_no_delay_is_written() -> None:
    plan = Plan("p", [Task("a", "noop", retry_delay_max=0.0)])
    assert "retry_delay_max: 0\n" in dump(plan)
    assert parse(dump(plan)) == plan


def test_every_parameter_is_written() -> None:
    written = {"type", *dump_module._KEYS}
    assert written == {field.name for field in dataclasses.fields(Task)} - {"name", "after"}


def test_what_two_tasks_share_is_written_out_twice() -> None:
    shared = ["x", {"y": "z"}]
    plan = Plan("p", [Task("a", "cmd", shared), Task("b", "cmd", shared)])
    assert parse(dump(plan)) == plan


def test_a_long_command_stays_on_its_line() -> None:
    command = "echo " + "word " * 1000 + "end"
    assert command in dump(Plan("p", [Task("a", "cmd", [command])]))


def test_a_running_plan_is_dumped_as_it_is_and_taken_back_as_pending() -> None:
    text = dump(Plan("p", [Task("a", "noop", status=State.INPROGRESS)]))
    assert "status: INPROGRESS" in text
    assert parse(text).tasks[0].status is State.PENDING


def test_pieces_make_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = Plan("p", [Task(f"t{i}", "noop") for i in range(10)])
    whole = dump(plan)
    monkeypatch.setattr(dump_module, "_CHUNK", 3)
    pieces = list(dump_module.lines(plan))
    assert len(pieces) == 6
    assert "".join(pieces) == whole


def canonical(text: str) -> str:
    """A template as a plan holds it once the file with it was read."""
    written = fill(text, lambda _: KEEP, last=False)
    assert isinstance(written, str)
    return written


_FIRST = string.ascii_letters + string.digits
_PLAN_NAMES = st.builds(str.__add__, st.sampled_from(_FIRST), st.text(_FIRST + "._-", max_size=99))
_REFERENCES = st.sampled_from(
    ["${env.A}", "$${", "$${a}", "${'$'}${env.B}", "$", "$$", "$(", "$X", "}", "' "]
)
_TRAPS = st.sampled_from(["no", "1e3", "2024-01-01", "12:30", "0755", "1", "~", "<<", "=", "- a", "*a"])
_TEXTS = st.text() | st.text(" \n\t:-#'\"|>é\x85\u2028a", max_size=12) | _TRAPS
#: Templates as a plan holds them: written just so, with what stands for itself escaped.
_TEMPLATES = st.lists(_REFERENCES | _TEXTS.map(escaped), max_size=4).map("".join).map(canonical)
_LABELS = st.text(min_size=1, max_size=30).filter(str.isprintable) | _TRAPS
_NUMBERS = st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
_VALUES = st.recursive(
    st.none() | st.booleans() | _NUMBERS | _TEMPLATES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXTS, inner, max_size=4),
    max_leaves=10,
)
_SECONDS = st.none() | st.integers(1, 10**6) | st.floats(1e-300, 1e300)
_DELAYS = st.integers(0, 10**6) | st.floats(0, 1e300)
_TYPES = st.text(string.ascii_letters + string.digits + "_", min_size=1).filter(
    lambda text: text.isidentifier() and text[0] != "_" and text not in CONTROLS
)


_WORD = string.ascii_letters + string.digits + "_"
_OF_COMMANDS = _TEMPLATES.filter(lambda text: "\0" not in text)


def _conditions(before: list[str]) -> st.SearchStrategy[str]:
    named = [f"${{tasks['{name}'].result}}" for name in before if "'" not in name]
    return st.sampled_from(
        ["true", "not ('$${' == \"it's\")", *(f"{name} > 3 or {name} != 'x'" for name in named)]
    )


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    names = draw(st.lists(_LABELS, unique=True, min_size=1, max_size=6))
    tasks: list[Task] = []
    for name in names:
        earlier = [task.name for task in tasks]
        before = draw(st.lists(st.sampled_from(earlier), unique=True)) if tasks else []
        keys = _TEXTS.filter(lambda key: key not in ("self", "ctxt"))
        kwargs = draw(st.dictionaries(keys, _VALUES, max_size=3))
        delay = draw(_DELAYS)
        tasks.append(
            Task(
                name,
                draw(_TYPES),
                draw(st.lists(_VALUES, max_size=3)),
                kwargs,
                target=draw(st.none() | _LABELS | st.sampled_from(["${x}", "a$${", "${"])),
                timelimit=draw(_SECONDS),
                timeout=draw(_SECONDS),
                retry=draw(st.integers(0, 2**31 - 1)),
                type_limit=draw(st.none() | st.integers(1, 2**31 - 1)),
                resource_type=draw(st.none() | _LABELS),
                weight=draw(st.none() | _NUMBERS.map(lambda n: n if abs(n) <= 2**53 else float(n))),
                status=draw(st.sampled_from(sorted(set(State) - {State.INPROGRESS, State.ERROR_RETRY}))),
                after=before,
                retry_delay=delay,
                retry_delay_max=draw(
                    st.none() | _DELAYS.map(lambda longest, least=delay: max(least, longest))
                ),
                on_lost=draw(st.sampled_from(OnLost)),
                on_error=draw(st.sampled_from(OnError)),
                when=draw(st.none() | _conditions(before)),
            )
        )
    uids = st.none() | _PLAN_NAMES.filter(lambda uid: uid != "last")
    env = st.dictionaries(st.from_regex(r"[A-Za-z_]\w{,9}", fullmatch=True, alphabet=_WORD), _OF_COMMANDS)
    cwd = st.none() | _OF_COMMANDS.filter(bool)
    return Plan(draw(_PLAN_NAMES), tasks, draw(uids), draw(env), draw(cwd))


_LOADERS: list[Any] = [yaml.SafeLoader] + ([yaml.CSafeLoader] if yaml.__with_libyaml__ else [])


@pytest.mark.parametrize("loader", _LOADERS, ids=lambda loader: loader.__name__)
@settings(
    max_examples=250,
    deadline=None,
    suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow],
)
@given(plan=plans())
def test_what_is_dumped_is_read_back(loader: Any, plan: Plan) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reader, "LOADER", loader)
        assert parse(dump(plan)) == plan
