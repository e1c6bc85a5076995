"""The form in which a call travels: one msgpack frame that is an event of zerorpc.

``[header, method, [ctxt, args, kwargs]]``
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

import msgpack

from solar_orch.errors import NotCarried

#: Bytes of the largest frame that is sent or taken.
MAX_FRAME = 16 * 1024 * 1024
#: Elements of the longest list or map; msgpack sets memory aside for as many as a frame merely claims.
MAX_ITEMS = 100_000


class Malformed(ValueError):  # noqa: N818 - said of the frame
    """A frame that is no call."""


def pack(
    method: str, ctxt: object, args: Sequence[Any], kwargs: Mapping[str, Any], header: Mapping[str, Any]
) -> bytes:
    """One call as a frame; tuples become lists.

    :raises NotCarried: if the other side could not read it back
    """
    try:
        frame: bytes = msgpack.packb((header, method, (ctxt, args, kwargs)), use_bin_type=True)
        # What packs need not unpack: tuples as keys, extension types, lists that are too long.
        unpack(frame)
    except (TypeError, ValueError, OverflowError, RecursionError, MemoryError) as error:
        raise NotCarried(method, str(error) or type(error).__name__) from error
    return frame


def unpack(frame: bytes) -> tuple[str, Any, Any, Any]:
    """Method, ctxt, args and kwargs of a frame; the types of the last three are not checked.

    :raises Malformed: whatever is wrong with it
    """
    if len(frame) > MAX_FRAME:
        raise Malformed(f"{len(frame)} bytes, the limit is {MAX_FRAME}")
    items = min(len(frame), MAX_ITEMS)
    try:
        event = msgpack.unpackb(
            frame,
            raw=False,
            strict_map_key=False,
            max_array_len=items,
            max_map_len=items,
            ext_hook=_refuse_extension,
        )
        _header, method, (ctxt, args, kwargs) = event
    except Exception as error:
        raise Malformed(str(error) or type(error).__name__) from error
    if not isinstance(method, str):
        raise Malformed(f"its method is named by {type(method).__name__}")
    return method, ctxt, args, kwargs


def _refuse_extension(code: int, data: bytes) -> NoReturn:
    raise Malformed(f"extension type {code}")
