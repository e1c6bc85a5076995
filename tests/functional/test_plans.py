"""Plans run by a real ``solar-worker``: what becomes of their tasks, in which order, and how they end."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator

import psutil
import pytest
from harness import Ended, Site, at_once, gated, marked, open_site, plan, task, wait_until


@pytest.fixture(scope="module")
def shared() -> Iterator[Site]:
    """A site whose worker serves the tests of this module that need no options of their own."""
    with open_site() as site:
        site.worker()
        yield site


@pytest.fixture(scope="module")
def one_slot() -> Iterator[Site]:
    """A site whose tasks worker runs one call at a time."""
    with open_site() as site:
        site.worker(pool_size=1)
        yield site


@pytest.fixture
def up(shared: Site) -> Site:
    """The shared site, without the marks and gates of the test before."""
    for name in ("marks", "gate", "gate2", "left", "right"):
        (shared.root / name).unlink(missing_ok=True)
    return shared


def starts(ended: Ended) -> list[str]:
    """Names of the tasks in the order in which they started."""
    return sorted(ended.tasks, key=lambda name: ended[name]["start_time"])


# -- order ---------------------------------------------------------------------


def test_the_branches_of_a_diamond_run_side_by_side(up: Site) -> None:
    """Left and right each end only when the other has begun."""
    meet = 'touch "$SITE/{}"; ' + gated("{}")
    ended = up.run(
        plan(
            task("top", "cmd", marked(), before=["left", "right"]),
            task("left", "cmd", marked(meet.format("left", "right"))),
            task("right", "cmd", marked(meet.format("right", "left"))),
            task("bottom", "cmd", marked(), after=["left", "right"]),
        )
    )
    assert ended.status == "finished"
    assert set(ended.states.values()) == {"SUCCESS"}
    told = [("+" if mark.begins else "-") + mark.task for mark in up.marks]
    assert told[:2] == ["+top", "-top"]
    assert sorted(told[2:4]) == ["+left", "+right"]
    assert sorted(told[4:6]) == ["-left", "-right"]
    assert told[6:] == ["+bottom", "-bottom"]


def test_before_and_after_mean_the_same_edge(up: Site) -> None:
    ended = up.run(
        plan(
            task("third", "cmd", marked(), after=["second"]),
            task("second", "cmd", marked()),
            task("first", "cmd", marked(), before=["second", "third"]),
        )
    )
    assert set(ended.states.values()) == {"SUCCESS"}
    assert [mark.task for mark in up.marks if mark.begins] == ["first", "second", "third"]
    assert list(ended.tasks) == ["first", "second", "third"]


def test_what_depends_on_a_failure_never_starts_and_nobody_waits_for_it(up: Site) -> None:
    uid = up.create(
        plan(
            task("bad", "error", "out of luck"),
            task("child", "cmd", marked(), after=["bad"]),
            task("grandchild", "cmd", marked(), after=["child", "other"]),
            task("other", "echo", "fine"),
        )
    )
    run = up.orch("run-once", uid, "-w", "50")
    ended = up.look(uid)
    # 3 would say that the wait ran out.
    assert run.returncode == 1, run
    assert ended.status == "failed"
    assert ended.states == {"bad": "ERROR", "other": "SUCCESS", "child": "PENDING", "grandchild": "PENDING"}
    assert ended["bad"]["errmsg"] == "out of luck"
    assert ended.attempts["child"] == 0
    assert up.marks == []


def test_a_task_that_is_done_by_its_plan_is_not_run(up: Site) -> None:
    ended = up.run(
        plan(
            task("done", "cmd", marked(), status="NOOP"),
            task("next", "cmd", marked(), after=["done"]),
        )
    )
    assert ended.status == "finished"
    assert ended.states == {"done": "NOOP", "next": "SUCCESS"}
    assert {mark.task for mark in up.marks} == {"next"}


def test_the_heavier_goes_first(site: Site) -> None:
    weights = {"light": -1, "middle": 2.5, "none": 0, "heavy": 10, "less": 2}
    site.worker(max_inprogress=1)
    ended = site.run(plan(*(task(name, "cmd", marked(), weight=weight) for name, weight in weights.items())))
    expected = ["heavy", "middle", "less", "none", "light"]
    assert starts(ended) == expected
    assert [mark.task for mark in site.marks if mark.begins] == expected
    assert at_once(site.marks) == 1


# -- limits --------------------------------------------------------------------


def test_no_more_than_max_inprogress_run_at_once(site: Site) -> None:
    site.worker(max_inprogress=3)
    ended = site.run(plan(*(task(f"t{n}", "cmd", marked("sleep 0.05")) for n in range(15))))
    assert set(ended.states.values()) == {"SUCCESS"}
    assert len(site.marks) == 30
    assert at_once(site.marks) <= 3


def test_equal_targets_never_overlap_and_others_do(up: Site) -> None:
    uid = up.want(
        plan(
            *(
                task(f"{host}-{n}", "cmd", marked("sleep 0.05"), target=host)
                for host in "ab"
                for n in range(6)
            ),
            task("c-0", "cmd", marked(gated()), target="c"),
            task("c-1", "cmd", marked(), target="c"),
        )
    )
    # While c's first one runs all of the other targets' do.
    for host in "ab":
        for n in range(6):
            up.wait_for_mark(f"{host}-{n}", begins=False)
    assert up.look(uid)["c-1"]["status"] == "PENDING"
    up.open()
    assert set(up.ended(uid).states.values()) == {"SUCCESS"}
    for host in "abc":
        names = [mark.task for mark in up.marks if mark.task.startswith(host)]
        assert at_once(up.marks, names) == 1


def test_target_limit_lets_as_many_run_as_it_says(site: Site) -> None:
    site.worker(target_limit=2)
    uid = site.want(plan(*(task(f"t{n}", "cmd", marked(gated()), target="web") for n in range(4))))
    wait_until(lambda: len(site.marks) == 2)
    site.open()
    assert set(site.ended(uid).states.values()) == {"SUCCESS"}
    assert at_once(site.marks) == 2


def test_type_limit_counts_one_resource_type(up: Site) -> None:
    def film(name: str) -> dict[str, object]:
        return task(name, "cmd", marked("sleep 0.1"), resource_type="film", type_limit=2)

    films = [f"film{n}" for n in range(6)]
    uid = up.want(plan(*map(film, films), *(task(f"free{n}", "cmd", marked(gated())) for n in range(3))))
    for name in films:
        up.wait_for_mark(name, begins=False)
    # None of the three that are no film had to wait for one.
    assert {mark.task for mark in up.marks if mark.begins} == {*films, "free0", "free1", "free2"}
    up.open()
    assert set(up.ended(uid).states.values()) == {"SUCCESS"}
    assert at_once(up.marks, films) <= 2


def test_type_limit_without_a_resource_type_counts_the_type(up: Site) -> None:
    ended = up.run(plan(*(task(f"t{n}", "cmd", marked("sleep 0.05"), type_limit=1) for n in range(5))))
    assert set(ended.states.values()) == {"SUCCESS"}
    assert at_once(up.marks) == 1


# -- attempts --------------------------------------------------------------------


def test_retry_is_the_number_of_further_attempts(up: Site) -> None:
    ended = up.run(
        plan(
            task("bad", "cmd", marked("exit 7"), retry=2),
            task("once", "error", "no"),
            task("after", "noop", after=["bad"]),
        )
    )
    assert ended.states == {"bad": "ERROR", "once": "ERROR", "after": "PENDING"}
    assert ended.attempts == {"bad": 3, "once": 1, "after": 0}
    assert [mark.attempt for mark in up.marks if mark.begins] == [1, 2, 3]


def test_attempts_end_with_the_first_that_succeeds(up: Site) -> None:
    command = 'echo "attempt $SOLAR_ATTEMPT"; [ "$SOLAR_ATTEMPT" = 3 ] || { echo refused >&2; exit 1; }'
    ended = up.run(plan(task("flaky", "cmd", command, retry=5), task("after", "noop", after=["flaky"])))
    assert ended.status == "finished"
    assert ended.attempts == {"flaky": 3, "after": 1}
    # What the earlier attempts have left is gone.
    assert (ended["flaky"]["output"], ended["flaky"]["errmsg"]) == ("attempt 3\n", None)


# -- time limits -----------------------------------------------------------------


@pytest.mark.parametrize(
    "command",
    [
        pytest.param("sleep 600", id="alone"),
        pytest.param("sh -c 'sleep 601 & sleep 602 & wait' & sleep 603 & wait", id="grandchildren"),
        pytest.param("timeout 600 sleep 604 & timeout 600 sleep 605 & wait", id="groups-of-their-own"),
        pytest.param("trap '' TERM; sh -c 'while :; do sleep 0.2; done' & wait; wait", id="deaf-to-SIGTERM"),
    ],
)
def test_a_time_limit_ends_a_command_with_all_that_it_started(up: Site, command: str) -> None:
    ended = up.run(plan(task("long", "cmd", f"echo begun; {command}", timelimit=0.5)))
    assert ended.states == {"long": "ERROR"}
    assert ended["long"]["errmsg"].startswith("ExecutionTimeout")
    assert "0.5 s" in ended["long"]["errmsg"]
    assert ended["long"]["output"] == "begun\n"
    # The state changes after the last of them is dead, so that there is nothing to wait for.
    assert up.commands() == []


def test_a_time_limit_counts_as_a_failed_attempt(up: Site) -> None:
    command = marked('[ "$SOLAR_ATTEMPT" = 2 ] || sleep 600')
    ended = up.run(plan(task("hangs", "cmd", command, timelimit=0.4, retry=1)))
    assert (ended.states, ended.attempts) == ({"hangs": "SUCCESS"}, {"hangs": 2})


def test_a_time_limit_ends_what_is_no_command_too(up: Site) -> None:
    ended = up.run(plan(task("long", "sleep", 600, timelimit=0.3)))
    assert ended.states == {"long": "ERROR"}
    assert ended["long"]["errmsg"].startswith("ExecutionTimeout")


def test_a_time_limit_counts_from_the_start_of_running(one_slot: Site) -> None:
    """The third is received two tasks before it runs, which is longer than its limit."""
    ended = one_slot.run(plan(*(task(f"t{n}", "cmd", marked("sleep 0.6"), timelimit=1.1) for n in range(3))))
    assert set(ended.states.values()) == {"SUCCESS"}
    assert set(ended.attempts.values()) == {1}
    assert at_once(one_slot.marks) == 1


def test_a_timeout_counts_from_the_dispatch(one_slot: Site) -> None:
    uid = one_slot.want(
        plan(
            task("blocks", "cmd", gated(), weight=1),
            task("waits", "cmd", marked(), timeout=0.5),
        )
    )
    wait_until(lambda: one_slot.look(uid)["waits"]["status"] == "ERROR")
    assert one_slot.look(uid)["blocks"]["status"] == "INPROGRESS"
    one_slot.open()
    ended = one_slot.ended(uid)
    assert ended.states == {"blocks": "SUCCESS", "waits": "ERROR"}
    assert re.match(r"ExecutionTimeout: timeout of 0.5 s", ended["waits"]["errmsg"])
    assert "waits" not in {mark.task for mark in one_slot.marks}


def test_a_timeout_ends_what_is_running(up: Site) -> None:
    ended = up.run(plan(task("long", "cmd", "sleep 600 & wait", timeout=0.5)))
    assert ended.states == {"long": "ERROR"}
    assert re.match(r"ExecutionTimeout: timeout of 0.5 s", ended["long"]["errmsg"])
    assert up.others() == []


# -- tasks that cannot be run --------------------------------------------------


def test_an_unknown_type_ends_in_error_at_once(up: Site) -> None:
    ended = up.run(plan(task("odd", "teleport", retry=3), task("after", "noop", after=["odd"])))
    assert ended.states == {"odd": "ERROR", "after": "PENDING"}
    assert ended.attempts["odd"] == 1
    assert ended["odd"]["errmsg"] == (
        "unknown task type 'teleport'; there are: "
        "cmd, echo, error, fault_tolerance, noop, sleep, solar_resource, ssh"
    )


def test_what_else_a_worker_has_is_no_task_type(up: Site) -> None:
    names = ["task_types", "output", "call", "store", "methods", "for_all", "background"]
    ended = up.run(plan(*(task(name, name) for name in names)))
    for name in names:
        assert ended[name]["errmsg"].startswith(f"unknown task type '{name}'")


def test_wrong_arguments_end_in_an_error_that_says_so(up: Site) -> None:
    said = {
        "none": "wrong arguments for task type sleep: missing a required argument: 'seconds'",
        "many": "wrong arguments for task type sleep: too many positional arguments",
        "text": "sleep: seconds must be a number that is not negative, not 'long'",
        "name": "wrong arguments for task type cmd: got an unexpected keyword argument 'shell'",
        "kind": "cmd: command must be a text or a list of texts",
    }
    ended = up.run(
        plan(
            task("none", "sleep", retry=3),
            task("many", "sleep", 1, 2, retry=3),
            task("text", "sleep", "long", retry=3),
            task("name", "cmd", "true", kwargs={"shell": "sh"}, retry=3),
            task("kind", "cmd", {"run": "true"}, retry=3),
        )
    )
    for name, message in said.items():
        assert ended[name]["errmsg"].startswith(message)
    # Another attempt would end alike.
    assert set(ended.states.values()) == {"ERROR"}
    assert set(ended.attempts.values()) == {1}


def test_a_command_that_cannot_be_started_says_why(up: Site) -> None:
    ended = up.run(
        plan(
            task("program", "cmd", ["no-such-program-at-all"]),
            task("directory", "cmd", "true", kwargs={"cwd": "/no/such/place"}),
        )
    )
    assert set(ended.states.values()) == {"ERROR"}
    assert ended["program"]["errmsg"].startswith("cannot run no-such-program-at-all: ")
    assert ended["directory"]["errmsg"].startswith("cannot run a command in /no/such/place: ")


def test_solar_resource_says_what_it_lacks(up: Site) -> None:
    ended = up.run(plan(task("odd", "solar_resource", "node1", "run", retry=2)))
    assert (ended.states, ended.attempts) == ({"odd": "ERROR"}, {"odd": 1})
    assert "needs Solar core" in ended["odd"]["errmsg"]
    assert "install it beside solar_orch" in ended["odd"]["errmsg"]


# -- what tasks give -------------------------------------------------------------


def test_results_and_outputs_can_be_read_afterwards(up: Site) -> None:
    ended = up.run(
        plan(
            task("nothing"),
            task("anything", "noop", 1, "two", kwargs={"three": [3]}),
            task("word", "echo", "hello"),
            task("words", "echo", "hello", 2, None),
            task("named", "echo", 1, kwargs={"colour": "grün"}),
            task("lines", "cmd", "echo to stdout; echo to stderr >&2; echo; echo '  the last  '; echo"),
        )
    )
    assert set(ended.states.values()) == {"SUCCESS"}
    assert ended["nothing"]["output"] is None
    assert ended["word"]["output"] == "hello\n"
    assert ended["words"]["output"] == "hello 2 None\n"
    assert ended["named"]["output"] == "1 colour=grün\n"
    assert set(ended["lines"]["output"].splitlines()) == {"to stdout", "to stderr", "", "  the last  "}
    plan_id = up.store.plans.get("last").id
    results = {row["name"]: row["result"] for row in up.store.plans.tasks(plan_id)}
    assert results == {
        "nothing": None,
        "anything": None,
        "word": "hello",
        "words": ["hello", 2, None],
        "named": {"args": [1], "kwargs": {"colour": "grün"}},
        "lines": "  the last  ",
    }


def test_a_failed_command_tells_its_code_and_the_end_of_stderr(up: Site) -> None:
    ended = up.run(
        plan(
            task("code", "cmd", "echo first; echo the cause >&2; exit 42"),
            task("signal", "cmd", "kill -9 $$"),
        )
    )
    assert "42" in ended["code"]["errmsg"]
    assert "the cause" in ended["code"]["errmsg"]
    # Two pipes: in which order they are read is not promised.
    assert sorted(ended["code"]["output"].splitlines()) == ["first", "the cause"]
    assert "9" in ended["signal"]["errmsg"]


def test_output_is_kept_to_its_limit(site: Site) -> None:
    site.worker(output_limit=2048)
    program = "import sys; sys.stdout.write('begin' + 'x' * 5_000_000 + '\\n' + 'y' * 300 + 'end\\n')"
    uid = site.create(plan(task("talks", "cmd", [sys.executable, "-c", program])))
    ended = site.run(uid)
    assert ended.states == {"talks": "SUCCESS"}
    output = ended["talks"]["output"]
    assert output.startswith("beginxxx")
    assert output.endswith("yyyend\n")
    found = re.search(r"\n\.\.\. (\d+) bytes omitted \.\.\.\n", output)
    assert found is not None
    assert len(output) - len(found[0]) <= 2048
    assert len(output) - len(found[0]) + int(found[1]) == 5_000_310


def test_a_background_child_that_holds_the_output_delays_nothing(up: Site) -> None:
    ended = up.run(
        plan(task("daemon", "cmd", "sleep 600 & echo pid $!"), task("next", "noop", after=["daemon"]))
    )
    assert set(ended.states.values()) == {"SUCCESS"}
    found = re.fullmatch(r"pid (\d+)\n", ended["daemon"]["output"])
    assert found is not None
    [left] = up.others()
    # It ended when its shell did, and the child was let live.
    assert left.pid == int(found[1])
    left.kill()
    psutil.wait_procs([left], timeout=10)


def test_a_command_is_given_stdin_environment_and_directory(up: Site) -> None:
    ended = up.run(
        plan(
            task("stdin", "cmd", "wc -c; cat", kwargs={"stdin": "grün\n"}),
            task("no-stdin", "cmd", "cat; echo over"),
            task("env", "cmd", 'echo "$COLOUR $SITE"', kwargs={"env": {"COLOUR": "red blue"}}),
            task("cwd", "cmd", "pwd", kwargs={"cwd": "/usr"}),
            task("list", "cmd", ["printf", "%s|", "a b", "$HOME", 3]),
            task("own", "cmd", 'echo "$SOLAR_PLAN_UID $SOLAR_TASK_NAME $SOLAR_ATTEMPT"'),
        )
    )
    outputs = {name: told["output"] for name, told in ended.tasks.items()}
    assert outputs == {
        "stdin": "6\n",  # which wc has read to its end
        "no-stdin": "over\n",
        "env": f"red blue {up.root}\n",
        "cwd": "/usr\n",
        "list": "a b|$HOME|3|",
        "own": f"{ended.report['uid']} own 1\n",
    }


def test_a_command_leads_a_group_and_a_session_of_its_own(up: Site) -> None:
    ended = up.run(
        plan(
            task(
                "who",
                "cmd",
                [sys.executable, "-c", "import os; print(os.getpid(), os.getpgrp(), os.getsid(0))"],
            )
        )
    )
    pid, group, session = ended["who"]["output"].split()
    assert pid == group == session


# -- size ------------------------------------------------------------------------


def test_a_plan_of_many_tasks_ends(up: Site) -> None:
    """Ten layers of twenty, each task of a layer after all of the one before."""
    layers = [[f"l{layer}t{n}" for n in range(20)] for layer in range(10)]
    tasks = [task(name) for name in layers[0]]
    for above, names in zip(layers, layers[1:], strict=False):
        tasks += [task(name, after=above) for name in names]
    ended = up.run(plan(*tasks))
    assert ended.status == "finished"
    assert set(ended.attempts.values()) == {1}
    for above, names in zip(layers, layers[1:], strict=False):
        assert max(ended[name]["end_time"] for name in above) <= min(
            ended[name]["start_time"] for name in names
        )
