"""The task type ``http``, and its options."""

from __future__ import annotations

import json as json_
import logging
import math
import time
from collections.abc import Mapping
from typing import Any

import gevent
from oslo_config import cfg

from solar_http.exchange import Answer, ExchangeFailed, Limits, Request, exchange
from solar_http.expectation import Expectation
from solar_orch.errors import TaskError, Unrunnable
from solar_orch.workers.calls import Ctxt
from solar_orch.workers.task_types import conf, output

LOG = logging.getLogger(__name__)

#: The version of the contracts of solar_orch that this was written for.
solar_orch_api = "1"

GROUP = "http"

#: Bytes of JSON up to which headers and body become part of the task's result: one of more than 64 KiB
#: would not be kept at all, and what is written for a secret may be longer than that.
_RESULT_JSON = 32 * 1024

#: What would let whoever reads the result act as the worker.
_NOT_IN_RESULT = frozenset({"set-cookie", "set-cookie2"})


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    """The options of group ``[http]``."""
    return [
        (
            GROUP,
            [
                cfg.FloatOpt(
                    "timeout",
                    default=30.0,
                    min=0.001,
                    help="Seconds that a request may take, with its redirects, for tasks that say nothing.",
                ),
                cfg.StrOpt(
                    "ca_file",
                    help="Path of a PEM file with the certificates of the authorities that are trusted, "
                    "for tasks that name none; not set: those of the system.",
                ),
                cfg.IntOpt(
                    "max_body",
                    default=1024 * 1024,
                    min=1,
                    help="Bytes that the body of an answer may have.",
                ),
                cfg.IntOpt(
                    "max_redirects",
                    default=5,
                    min=0,
                    help="How many redirects of one request are followed.",
                ),
            ],
        )
    ]


def http(
    ctxt: Ctxt,
    /,
    url: str,
    *,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    body: str | None = None,
    json: Any = None,
    expect: Any = None,
    timeout: float | None = None,
    within: float | None = None,
    every: float = 1.0,
    ca_file: str | None = None,
    redirects: int | None = None,
) -> dict[str, Any]:
    """Send a request and see whether the answer is as expected.

    The answer's body is the output.  A request may be sent more than once:
    with `within`, and as every attempt that is lost with its worker.

    :param url: begins with ``http://`` or ``https://``
    :param body: text that is sent as UTF-8
    :param json: any value that is sent as JSON; not beside `body`
    :param expect: a status, or a mapping as :meth:`Expectation.of` takes it; when None a status
        from 200 to 299
    :param timeout: seconds that a request may take in all; option ``timeout`` when None
    :param within: seconds for which the request is sent again until its answer is as expected; once when None
    :param every: seconds between the end of one request and the next
    :param ca_file: PEM file of the authorities that are trusted; option ``ca_file`` when None
    :param redirects: how many are followed; with 0 one is an answer as any other; option
        ``max_redirects`` when None
    :return: ``status``, ``headers`` (names in lower case), and ``json``: the body if it is JSON;
        the last two as far as the result is no longer than 32 KiB of JSON in ASCII
    :raises TaskError: if the answer is not as expected, or there is none
    :raises Unrunnable: if what is given can be no request
    """
    options = conf()[GROUP]
    request = Request.of(method, url, headers, body, json)
    expectation = Expectation.of(expect)
    limits = Limits(
        timeout=_seconds("timeout", options.timeout if timeout is None else timeout),
        ca_file=ca_file or options.ca_file,
        max_body=options.max_body,
        max_redirects=_number("redirects", options.max_redirects if redirects is None else redirects),
    )
    out = output(ctxt)
    pause = _seconds("every", every)
    if within is None:
        return _result(_attempt(request, limits, expectation, out.write))
    return _result(_repeat(request, limits, expectation, out.write, _seconds("within", within), pause))


#: Seconds that the last request of several gets at least.
LAST_LOOK = 1.0


def _repeat(
    request: Request, limits: Limits, expectation: Expectation, write: Any, within: float, pause: float
) -> Answer:
    deadline = time.monotonic() + within
    tries = 0
    while True:
        tries += 1
        # The last request, made when the time is over, gets a moment more.
        left = max(deadline - time.monotonic(), LAST_LOOK)
        try:
            return _attempt(request, limits.within(left), expectation, write)
        except TaskError as error:
            if not error.retriable:
                raise
            left = deadline - time.monotonic()
            if left <= 0:
                times = "once" if tries == 1 else f"{tries} times"
                raise TaskError(
                    f"not as expected within {within:g} s, asked {times}; at last: {error}"
                ) from error
        gevent.sleep(min(pause, left))


def _attempt(request: Request, limits: Limits, expectation: Expectation, write: Any) -> Answer:
    """One request, noted in the output.

    :raises TaskError: if its answer is not as expected, or there is none
    """
    try:
        answer = exchange(request, limits)
    except ExchangeFailed as error:
        write(f"{request}: {error}\n".encode())
        raise TaskError(f"{request}: {error}") from error
    write(f"{request}: {answer.status} {answer.reason}\n".encode() + answer.body)
    if answer.body and not answer.body.endswith(b"\n"):
        write(b"\n")
    missed = expectation.missed_by(answer)
    if missed:
        raise TaskError(f"{request}: {'; '.join(missed)}")
    return answer


def _result(answer: Answer) -> dict[str, Any]:
    result: dict[str, Any] = {"status": answer.status}
    _add(
        result,
        "headers",
        {name: value for name, value in answer.headers.items() if name not in _NOT_IN_RESULT},
    )
    if len(answer.body) <= _RESULT_JSON:
        try:
            _add(result, "json", answer.json())
        except ValueError as error:  # most bodies are something else
            LOG.debug("the body is no part of the result: %s", error)
    return result


def _add(result: dict[str, Any], key: str, value: Any) -> None:
    """Make a value part of the result, if the whole is kept with it.

    :raises ValueError: if it is no JSON: a number in the body may be beyond all that JSON can write
    """
    if len(json_.dumps({**result, key: value}, allow_nan=False)) <= _RESULT_JSON:
        result[key] = value


def _number(what: str, value: Any) -> int:
    if type(value) is not int or value < 0:
        raise Unrunnable(f"http: {what} must be a number that is not negative, not {json_.dumps(value)}")
    return value


def _seconds(what: str, value: Any) -> float:
    if (
        isinstance(value, bool)
        or not isinstance(value, (int, float))
        or not math.isfinite(value)
        or value <= 0
    ):
        raise Unrunnable(f"http: {what} must be a number of seconds above 0, not {json_.dumps(value)}")
    return float(value)
