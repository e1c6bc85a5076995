"""``solar-orch plugins list`` and ``show``: what is installed, with distributions that really are."""

from __future__ import annotations

import json
from typing import Any

import pytest
from distributions import environment, write
from harness import Site

from solar_orch.contracts import versions

PREFIX = "solar.orchestration."

TRAP = "raise SystemExit('imported')\n"

FETCH = '''\
"""What fetches."""
from oslo_config import cfg

solar_orch_api = "1"


def fetch(ctxt, url, *, method: str = "GET", **headers):
    """Fetch what is at a URL.

    The task fails where nothing is there.
    """


def list_opts():
    return [("fetching", [
        cfg.IntOpt("limit", default=10, min=1, help="Bytes\\n that are fetched."),
        cfg.ListOpt("hosts", default=["a", "b"]),
        cfg.StrOpt("token", default="sesame", secret=True, help="Who asks."),
        cfg.StrOpt("header", default="Bearer $token"),
    ])]
'''

POST = '''\
"""Carries calls by post."""
capabilities = {"queued", "hosts"}

class Executor:
    def __init__(self, worker, address): ...

def Client(address): ...
'''


@pytest.fixture
def installed(site: Site) -> Site:
    """A site with parts of others: two that are fine, and one that must not be imported."""
    home = site.root / "home"
    write(
        home,
        "fetching",
        {f"{PREFIX}task_types": {"fetch": "fetching:fetch"}},
        {"fetching": FETCH},
        version="2.1",
    )
    write(home, "post-office", {f"{PREFIX}executors": {"post": "post_office"}}, {"post_office": POST})
    points = {
        f"{PREFIX}runners": {"gevent": "trap:run", "trap": "trap:run"},
        f"{PREFIX}runner": {"trap": "trap:run"},
        f"{PREFIX}drivers.pinger": {"solar": "trap:Pinger"},
        f"{PREFIX}extensions": {"printer": "trap:printer"},
    }
    write(home, "traps", points, {"trap": TRAP})
    site.env = environment(home, base=site.env)
    return site


def answer(site: Site, *args: str, code: int = 0) -> list[dict[str, Any]]:
    done = site.orch("plugins", *args, "--format", "json")
    assert (done.returncode, done.stderr) == (code, "")
    return json.loads(done.stdout)  # type: ignore[no-any-return]


def refused(site: Site, *args: str) -> str:
    done = site.orch("plugins", *args)
    assert (done.returncode, done.stdout) == (2, "")
    return done.stderr


# -- list ----------------------------------------------------------------------------------


def test_all_that_is_registered_is_listed_with_what_selects_it(installed: Site):
    installed.set(executor="post", limits="fair,slow")
    listed = {
        (each["namespace"].removeprefix(PREFIX), each["name"], each["package"]): each
        for each in answer(installed, "list")
    }
    assert listed["executors", "post", "post-office"] == {
        "namespace": f"{PREFIX}executors",
        "name": "post",
        "package": "post-office",
        "version": "1.0",
        "target": "post_office",
        "selected": True,
        "option": "executor",
        "read": True,
        "duplicated": False,
    }
    assert not listed["executors", "zerorpc", "solar-orch"]["selected"]
    fetch = listed["task_types", "fetch", "fetching"]
    assert (fetch["selected"], fetch["option"], fetch["version"]) == (True, None, "2.1")
    for package in ("solar-orch", "traps"):
        assert listed["runners", "gevent", package]["duplicated"]
    for nobody in (("runner", "trap", "traps"), ("drivers.pinger", "solar", "traps")):
        assert (listed[nobody]["read"], listed[nobody]["selected"]) == (False, False)


def test_the_list_for_people_has_empty_namespaces_and_those_of_other_workers(installed: Site):
    installed.set(limits="fair,slow")
    lines = installed.orch("plugins", "list").stdout.splitlines()
    for line in (
        "solar.orchestration.limits (option limits: fair, slow)",
        "solar.orchestration.drivers.printer (option printer_driver: solar)",
        "solar.orchestration.hooks.printer.construct (nothing is registered)",
        "solar.orchestration.drivers.pinger (no host reads it)",
        "solar.orchestration.runner (no host reads it)",
        "  * fetch       fetching 2.1      fetching:fetch",
        "    post        post-office 1.0   post_office",
        "  * gevent      traps 1.0         trap:run  (registered more than once)",
    ):
        assert line in lines, "\n".join(lines)


def test_one_namespace_is_listed_by_its_name_with_or_without_the_prefix(installed: Site):
    for name in ("executors", f"{PREFIX}executors"):
        listed = answer(installed, "list", "--namespace", name)
        assert [each["name"] for each in listed] == ["inline", "post", "zerorpc"]
    assert answer(installed, "list", "--namespace", "limits") == []
    assert refused(installed, "list", "--namespace", "executer") == (
        "solar-orch: error: there is no namespace executer; did you mean executors?\n"
    )
    assert "(there are: constructors, drivers.pinger, " in refused(installed, "list", "--namespace", "q")


# -- show ----------------------------------------------------------------------------------


