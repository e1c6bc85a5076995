"""Requests are sent, redirected, bounded and ended over real sockets."""

from __future__ import annotations

import gevent
import gevent.ssl
import pytest
from conftest import Service
from solar_http.exchange import ExchangeFailed, Limits, Request, exchange

from solar_orch.errors import Unrunnable

LIMITS = Limits(timeout=20, ca_file=None, max_body=50_000, max_redirects=3)


def get(url: str, **headers: str) -> Request:
    return Request.of("GET", url, headers, None, None)


def test_what_is_given_is_sent(service: Service):
    answer = exchange(
        Request.of("post", f"{service.url}/echo?a=b", {"X-Token": 7}, None, {"name": "ü"}), LIMITS
    )
    assert (answer.status, answer.reason, answer.json()) == (201, "Created", {"name": "ü"})
    environ = service.environs[-1]
    assert (environ["REQUEST_METHOD"], environ["QUERY_STRING"], environ["HTTP_X_TOKEN"]) == (
        "POST",
        "a=b",
        "7",
    )
    assert environ["CONTENT_TYPE"] == "application/json"


@pytest.mark.parametrize(
    ("method", "path", "asked"),
    [
        ("GET", "/redirect", [("GET", "/redirect"), ("GET", "/health")]),
        ("POST", "/redirect", [("POST", "/redirect"), ("GET", "/health")]),
        ("PUT", "/again", [("PUT", "/again"), ("PUT", "/echo")]),
    ],
)
def test_redirects_are_followed_as_their_status_says(service: Service, method: str, path: str, asked: list):
    body = None if method == "GET" else "text"
    exchange(Request.of(method, service.url + path, None, body, None), LIMITS)
    assert service.asked == asked
    assert service.bodies[-1] == (b"text" if path == "/again" else b"")


def test_what_lets_in_goes_to_no_other_server(service: Service, other: Service):
    service.elsewhere = f"{other.url}/health"
    exchange(get(f"{service.url}/elsewhere", Authorization="Bearer s3cret", Accept="text/*"), LIMITS)
    assert service.environs[0]["HTTP_AUTHORIZATION"] == "Bearer s3cret"
    assert "HTTP_AUTHORIZATION" not in other.environs[0]
    assert other.environs[0]["HTTP_ACCEPT"] == "text/*"


@pytest.mark.parametrize("target", ["file:///etc/passwd", "http://user:word@127.0.0.1/", "http://:80/"])
def test_a_redirect_leads_to_nothing_but_http(service: Service, target: str):
    service.elsewhere = target
    with pytest.raises(ExchangeFailed, match="redirects to what is no URL"):
        exchange(get(f"{service.url}/elsewhere"), LIMITS)


def test_redirects_are_bounded(service: Service):
    with pytest.raises(ExchangeFailed, match="more than 3 redirects"):
        exchange(get(f"{service.url}/round"), LIMITS)
    assert len(service.asked) == 4


def test_a_body_is_bounded(service: Service):
    with pytest.raises(ExchangeFailed, match="longer than 50000 bytes"):
        exchange(get(f"{service.url}/long"), LIMITS)


def test_an_exchange_has_its_time(service: Service):
    with pytest.raises(ExchangeFailed, match=r"no answer within 0\.05 s"):
        exchange(get(f"{service.url}/hang"), LIMITS.within(0.05))


def test_the_connection_is_closed_when_it_is_ended_from_outside(service: Service):
    running = gevent.spawn(exchange, get(f"{service.url}/hang"), LIMITS)
    assert service.hanging.wait(20)
    running.kill()
    assert service.hung_up.wait(20)


def test_others_run_while_it_waits(service: Service):
    running = [gevent.spawn(exchange, get(f"{service.url}/hang"), LIMITS) for _ in range(2)]
    assert exchange(get(f"{service.url}/health"), LIMITS).status == 200
    gevent.killall(running)


def test_nobody_answers():
    with gevent.socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        with pytest.raises(ExchangeFailed, match="refused"):
            exchange(get(f"http://127.0.0.1:{unused.getsockname()[1]}/"), LIMITS)


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        (b"SSH-2.0-other\r\n", "is no HTTP: BadStatusLine"),
        (b"", "is no HTTP: RemoteDisconnected"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: " + b"x" * 100_000, "is no HTTP: LineTooLong"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: x\r\n" * 200 + b"\r\n", "is no HTTP: HTTPException got more than 100"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", "connection ended before its answer did"),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhal",
            "connection ended before its answer",
        ),
    ],
)
def test_an_answer_that_is_none(said: bytes, problem: str):
    listener = gevent.socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()

    def greet() -> None:
        connection, _ = listener.accept()
        connection.recv(10_000)
        connection.sendall(said)
        connection.close()

    greeting = gevent.spawn(greet)
    with listener, pytest.raises(ExchangeFailed, match=problem):
        exchange(get(f"http://127.0.0.1:{listener.getsockname()[1]}/"), LIMITS)
    greeting.kill()


def test_a_host_that_there_cannot_be():
    with pytest.raises(ExchangeFailed, match="no host can have this name"):
        exchange(get(f"http://{'a' * 64}.example/"), LIMITS)


def test_tls_is_verified(tls: Service, ca_file: str):
    with pytest.raises(ExchangeFailed, match="certificate is not trusted"):
        exchange(get(f"{tls.url}/health"), LIMITS)
    trusting = Limits(20, ca_file, 50_000, 3)
    assert exchange(get(f"{tls.url}/health"), trusting).status == 200
    with pytest.raises(ExchangeFailed, match=r"certificate is not trusted: .*127"):
        exchange(get(tls.url.replace("localhost", "127.0.0.1")), trusting)


def test_tls_is_not_given_up_for_a_redirect(tls: Service, service: Service, ca_file: str):
    tls.elsewhere = service.url
    with pytest.raises(ExchangeFailed, match="from https to http"):
        exchange(get(f"{tls.url}/elsewhere"), Limits(20, ca_file, 50_000, 3))
    assert service.asked == []


def test_a_file_without_certificates(tls: Service, tmp_path):
    tmp_path.joinpath("empty.pem").touch()
    for name, problem in (("empty.pem", "holds no certificate"), ("none.pem", "No such file")):
        with pytest.raises(Unrunnable, match=problem):
            exchange(get(tls.url), Limits(20, str(tmp_path / name), 1, 0))


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"url": "ftp://host/"}, "of the form http://"),
        ({"url": "http://host:99999/"}, "cannot be used"),
        ({"url": "http://host/a b"}, "without spaces"),
        ({"url": "http://user:s3cret@host/"}, "Authorization"),
        ({"method": "GET /"}, "no method"),
        ({"headers": {"X": "a\r\nY: b"}}, "one line"),
        ({"headers": {"X Y": "a"}}, "no name of a header"),
        ({"headers": ["X"]}, "mapping"),
        ({"body": 1}, "must be a text"),
        ({"body": "a", "json": 1}, "exclude each other"),
    ],
)
def test_what_can_be_no_request_is_refused(given: dict, problem: str):
    request = {"method": "GET", "url": "http://host/", "headers": None, "body": None, "json": None, **given}
    with pytest.raises(Unrunnable, match=problem) as caught:
        Request.of(**request)
    assert "s3cret" not in str(caught.value)


def test_a_request_is_told_without_what_may_be_secret():
    assert (
        str(Request.of("get", "http://host:1/a?token=s3cret", {"X": "s3cret"}, None, None))
        == "GET http://host:1/a"
    )
