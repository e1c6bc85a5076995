"""The task type in a host: by the conformance kit, and in plans."""

from __future__ import annotations

import logging

import pytest
from conftest import Service

from solar_orch.states import State
from solar_orch.testing import Call, TaskTypeConformance, task
from solar_orch.testing.hosting import Solar

#: Nobody listens at this port.
NOBODY = "http://127.0.0.1:1/"


class TestHttp(TaskTypeConformance):
    name = "http"

    @pytest.fixture(autouse=True)
    def calls(self, service: Service) -> None:
        """The server's port is known only now."""
        health = f"{service.url}/health"
        body = {"state": "up", "nodes": [{"name": "a/b", "ok": True}], "count": 1}
        self.working = [
            Call([health]),
            Call([health], {"expect": {"json": {"/state": "up"}, "headers": {"X-Version": "2.4"}}}),
            Call([f"{service.url}/redirect"], {"redirects": 0, "expect": 302}),
            Call([f"{service.url}/echo"], {"method": "PUT", "json": body, "expect": [201, 204]}),
        ]
        self.failing = [
            Call([f"{service.url}/nowhere"], error="status 404 Not Found, expected 200-299"),
            Call([health], {"expect": {"contains": "down"}}, error="the body does not contain 'down'"),
            Call([NOBODY], error="refused"),
            Call([NOBODY], {"within": 0.05, "every": 0.01}, error="not as expected within 0.05 s, asked"),
            Call([f"{service.url}/hang"], {"timeout": 0.05}, error="no answer within 0.05 s"),
            Call(["mailto:somebody"], error="of the form http://HOST/PATH"),
            Call([health], {"timeout": 0}, error="timeout must be a number of seconds above 0, not 0"),
            Call([health], {"redirects": -1}, error="redirects must be a number that is not negative"),
        ]
        self.lasting = Call([f"{service.url}/hang"])


def test_it_is_ended_between_two_requests_too(solar: Solar):
    waiting = {"within": 3600, "every": 1800}
    with solar.running(
        task("killed", "http", NOBODY, kwargs=waiting),
        task("late", "http", NOBODY, kwargs=waiting, timelimit=0.2),
    ) as plan:
        plan.wait_for("killed", State.INPROGRESS)
        plan.kill("killed")
    ended = plan.look()
    assert ended["killed"]["errmsg"].startswith("cancelled by")
    assert ended["late"]["errmsg"].startswith("ExecutionTimeout")
    assert ended["late"]["output"].count("refused") == 1


def test_a_service_that_comes_up_is_waited_for(solar: Solar, service: Service):
    service.down_for = 2
    ended = solar.run(
        task("up", "http", f"{service.url}/health", kwargs={"within": 20, "every": 0.01}),
        task("say", "echo", "${tasks.up.result.json.nodes[0].name}", after=["up"]),
    )
    assert ended["say"]["output"] == "a/b\n"
    assert [line.split(": ")[1] for line in ended["up"]["output"].splitlines() if "GET" in line] == [
        "503 Service Unavailable",
        "503 Service Unavailable",
        "200 OK",
    ]
    assert ended.results["up"]["headers"]["x-version"] == "2.4"
    assert "set-cookie" not in ended.results["up"]["headers"]


def test_what_can_never_be_is_not_waited_for(solar: Solar, service: Service):
    kwargs = {"within": 3600, "ca_file": "/nowhere"}
    ended = solar.run(task("a", "http", "https://127.0.0.1:1/", kwargs=kwargs, retry=2))
    assert (ended["a"]["attempt"], ended["a"]["errmsg"]) == (
        1,
        "http: ca_file /nowhere: No such file or directory",
    )


def test_a_long_body_is_no_part_of_the_result(solar: Solar, service: Service):
    solar.options("http", max_body=200_000)
    ended = solar.run(task("a", "http", f"{service.url}/long"))
    assert ended.results["a"]["status"] == 200
    assert "json" not in ended.results["a"]
    assert "bytes omitted" in ended["a"]["output"]


@pytest.mark.parametrize(
    "body", ['{"load": NaN}', '{"load": -Infinity}', "1e999", f'"{"é" * 15_000}"'], ids=lambda body: body[:16]
)
def test_a_body_that_no_result_can_hold_leaves_the_rest_of_it(solar: Solar, service: Service, body: str):
    kwargs = {"method": "POST", "body": body}
    ended = solar.run(task("a", "http", f"{service.url}/echo", kwargs=kwargs))
    assert ended.results["a"]["status"] == 201
    assert ended.results["a"]["headers"]["content-length"] == str(len(body.encode()))
    assert "json" not in ended.results["a"]


def test_headers_that_no_result_can_hold_leave_the_status(solar: Solar, service: Service):
    ended = solar.run(task("a", "http", f"{service.url}/headers"))
    assert ended.results["a"] == {"status": 200, "json": 1}


def test_the_options_count_for_tasks_that_say_nothing(solar: Solar, tls: Service, ca_file: str):
    solar.options("http", ca_file=ca_file, max_redirects=0, timeout=20)
    ended = solar.run(
        task("trusted", "http", f"{tls.url}/health"),
        task("redirect", "http", f"{tls.url}/redirect", kwargs={"expect": 302}),
    )
    assert ended.status == "finished", str(ended)


def test_what_may_be_secret_is_neither_logged_nor_told(
    solar: Solar, service: Service, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setenv("TOKEN", "t0p-s3cret")
    kwargs = {"method": "POST", "headers": {"Authorization": "Bearer ${env.TOKEN}"}, "body": "${env.TOKEN}"}
    with caplog.at_level(logging.DEBUG):
        ended = solar.run(
            task("a", "http", f"{service.url}/echo?${{env.TOKEN}}", kwargs={**kwargs, "expect": 404})
        )
    assert service.environs[0]["HTTP_AUTHORIZATION"] == "Bearer t0p-s3cret"
    assert "s3cret" not in str(ended.report) + caplog.text
