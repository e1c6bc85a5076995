"""The parts of this package keep their contracts, and do what they are for."""

import logging
import socket

from solar_how_tos import retention

from solar_orch import Orchestrator
from solar_orch.testing import HookConformance, WorkerConformance, task


class TestMetered(WorkerConformance):
    worker = "scheduler"
    name = "metered"


class TestSyslogged(WorkerConformance):
    worker = "system_log"
    name = "syslog"


class TestAnnounce(HookConformance):
    worker = "scheduler"
    name = "announce"


class TestRetention(HookConformance):
    worker = "system_log"
    name = "retention"
    options = {"retention": {"days": 30}}


def test_the_metrics_count_the_ends_of_tasks(solar, tmp_path):
    path = tmp_path / "solar.prom"
    solar.options(scheduler_driver="metered")
    solar.options("metrics", path=str(path))
    ended = solar.run(task("good", "noop"), task("bad", "error"))
    assert ended.status == "failed"
    solar.stop()
    assert path.read_text().splitlines() == [
        "# TYPE solar_tasks_ended_total counter",
        'solar_tasks_ended_total{state="ERROR"} 1',
        'solar_tasks_ended_total{state="SUCCESS"} 1',
    ]


def test_syslog_gets_a_line_for_each_outcome(solar, tmp_path):
    address = str(tmp_path / "log")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log:
        log.bind(address)
        log.settimeout(10)
        solar.options(system_log_driver="syslog")
        solar.options("syslog", address=address)
        solar.run(task("good", "noop"), task("bad", "error", after=["good"]))
        solar.stop()
        lines = [log.recv(4096).decode().rstrip("\0") for _ in range(2)]
    assert [line.rpartition("~")[2] for line in lines] == [
        "good succeeded in attempt 1",
        "bad failed in attempt 1",
    ]
    assert all("solar: " in line for line in lines)


def test_a_syslog_that_is_not_there_holds_nothing_up(solar, tmp_path, caplog):
    solar.options(system_log_driver="syslog")
    solar.options("syslog", address=str(tmp_path / "nothing"))
    assert solar.run(task("good", "noop")).status == "finished"
    solar.stop()
    assert "cannot be reached" in caplog.text


def test_who_wants_a_plan_looked_at_is_logged(solar, caplog):
    caplog.set_level(logging.INFO)
    ended = solar.run(task("a", "noop"))
    assert f"{ended.uid}: somebody wants it looked at" in caplog.text


def test_plans_are_deleted_when_their_time_has_come(solar):
    uid = solar.run(task("a", "noop")).uid
    with Orchestrator(solar.conf) as orchestrator:
        assert [plan.uid for plan, _ in orchestrator.plans()] == [uid]
        retention.prune(solar.conf, days=0)
        assert orchestrator.plans() == []