def test_a_task_type_is_shown_as_a_plan_gives_it_with_its_options(installed: Site):
    installed.env |= {"OS_FETCHING__LIMIT": "20", "OS_FETCHING__TOKEN": "hunter2"}
    [shown] = answer(installed, "show", "task_types", "fetch")
    path = str(installed.root / "home" / "fetching.py")
    assert (shown["package"], shown["version"], shown["target"]) == ("fetching", "2.1", "fetching:fetch")
    assert (shown["file"], shown["line"], shown["api"]) == (path, 7, versions.API)
    assert shown["doc"] == "Fetch what is at a URL.\n\nThe task fails where nothing is there."
    assert shown["usage"] == "fetch(url, *, method='GET', **headers)"
    assert shown["contract"]["usage"] == "task_type(ctxt, *args, **kwargs)"
    assert shown["contract"]["described_by"] == "solar_orch.contracts.parts.TaskType"
    assert shown["findings"] == []
    assert [(each["name"], each["type"], each["default"], each["value"]) for each in shown["options"]] == [
        ("limit", "integer", "10", "20"),
        ("hosts", "list", "a,b", "a,b"),
        ("token", "string", "(secret)", "(secret)"),
        ("header", "string", "Bearer $token", "(secret)"),
    ]
    text = installed.orch("plugins", "show", "task_types", "fetch").stdout
    assert "hunter2" not in text
    assert "sesame" not in text
    lines = text.splitlines()
    for line in (
        "  package    fetching 2.1",
        f"  file       {path}:7",
        "  loaded     always",
        "  contract   task_type(ctxt, *args, **kwargs)",
        "  made for   version 1 of the contracts",
        "  in a plan  fetch(url, *, method='GET', **headers)",
        "  verdict    keeps its contract",
        "  Fetch what is at a URL.",
        "[fetching] limit   integer  10             20        Bytes that are fetched.",
    ):
        assert line in lines, text


def test_of_an_executor_it_is_shown_what_it_promises(installed: Site):
    [shown] = answer(installed, "show", f"{PREFIX}executors", "post")
    assert (shown["capabilities"], shown["selected"]) == (["hosts", "queued"], False)
    assert (shown["file"], shown["line"]) == (str(installed.root / "home" / "post_office.py"), None)
    assert shown["doc"] == "Carries calls by post."


def test_a_part_that_cannot_be_imported_is_shown_with_what_is_wrong(installed: Site):
    [shown] = answer(installed, "show", "runners", "trap", code=1)
    [finding] = shown["findings"]
    assert (finding["kind"], finding["problem"]) == ("import", "it cannot be imported: SystemExit: imported")
    assert shown["doc"] is None
    done = installed.orch("plugins", "show", "runners", "trap")
    assert done.returncode == 1
    assert f"             {installed.root / 'home' / 'trap.py'}:1" in done.stdout.splitlines()
    assert "keeps its contract" not in done.stdout


def test_both_parts_of_one_name_are_shown(installed: Site):
    shown = answer(installed, "show", "runners", "gevent", code=1)
    assert [each["package"] for each in shown] == ["solar-orch", "traps"]
    assert [[finding["kind"] for finding in each["findings"]] for each in shown] == [
        ["duplicate"],
        ["duplicate", "import"],
    ]
    assert shown[0]["doc"]


def test_a_type_that_the_driver_has_already_is_shown_to_be_wrong(installed: Site):
    write(installed.root / "home", "commands", {f"{PREFIX}task_types": {"cmd": "fetching:fetch"}}, {})
    [shown] = answer(installed, "show", "task_types", "cmd", code=1)
    assert [finding["kind"] for finding in shown["findings"]] == ["task-type"]


def test_who_asks_for_what_is_not_there_is_told_what_may_be_meant(installed: Site):
    assert refused(installed, "show", "executor", "post") == (
        "solar-orch: error: there is no namespace executor; did you mean executors?\n"
    )
    assert refused(installed, "show", "executors", "poste") == (
        "solar-orch: error: there is no name poste in solar.orchestration.executors; did you mean post?\n"
    )
    assert refused(installed, "show", "executors", "q") == (
        "solar-orch: error: there is no name q in solar.orchestration.executors"
        " (there are: inline, post, zerorpc)\n"
    )


# -- completion -----------------------------------------------------------------------------


def test_namespaces_and_names_are_completed(installed: Site):
    def completions(*words: str) -> list[str]:
        installed.env |= {
            "_SOLAR_ORCH_COMPLETE": "bash_complete",
            "COMP_WORDS": " ".join(["solar-orch", "plugins", *words]),
            "COMP_CWORD": str(len(words) + 1),
        }
        done = installed.orch()
        assert (done.returncode, done.stderr) == (0, "")
        return [line.removeprefix("plain,") for line in done.stdout.split()]

    assert completions("show", "ex") == ["executors", "extensions", "extensions_clients"]
    assert completions("show", f"{PREFIX}run") == [f"{PREFIX}runner", f"{PREFIX}runners"]
    assert completions("list", "--namespace", "hooks.p") == ["hooks.printer.construct"]
    assert completions("show", "executors", "") == ["inline", "post", "zerorpc"]
    assert completions("show", f"{PREFIX}task_types", "f") == ["fetch"]
    assert completions("show", "nowhere", "") == []
