"""The hook in a host: by the conformance kit, and what it tells."""

from __future__ import annotations

import pytest
from conftest import Ear

from solar_orch.errors import ConfigError
from solar_orch.testing import HookConformance, task
from solar_orch.testing.hosting import Solar


class TestWebhook(HookConformance):
    name = "webhook"
    worker = "system_log"
    # Nobody listens there: plans do not wait for who is told.
    options = {"webhook": {"url": "http://127.0.0.1:1/", "interval": 0.05}}


def test_without_a_url_it_does_nothing(solar: Solar):
    backgrounds = [each.__qualname__ for each in solar.host.workers["system_log"].backgrounds]
    assert not any("Teller" in name for name in backgrounds)
    assert solar.run(task("a", "noop")).status == "finished"


@pytest.mark.parametrize(
    ("option", "value", "problem"),
    [
        ("url", "ftp://host/", "must be of the form"),
        ("secret", "s3cret", "must be whsec_ and a key in base64"),
        ("statuses", "ended", "ended"),
        ("interval", "0", "0"),
    ],
)
def test_options_that_cannot_be_used_are_refused(solar: Solar, option: str, value: str, problem: str):
    solar.options("webhook", **{"url": "http://host/", option: value})
    with pytest.raises(ConfigError, match=problem) as caught:
        _ = solar.host
    assert "s3cret" not in str(caught.value)


def test_each_end_is_told_once_confirmed(solar: Solar, ear: Ear):
    solar.options("webhook", url=ear.url, interval=0.01)
    good = solar.run(task("a", "noop"), task("b", "echo", "s3cret output", after=["a"]))
    solar.wait_until(lambda: len(ear.heard) == 1, "the first end is told")
    bad = solar.run(task("a", "error", "no luck"), task("b", "noop", after=["a"]))
    solar.wait_until(lambda: len(ear.heard) == 2, "the second end is told")
    first, second = ear.heard
    assert (first["type"], first["data"]["uid"]) == ("plan.finished", good.uid)
    assert first["data"]["tasks"] == {"SUCCESS": 2}
    assert (second["type"], second["data"]["uid"]) == ("plan.failed", bad.uid)
    assert second["data"]["failed"] == [{"name": "a", "error": "no luck"}]
    assert "s3cret" not in str(ear.heard)
    solar.stop()
    solar.options("webhook", url=ear.url)
    third = solar.run(task("a", "noop"))
    solar.stop()
    assert [told["data"]["uid"] for told in ear.heard] == [good.uid, bad.uid, third.uid]


def test_only_what_is_asked_for_is_told(solar: Solar, ear: Ear):
    solar.options("webhook", url=ear.url, interval=0.01, statuses="failed")
    solar.run(task("a", "noop"))
    solar.run(task("a", "error"))
    solar.stop()
    assert [told["type"] for told in ear.heard] == ["plan.failed"]


def test_what_ends_while_the_host_stops_is_told(solar: Solar, ear: Ear):
    solar.options("webhook", url=ear.url, interval=3600)
    uid = solar.run(task("a", "noop")).uid
    solar.stop()
    assert [told["data"]["uid"] for told in ear.heard] == [uid]


def test_nobody_waits_for_a_receiver_that_does_not_answer(solar: Solar, ear: Ear):
    ear.answering.clear()
    solar.options("webhook", url=ear.url, interval=0.01)
    uids = [solar.run(task("a", "noop")).uid for _ in range(3)]
    solar.wait_until(lambda: len(ear.heard) == 1, "the first is being told")
    ear.answering.set()
    solar.wait_until(lambda: len(ear.heard) == 3, "the others are told")
    assert [told["data"]["uid"] for told in ear.heard] == uids


def test_a_full_queue_loses_nothing(solar: Solar, ear: Ear):
    ear.status = "503 Not Now"
    solar.options("webhook", url=ear.url, interval=0.01, queue_size=1, retry_delay=0.05)
    uids = {solar.run(task("a", "noop")).uid for _ in range(4)}
    solar.wait_until(lambda: len(ear.heard) >= 2, "it has been tried again")
    assert len({told["data"]["uid"] for told in ear.heard}) == 1
    ear.status = "204 No Content"
    solar.wait_until(lambda: {told["data"]["uid"] for told in ear.heard} == uids, "all are told")


def test_what_cannot_be_told_is_given_up_some_day(solar: Solar, ear: Ear, caplog: pytest.LogCaptureFixture):
    ear.status = "500 Oh No"
    solar.options("webhook", url=ear.url, interval=0.01, retry_delay=0.01, give_up_after=0.1)
    solar.run(task("a", "noop"))
    solar.wait_until(lambda: "is given up: status 500 Oh No" in caplog.text, "it is given up")
    assert "s3cret" not in caplog.text


def test_a_plan_that_is_deleted_is_not_told_of(solar: Solar, ear: Ear):
    solar.options("webhook", url=ear.url, interval=3600)
    gone, kept = solar.run(task("a", "noop")).uid, solar.run(task("a", "noop")).uid
    solar.store.deletion.delete(gone)
    solar.stop()
    assert [told["data"]["uid"] for told in ear.heard] == [kept]


def test_a_file_that_cannot_be_used_stops_no_plan(solar: Solar, ear: Ear, caplog: pytest.LogCaptureFixture):
    broken = solar.root / "s" / "webhook.db"
    broken.parent.mkdir(mode=0o700)
    broken.write_text("no database of SQLite " * 100)
    solar.options("webhook", url=ear.url, interval=0.01)
    uid = solar.run(task("a", "noop")).uid
    solar.wait_until(lambda: "are told later: file is not a database" in caplog.text, "it is said")
    broken.unlink()
    solar.wait_until(lambda: ear.heard, "it is told")
    assert ear.heard[0]["data"]["uid"] == uid
