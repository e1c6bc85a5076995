"""What is remembered, by a process and by the next."""

from __future__ import annotations

from pathlib import Path

from solar_webhook.memory import Memory, Seat


def test_what_is_remembered_is_there_for_the_next_process(tmp_path: Path):
    path = tmp_path / "state" / "webhook.db"
    memory = Memory(path)
    assert memory.cursor() is None
    memory.watch(["b", "a"], 7)
    memory.watch(["a", "c"], 9)
    memory.settle("b", "plan_1_8", b"body")
    memory.settle("a")
    memory.close()
    assert path.stat().st_mode & 0o777 == 0o600

    memory = Memory(path)
    assert (memory.cursor(), memory.watched(), memory.queued()) == (9, ["c"], 1)
    letter = memory.due()
    assert letter is not None
    assert (letter.id, letter.body, letter.tries) == ("plan_1_8", b"body", 0)
    memory.told(letter)
    assert (memory.queued(), memory.due()) == (0, None)
    memory.close()


def test_what_is_postponed_lets_others_go_first(tmp_path: Path):
    memory = Memory(tmp_path / "webhook.db")
    for name in ("a", "b"):
        memory.settle(name, name, b"")
    first = memory.due()
    assert first is not None
    memory.postpone(first, 1000)
    second = memory.due()
    assert second is not None
    assert {first.id, second.id} == {"a", "b"}
    memory.postpone(second, 0)
    again = memory.due()
    assert again is not None
    assert (again.id, again.tries) == (second.id, 1)
    memory.close()


def test_the_same_end_is_queued_once(tmp_path: Path):
    memory = Memory(tmp_path / "webhook.db")
    memory.settle("a", "plan_1_8", b"first")
    memory.settle("a", "plan_1_8", b"second")
    letter = memory.due()
    assert letter is not None
    assert (memory.queued(), letter.body) == (1, b"first")
    memory.close()


def test_one_at_a_time_has_the_seat(tmp_path: Path):
    first, second = Seat(tmp_path / "lock"), Seat(tmp_path / "lock")
    assert (first.take(), second.take()) == (True, False)
    first.close()
    assert second.take()
    second.close()
