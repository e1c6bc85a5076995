"""One POST, and its signature."""

from __future__ import annotations

import base64
from pathlib import Path

import gevent
import pytest
import trustme
from conftest import Ear
from solar_webhook.delivery import Receiver, Secret

KEY = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def test_the_signature_is_that_of_the_published_example():
    # That of https://docs.svix.com/receiving/verifying-payloads/how-manual
    signature = Secret(KEY).signature("msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", b'{"test": 2432232314}')
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize("text", ["", "whsec_", "whsec_no base64", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"])
def test_a_secret_of_another_form_is_refused(text: str):
    with pytest.raises(ValueError, match="whsec_ and a key in base64"):
        Secret(text)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "ftp://host/",
        "http://",
        "http://host:0/",
        "http://host:99999/",
        "http://a:b@host/",
        "http://h/a b",
    ],
)
def test_a_url_of_another_form_is_refused(url: str):
    with pytest.raises(ValueError):
        Receiver(url, 1, None)


def test_what_is_sent_can_be_verified(ear: Ear):
    secret = Secret(KEY)
    assert Receiver(f"{ear.url}?a=b", 20, None).post("plan_1_2", b'{"a": 1}', secret) is None
    headers = ear.headers[0]
    assert (headers["PATH_INFO"], headers["QUERY_STRING"]) == ("/hooks/s3cret", "a=b")
    assert (headers["HTTP_WEBHOOK_ID"], headers["CONTENT_TYPE"]) == ("plan_1_2", "application/json")
    expected = secret.signature("plan_1_2", headers["HTTP_WEBHOOK_TIMESTAMP"], ear.bodies[0])
    assert headers["HTTP_WEBHOOK_SIGNATURE"] == expected
    other = Secret("whsec_" + base64.b64encode(b"another key").decode())
    assert other.signature("plan_1_2", headers["HTTP_WEBHOOK_TIMESTAMP"], ear.bodies[0]) != expected


def test_without_a_secret_nothing_is_signed(ear: Ear):
    assert Receiver(ear.url, 20, None).post("plan_1_2", b"{}", None) is None
    assert "HTTP_WEBHOOK_SIGNATURE" not in ear.headers[0]


def test_a_certificate_is_verified(tls_ear: Ear, authority: trustme.CA, tmp_path: Path):
    problem = Receiver(tls_ear.url, 20, None).post("plan_1_2", b"{}", None)
    assert problem is not None
    assert "certificate verify failed" in problem
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    assert Receiver(tls_ear.url, 20, str(tmp_path / "ca.pem")).post("plan_1_2", b"{}", None) is None
    assert tls_ear.heard == [{}]


def test_another_status_is_a_problem(ear: Ear):
    ear.status = "500 Oh No"
    assert Receiver(ear.url, 20, None).post("plan_1_2", b"{}", None) == "status 500 Oh No"


def test_no_answer_is_a_problem(ear: Ear):
    ear.answering.clear()
    assert Receiver(ear.url, 0.05, None).post("plan_1_2", b"{}", None) == "no answer within 0.05 s"


def test_nobody_there_is_a_problem():
    with gevent.socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        problem = Receiver(f"http://127.0.0.1:{unused.getsockname()[1]}", 20, None).post("a", b"", None)
    assert problem is not None
    assert "refused" in problem


def test_a_host_that_there_cannot_be_is_a_problem():
    assert Receiver(f"http://{'a' * 64}.example/", 20, None).post("a", b"", None)


def test_a_receiver_is_named_without_what_is_often_secret():
    assert str(Receiver("https://host:1/s3cret?token=s3cret", 1, None)) == "https://host:1"
