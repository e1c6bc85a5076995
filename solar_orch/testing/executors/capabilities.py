"""What an executor promises beyond the contract: proven if it does, skipped if not."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import gevent

from solar_orch.executors.base import CAPABILITIES
from solar_orch.testing.bench import Bench, journal_of, notes_of
from solar_orch.testing.executors.base import ExecutorKit, declares, require

#: Ways to say that what follows is a path.
_PATHS = ("ipc", "unix", "file", "")


class Capabilities(ExecutorKit):
    """One group of tests for each of :data:`solar_orch.executors.base.CAPABILITIES`."""

    def test_what_it_declares_is_known(self, bench: Bench) -> None:
        assert getattr(bench.part.obj, "capabilities", frozenset()) <= CAPABILITIES.keys()

    # -- ordered -----------------------------------------------------------------

    def test_ordered_calls_of_one_client_begin_in_their_order(self, bench: Bench) -> None:
        require(bench.part, "ordered")
        worker = bench.worker(pool_size=7)
        bench.serve(worker)
        client = bench.client()
        for number in range(1000):
            client.note({}, number)
            if number % 100 == 0:
                gevent.sleep(0.002)
        bench.until(lambda: len(worker.seen) == 1000, "1000 calls arrive")
        assert [args[0] for args, _ in worker.seen] == list(range(1000))

    # -- processes ---------------------------------------------------------------

    def test_processes_calls_of_another_process_arrive(self, bench: Bench) -> None:
        require(bench.part, "processes")
        worker = bench.worker()
        bench.serve(worker)
        assert bench.other_sender(20) == 0
        bench.until(lambda: len(worker.seen) == 20, "20 calls of another process arrive")
        assert sorted(args[0] for args, _ in worker.seen) == list(range(20))

    def test_processes_a_worker_that_was_killed_has_a_successor(self, bench: Bench, tmp_path: Path) -> None:
        require(bench.part, "processes")
        client = bench.client()
        for journal in (tmp_path / "first", tmp_path / "second"):
            process = bench.other_worker(journal)

            def arrives(journal: Path = journal) -> bool:
                # One may go the way of the old connection: messages are hints.
                client.note({}, journal.name)
                gevent.sleep(0.01)
                return journal.name in notes_of(journal)

            bench.until(arrives, "calls arrive in another process")
            process.kill()  # leaves everything as it lies
            process.wait()

    # -- hosts -------------------------------------------------------------------

    def test_hosts_an_address_is_not_a_place_in_the_file_system(self, bench: Bench) -> None:
        require(bench.part, "hosts")
        parts = urlsplit(bench.address)
        assert parts.scheme not in _PATHS and parts.hostname, (
            f"{bench.address} must name a host, to be reached from another one"
        )
        assert not Path(bench.address).exists()
        assert not Path(parts.path or "nowhere").is_socket()

    def test_hosts_calls_arrive_from_other_surroundings(self, bench: Bench, tmp_path: Path) -> None:
        require(bench.part, "hosts")
        worker = bench.worker()
        bench.serve(worker)
        away = tmp_path / "away"
        away.mkdir()
        variables = ("HOME", "TMPDIR", "XDG_RUNTIME_DIR", "XDG_STATE_HOME", "XDG_CONFIG_HOME")
        elsewhere = dict.fromkeys(variables, str(away))
        assert bench.other_sender(5, env=elsewhere, cwd=away) == 0
        bench.until(lambda: len(worker.seen) == 5, "calls arrive from where nothing of this host is known")

    # -- queued ------------------------------------------------------------------

    def test_queued_calls_wait_for_the_first_worker(self, bench: Bench) -> None:
        require(bench.part, "queued")
        client = bench.client(send_timeout=1.0)
        for number in range(10):
            bench.within(client.note, {}, number, expected="a call that is kept returns")
        lost = bench.within(client.close, self.deadline, expected="close() returns")
        assert lost == 0, "what is kept is not lost"
        worker = bench.worker()
        bench.serve(worker)
        bench.until(lambda: len(worker.seen) >= 10, "calls that were kept are made when a worker comes")
        assert sorted(args[0] for args, _ in worker.seen) == list(range(10))

    def test_queued_calls_outlive_a_worker_that_is_killed(self, bench: Bench, tmp_path: Path) -> None:
        require(bench.part, "queued")
        client = bench.client(send_timeout=1.0)
        if declares(bench.part, "processes"):
            process = bench.other_worker(tmp_path / "journal")
            process.kill()
            process.wait()
        else:
            run = bench.serve(bench.worker())
            bench.within(run.executor.stop, 0, expected="stop(0) returns")
        for number in range(10):
            bench.within(client.note, {}, number, expected="a call that is kept returns")
        worker = bench.worker()
        bench.serve(worker)
        bench.until(
            lambda: len(worker.seen) >= 10, "calls made while no worker was there are made by the next"
        )
        assert sorted(args[0] for args, _ in worker.seen) == list(range(10))
        assert not [line for line in journal_of(tmp_path / "journal") if "note" in line]

    def test_queued_calls_that_were_kept_are_made_by_the_next(self, bench: Bench) -> None:
        require(bench.part, "queued")
        first, second = bench.worker(), bench.worker()
        run = bench.serve(first)
        bench.within(run.executor.stop, 1, expected="stop() returns", seconds=1.0)
        client = bench.client()
        client.note({}, "between")
        bench.serve(second)
        bench.until(lambda: second.seen, "a call made between two workers is made by the second")
        assert (first.seen, second.seen) == ([], [(("between",), {})])

    # -- shared ------------------------------------------------------------------

    def test_shared_each_call_reaches_one_of_the_workers(self, bench: Bench) -> None:
        require(bench.part, "shared")
        # With one slot each, neither can have all.
        workers = [bench.worker(pool_size=1), bench.worker(pool_size=1)]
        runs = [bench.start(bench.executor(worker)) for worker in workers]
        client = bench.client()
        count = 0

        def both_have_some() -> bool:
            nonlocal count
            client.note({}, count)
            count += 1
            gevent.sleep(0.002)
            return all(worker.seen for worker in workers)

        bench.until(both_have_some, "two workers at one address both get calls")
        assert not any(run.is_over for run in runs), "neither is in the way of the other"
        bench.until(lambda: sum(len(worker.seen) for worker in workers) >= count, "all calls are made")
        gevent.sleep(0.05)
        made = [args[0] for worker in workers for args, _ in worker.seen]
        assert sorted(made) == list(range(count)), "each call reaches one worker, and no other"

    def test_shared_a_worker_that_stops_leaves_the_rest_to_the_other(self, bench: Bench) -> None:
        require(bench.part, "shared")
        first, second = bench.worker(), bench.worker()
        run = bench.serve(first)
        bench.serve(second)
        bench.within(run.executor.stop, 1, expected="stop() returns", seconds=1.0)
        client = bench.client()
        for number in range(10):
            client.note({}, number)
        bench.until(lambda: len(second.seen) == 10, "all calls reach the worker that is left")
        assert first.seen == []
