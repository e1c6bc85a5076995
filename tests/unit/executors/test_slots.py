"""In which greenlets calls are made, and what one call can do to the next."""

from __future__ import annotations

import contextvars
import weakref

import gevent
import gevent.local
import pytest
from gevent.event import Event

from solar_orch.executors.slots import Call, Slots

VARIABLE = contextvars.ContextVar("VARIABLE", default="unset")
LOCAL = gevent.local.local()


@pytest.fixture
def made(bench):
    """Makes calls of functions, one after the other within a turn; notes their greenlets."""
    worker = bench.worker()
    executor = bench.serve(worker)
    greenlets = []

    def note(ctxt, name):
        # A reference that holds it would keep it from making another call.
        greenlets.append(weakref.ref(gevent.getcurrent()))
        return functions[name]()

    functions = {}
    worker.note.function = note

    def make(*given, pool_size=100):
        executor._slots.size = pool_size
        for number, function in enumerate(given):
            functions[number] = function
            executor.accept("note", {"task_id": f"p~{number}"}, [number], {})
        return executor, greenlets

    return make


def number_of(greenlets):
    # Those that have ended cannot be compared any more, what referred to them can.
    return len({id(reference) for reference in greenlets})


def nothing():
    pass


def test_calls_one_after_the_other_share_a_greenlet(made, until):
    def wait():
        gevent.sleep(0.001)

    executor, greenlets = made(*[nothing, wait] * 10, pool_size=1)
    until(lambda: len(greenlets) == 20 and not executor._calls)
    assert number_of(greenlets) == 1
    made(nothing, wait, pool_size=1)
    until(lambda: len(greenlets) == 22)
    assert number_of(greenlets) == 1


def test_a_greenlet_that_nobody_needs_any_more_ends(made, until):
    executor, greenlets = made(nothing)
    until(lambda: greenlets and not executor._calls)
    idle = greenlets[0]()
    assert not idle.dead
    executor.stop(0)
    until(lambda: idle.dead)


def test_a_call_that_waits_holds_up_no_other_for_which_there_is_a_slot(made, until):
    go_on = Event()
    executor, greenlets = made(go_on.wait, nothing, go_on.wait, nothing, nothing)
    gevent.sleep(0)
    gevent.sleep(0)
    assert len(greenlets) == 5
    go_on.set()
    until(lambda: not executor._calls)


def test_a_call_that_comes_while_all_others_wait_begins_at_once(made, until):
    go_on = Event()
    executor, greenlets = made(go_on.wait, go_on.wait)
    until(lambda: len(greenlets) == 2)
    made(nothing)
    gevent.sleep(0)
    gevent.sleep(0)
    assert len(greenlets) == 3
    go_on.set()
    until(lambda: not executor._calls)


def test_the_last_slot_is_used_and_no_more(made, until):
    go_on = Event()
    executor, greenlets = made(*[go_on.wait] * 7, pool_size=3)
    until(lambda: len(executor._calls) == 3)
    gevent.sleep(0)
    gevent.sleep(0)
    assert len(greenlets) == 3
    go_on.set()
    until(lambda: len(greenlets) == 7)
    until(lambda: not executor._calls)


def test_many_calls_in_a_row_let_others_run(made, until):
    _, greenlets = made(*[nothing] * 1000, pool_size=1)
    numbers = []
    while len(greenlets) < 1000:
        gevent.sleep(0)
        numbers.append(len(greenlets))
    assert len([number for number in numbers if number < 1000]) >= 5
    assert number_of(greenlets) == 1


def test_a_kill_means_the_call_that_is_being_made(made, until):
    go_on = Event()
    executor, greenlets = made(nothing, go_on.wait, pool_size=1)
    until(lambda: len(greenlets) == 2)
    assert greenlets[0] is greenlets[1]
    assert not executor.kill("p~0")
    assert executor.kill("p~1")
    until(lambda: not executor._calls)
    assert not go_on.is_set()


def leave_timer():
    gevent.Timeout(0.02).start()


def leave_kill():
    gevent.getcurrent().kill(block=False)


def leave_link():
    gevent.getcurrent().link(lambda greenlet: None)


def leave_local():
    LOCAL.value = "left"


def leave_wakeup():
    gevent.get_hub().loop.run_callback(gevent.getcurrent().switch)


@pytest.mark.parametrize("leave", [leave_timer, leave_kill, leave_link, leave_local, leave_wakeup])
def test_what_a_call_leaves_on_its_greenlet_does_not_reach_the_next(made, until, leave):
    ended = []

    def wait_a_while():
        gevent.sleep(0.05)  # longer than the timer that may have been left
        ended.append(getattr(LOCAL, "value", None))

    executor, greenlets = made(leave, wait_a_while, pool_size=1)
    until(lambda: len(greenlets) == 2 and not executor._calls)
    assert greenlets[0] is not greenlets[1]
    assert ended == [None]
    assert executor.worker.outcomes.errors == [None, None]


def test_a_greenlet_that_is_killed_makes_no_other_call(made, until):
    go_on = Event()
    _, greenlets = made(go_on.wait, nothing, nothing, pool_size=1)
    until(lambda: greenlets)
    killed = greenlets[0]()
    # Returns when the greenlet has ended.
    killed.kill(timeout=10)
    assert killed.dead
    until(lambda: len(greenlets) == 3)
    assert greenlets[0] not in greenlets[1:]


def test_a_variable_of_a_context_is_not_seen_by_the_next_call(made, until):
    seen = []

    def change():
        seen.append(VARIABLE.get())
        VARIABLE.set("changed")

    _, greenlets = made(change, change, pool_size=1)
    until(lambda: len(seen) == 2)
    assert greenlets[0] is greenlets[1]
    assert seen == ["unset", "unset"]


def test_calls_that_break_off_leave_their_slots(until):
    ended = []

    def fail(call):
        raise ZeroDivisionError

    slots = Slots(fail, 1, lambda: ended.append(len(slots.running)))
    hub = gevent.get_hub()
    handle_error, hub.handle_error = hub.handle_error, lambda *args: None
    try:
        for _ in range(3):
            slots.take(Call("note", {}, [], {}))
        until(lambda: len(ended) == 3)
    finally:
        hub.handle_error = handle_error
    assert ended == [0, 0, 0]
    assert len(slots) == 0
