"""What is expected of an answer, and what it lacks."""

from __future__ import annotations

import json
from typing import Any

import pytest
from solar_http.exchange import Answer
from solar_http.expectation import Expectation, resolve

from solar_orch.errors import Unrunnable

STATE = {"state": "up", "nodes": [{"a/b": True, "m~n": 1}], "": 0}
ANSWER = Answer(200, "OK", {"x-version": "2.4"}, json.dumps(STATE).encode())


@pytest.mark.parametrize(
    ("expect", "missed"),
    [
        (None, []),
        (200, []),
        ([404, "200-204"], []),
        (404, ["status 200 OK, expected 404"]),
        ([404, "500-599"], ["status 200 OK, expected 404 or 500-599"]),
        ({"headers": {"X-Version": 2.4}}, []),
        ({"headers": {"X-Version": "2.5", "Age": 1}},
         ["header x-version is another one, expected '2.5'", "header age is not there, expected '1'"]),
        ({"contains": '"up"'}, []),
        ({"contains": "down"}, ["the body does not contain 'down'"]),
        ({"json": {"/state": "up", "/nodes/0/a~1b": True, "/nodes/0/m~0n": 1, "/": 0, "": STATE}}, []),
        ({"json": {"/nodes/0/a~1b": 1}}, ["json /nodes/0/a~1b is true, expected 1"]),
        ({"json": {"/nodes/1": {}, "/nodes/-1": {}, "/state/up": 1}},
         ["json /nodes/1 is not there, expected {}", "json /nodes/-1 is not there, expected {}",
          "json /state/up is not there, expected 1"]),
        ({"status": 404, "contains": "down"},
         ["status 200 OK, expected 404", "the body does not contain 'down'"]),
    ],
)  # fmt: skip
def test_what_an_answer_lacks(expect: Any, missed: list[str]):
    assert Expectation.of(expect).missed_by(ANSWER) == missed


def test_a_body_that_is_no_json():
    for body in (b"<html>", b"[" * 100_000, b"[NaN]"):
        [problem] = Expectation.of({"json": {"/a": 1}}).missed_by(Answer(200, "OK", {}, body))
        assert problem.startswith("the body is no JSON")


@pytest.mark.parametrize(
    ("expect", "problem"),
    [
        (True, "status must be"),
        ([], "list is empty"),
        ("200", "status must be"),
        ("299-200", "status must be"),
        (99, "status must be"),
        ({"state": "up"}, "has no state"),
        ({"contains": 1}, "contains must be"),
        ({"headers": "X"}, "headers must be"),
        ({"json": {"state": "up"}}, "no JSON Pointer"),
    ],
)
def test_what_can_be_no_expectation_is_refused(expect: Any, problem: str):
    with pytest.raises(Unrunnable, match=problem):
        Expectation.of(expect)


def test_a_pointer_leads_to_what_rfc_6901_says():
    document = {"foo": ["bar", "baz"], "a/b": 1, "c%d": 2, " ": 7, "m~n": 8, "01": 9}
    found = {
        pointer: resolve(document, pointer) for pointer in ("/foo/0", "/a~1b", "/c%d", "/ ", "/m~0n", "/01")
    }
    assert list(found.values()) == ["bar", 1, 2, 7, 8, 9]
    for pointer in ("/foo/01", "/foo/2", "/foo/-", "/foo/bar", "/a~1b/0"):
        with pytest.raises(LookupError):
            resolve(document, pointer)
