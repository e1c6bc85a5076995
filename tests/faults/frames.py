"""Frames that are no calls, or none that can be made; and a socket to send them by."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgpack
import zmq
from hypothesis import strategies as st

from solar_orch.executors import wire

#: The public methods of each worker, with the number of arguments that they take.
METHODS = {
    "scheduler": {"next": 1, "ping": 0, "soft_stop": 1, "update_next": 2},
    "system_log": {"commit": 0, "error": 0, "ping": 0},
    "tasks": {
        "cmd": 1,
        "echo": 2,
        "error": 1,
        "kill": 3,
        "noop": 3,
        "ping": 0,
        "sleep": 1,
        "solar_resource": 2,
    },
}


#: The context of an attempt of no plan that there is.
NOBODYS = {"plan_uid": "nobody", "task_name": "a", "task_id": "nobody~a", "attempt": 1}


class Intruder:
    """Sends whatever it likes to a socket, without the product's client."""

    def __init__(self, path: Path) -> None:
        self._context = zmq.Context()
        self._path = path
        self._socket = self._connected()

    def _connected(self) -> Any:
        made = self._context.socket(zmq.PUSH)
        made.setsockopt(zmq.SNDTIMEO, 20_000)
        made.setsockopt(zmq.LINGER, 5_000)
        made.connect(f"ipc://{self._path}")
        return made

    def send(self, *frames: bytes) -> None:
        """Send one message."""
        self._socket.send_multipart(frames)

    def send_too_much(self, frame: bytes) -> None:
        """Send a frame through a connection of its own, which is hung up because of it."""
        other = self._connected()
        monitor = other.get_monitor_socket(zmq.EVENT_DISCONNECTED)
        monitor.setsockopt(zmq.RCVTIMEO, 20_000)
        try:
            other.send(frame)
            monitor.recv_multipart()
        finally:
            other.disable_monitor()
            monitor.close(linger=0)
            other.close(linger=0)

    def close(self) -> None:
        self._socket.close()
        self._context.term()


# -- what frames are made of -----------------------------------------------------

_SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.text(max_size=20)
    | st.binary(max_size=20)
)
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=5) | st.integers(0, 9), inner, max_size=4)
    ),
    max_leaves=8,
)
_NAMES = st.text(max_size=20)


def _packed(value: Any) -> bytes:
    return bytes(msgpack.packb(value, unicode_errors="surrogatepass"))


def _calls(names: st.SearchStrategy[str], ctxt: Any, args: Any, kwargs: Any) -> st.SearchStrategy[bytes]:
    return st.tuples(names, ctxt, args, kwargs).map(lambda call: _packed([{}, call[0], call[1:]]))


#: As the product's own, though of no plan that there is.
_CTXTS = st.fixed_dictionaries(
    {},
    optional={
        "task_id": st.just("nobody~a") | _VALUES,
        "task_name": st.just("a") | _VALUES,
        "plan_uid": st.just("nobody") | _VALUES,
        "attempt": st.just(1) | _VALUES,
        "timelimit": _VALUES,
        "timeout": _VALUES,
        "target": _VALUES,
    },
)


def _misformed_ctxts() -> st.SearchStrategy[dict[str, Any]]:
    not_texts = _VALUES.filter(lambda value: not isinstance(value, str))
    not_numbers = _VALUES.filter(lambda value: type(value) is not int or not 0 <= value < 2**63)
    return st.one_of(
        st.tuples(st.sampled_from(["task_id", "task_name", "plan_uid"]), not_texts),
        st.tuples(st.just("attempt"), not_numbers),
    ).map(
        lambda pair: {
            "plan_uid": "nobody",
            "task_name": "a",
            "task_id": "nobody~a",
            "attempt": 1,
            pair[0]: pair[1],
        }
    )


def malformed(name: str) -> st.SearchStrategy[bytes]:
    """Frames of which nothing can be made, whatever the worker `name` is asked for."""
    method = st.sampled_from(list(METHODS[name]))
    good = wire.pack(next(iter(METHODS[name])), {"task_id": "nobody~a"}, ("a", [1]), {"k": None}, {})
    wrong_arity = st.one_of(
        st.lists(_VALUES, max_size=6).filter(lambda parts: len(parts) != 3).map(_packed),
        st.lists(_VALUES, max_size=6)
        .filter(lambda parts: len(parts) != 3)
        .flatmap(lambda parts: method.map(lambda called: _packed([{}, called, parts]))),
    )
    return st.one_of(
        st.integers(0, len(good) - 1).map(lambda end: good[:end]),
        st.binary(min_size=1, max_size=50).map(lambda more: good + more),
        st.integers(600, 200_000).flatmap(
            lambda depth: st.sampled_from([b"\x91", b"\x81\xa1a"]).map(lambda one: one * depth)
        ),
        st.sampled_from([b"\xdd\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff", b"\xdb\xff\xff\xff\xff", b"\xc1"]),
        wrong_arity,
        st.tuples(_VALUES.filter(lambda value: not isinstance(value, str)), _VALUES).map(
            lambda pair: _packed([{}, pair[0], [{}, [], {"k": pair[1]}]])
        ),
        _calls(method, _VALUES.filter(lambda value: not isinstance(value, dict)), st.just([]), st.just({})),
        _calls(method, st.just({}), _VALUES.filter(lambda value: not isinstance(value, list)), st.just({})),
        _calls(method, st.just({}), st.just([]), _VALUES.filter(lambda value: not isinstance(value, dict))),
        _calls(method, _misformed_ctxts(), st.just([]), st.just({})),
        _calls(_NAMES.map("_{}".format), st.just({}), st.just([]), st.just({})),
    )


def unmakable(name: str) -> st.SearchStrategy[bytes]:
    """Frames that are calls, but of no method, of no attempt or with arguments that do not fit; and any bytes."""
    method = st.sampled_from(list(METHODS[name]))
    good = wire.pack(
        next(reversed(METHODS[name])), {"task_id": "nobody~a", "timelimit": 9}, ("a", [1]), {"k": None}, {}
    )
    return st.one_of(
        st.binary(max_size=300),
        st.tuples(st.integers(0, len(good) - 1), st.integers(0, 255)).map(
            lambda change: good[: change[0]] + bytes([change[1]]) + good[change[0] + 1 :]
        ),
        _calls(_NAMES, _CTXTS, st.lists(_VALUES, max_size=3), st.just({})),
        _calls(method, _CTXTS, st.lists(_VALUES, max_size=4), st.dictionaries(st.text(max_size=5), _VALUES)),
        st.sampled_from(list(METHODS[name].items())).flatmap(
            lambda item: _calls(
                st.just(item[0]),
                st.just(NOBODYS),
                st.lists(_VALUES, min_size=item[1], max_size=item[1]),
                st.just({}),
            )
        ),
    )


def awkward(name: str) -> Iterator[bytes]:
    """Calls in which one thing after the other is of another type, or larger, than anyone would expect."""
    for method, arity in METHODS[name].items():
        for value in ([], {}, None, True, 1.5, b"\xff", 2**64 - 1, -(2**63), float("nan")):
            yield _packed([{}, method, [NOBODYS, [value] * arity, {}]])
            for field in (*NOBODYS, "timelimit", "timeout", "target"):
                yield _packed([{}, method, [{**NOBODYS, field: value}, ["a"] * arity, {}]])
            for field in NOBODYS:
                less = {key: kept for key, kept in NOBODYS.items() if key != field}
                yield _packed([{}, method, [less, ["a"] * arity, {}]])
