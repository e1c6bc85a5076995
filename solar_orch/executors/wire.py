"""The form in which calls travel: each message is one msgpack frame that is an event of zerorpc.

``[header, method, [ctxt, args, kwargs]]`` is a call.  Several travel as a
bundle, ``[header, "_bundle", [call, ...]]``, in which each call is the bytes
of a frame of its own: what is wrong with one says nothing about the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NoReturn

import msgpack

from solar_orch.errors import NotCarried

#: Bytes of the largest frame that is sent or taken.
MAX_FRAME = 16 * 1024 * 1024
#: Elements of the longest list or map; msgpack sets memory aside for as many as a frame merely claims.
MAX_ITEMS = 100_000
#: The name of the event that carries several calls; as a private name it is no method of any worker.
BUNDLE = "_bundle"
#: Bytes kept free for the header of a message, and what belongs to it.
HEADER_ROOM = 128
#: Bytes that a bundle adds to each of its calls, at most.
ELEMENT_OVERHEAD = 5

#: How a frame begins that has an empty header.
_BARE = b"\x93\x80"
#: What is unpacked as it was packed, when nothing else is in it.
_SCALARS = frozenset({str, int, float, bool, bytes, type(None)})

Call = tuple[str, Any, Any, Any]


class Malformed(ValueError):  # noqa: N818 - said of the frame
    """A frame that is no call."""


def pack(
    method: str, ctxt: object, args: Sequence[Any], kwargs: Mapping[str, Any], header: Mapping[str, Any]
) -> bytes:
    """One call as a frame; tuples become lists.

    :raises NotCarried: if the other side could not read it back
    """
    return _packed(method, ctxt, args, kwargs, header)[0]


def carried(method: str, ctxt: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Call:
    """The call as who is sent it would read it, sharing nothing that can be changed.

    :raises NotCarried: if it could not be read back
    """
    frame, flat = _packed(method, ctxt, args, kwargs, {})
    return (method, ctxt.copy(), list(args), dict(kwargs)) if flat else unpack(frame)


def _packed(
    method: str, ctxt: object, args: Sequence[Any], kwargs: Mapping[str, Any], header: Mapping[str, Any]
) -> tuple[bytes, bool]:
    """A call as a frame, and whether what is in it needs no copying."""
    try:
        frame: bytes = msgpack.packb((header, method, (ctxt, args, kwargs)), use_bin_type=True)
        flat = _is_flat(ctxt, args, kwargs)
        if len(frame) > MAX_FRAME - HEADER_ROOM:
            raise Malformed(f"{len(frame)} bytes, the limit is {MAX_FRAME - HEADER_ROOM}")
        # What packs need not unpack: tuples as keys, extension types, lists that are too long.
        if len(frame) > MAX_ITEMS or method == BUNDLE or not flat:
            unpack(frame)
    except (TypeError, ValueError, OverflowError, RecursionError, MemoryError) as error:
        raise NotCarried(method, str(error) or type(error).__name__) from error
    return frame, flat


def _is_flat(ctxt: object, args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
    """Whether all that the caller gave are scalars; lists of them no longer than their frame."""
    return (
        type(ctxt) is dict
        and _SCALARS.issuperset(map(type, ctxt.values()))
        and _SCALARS.issuperset(map(type, ctxt))
        and _SCALARS.issuperset(map(type, args))
        and (not kwargs or _SCALARS.issuperset(map(type, kwargs.values())))
    )


def message(calls: Sequence[bytes], header: Mapping[str, Any]) -> bytes:
    """The message that carries these calls, which were packed with an empty header.

    More than one must not exceed ``MAX_FRAME`` together, nor be more than ``MAX_ITEMS``.
    """
    if len(calls) == 1:
        return b"".join((_BARE[:1], msgpack.packb(header), memoryview(calls[0])[len(_BARE) :]))
    packed: bytes = msgpack.packb((header, BUNDLE, calls), use_bin_type=True)
    return packed


def unpack(frame: bytes) -> Call:
    """Method, ctxt, args and kwargs of a call; the types of the last three are not checked.

    :raises Malformed: whatever is wrong with it
    """
    return _call(*_event(frame))


def take_apart(message: bytes, refuse: Callable[[Malformed], None]) -> Iterator[Call]:
    """The calls that a message carries, in their order.

    :param refuse: told of each call of a bundle that is malformed
    :raises Malformed: if nothing can be made of the message
    """
    method, body = _event(message)
    if method != BUNDLE:
        yield _call(method, body)
        return
    if type(body) is not list or not body:
        raise Malformed("a bundle of no calls")
    for element in body:
        try:
            call = unpack(element)
        except Malformed as error:
            refuse(error)
        else:
            yield call


def _event(frame: bytes) -> tuple[str, Any]:
    """The name and the body of an event."""
    if not isinstance(frame, bytes):
        raise Malformed(f"its bytes are {type(frame).__name__}")
    if len(frame) > MAX_FRAME:
        raise Malformed(f"{len(frame)} bytes, the limit is {MAX_FRAME}")
    items = min(len(frame), MAX_ITEMS)
    try:
        _header, method, body = msgpack.unpackb(
            frame,
            raw=False,
            strict_map_key=False,
            max_array_len=items,
            max_map_len=items,
            ext_hook=_refuse_extension,
        )
    except Exception as error:
        raise Malformed(str(error) or type(error).__name__) from error
    if not isinstance(method, str):
        raise Malformed(f"its method is named by {type(method).__name__}")
    return method, body


def _call(method: str, body: Any) -> Call:
    if method == BUNDLE:
        raise Malformed("a bundle where a call should be")
    try:
        ctxt, args, kwargs = body
    except (TypeError, ValueError) as error:
        raise Malformed(str(error)) from error
    return method, ctxt, args, kwargs


def _refuse_extension(code: int, data: bytes) -> NoReturn:
    raise Malformed(f"extension type {code}")
