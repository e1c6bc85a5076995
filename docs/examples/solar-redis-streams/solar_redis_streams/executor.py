"""The receiving side: a worker reads the stream as a member of a consumer group."""

from __future__ import annotations

import logging
import socket
import time
import uuid
from typing import TYPE_CHECKING, Any

import gevent
from redis import Redis
from redis.exceptions import AuthenticationError, NoPermissionError, RedisError, ResponseError

from solar_orch.errors import AddressError
from solar_orch.executors import wire
from solar_orch.executors.greenlets import GreenletExecutor
from solar_redis_streams.address import parse
from solar_redis_streams.options import GROUP
from solar_redis_streams.server import FIELD, connect

if TYPE_CHECKING:
    from solar_orch.workers.base import Worker

LOG = logging.getLogger(__name__)

#: Seconds that an answer may take beyond those for which it was asked to wait.
ANSWER = 5.0
#: Seconds between two attempts to reach a server that is gone.
PAUSE = 0.1

#: Seconds that the server gets to remove a worker that stops from the group.
LEAVE = 1.0

#: In one step, since a consumer may get entries between a look and its removal.
REMOVE_CONSUMERS = """
local stream, group, only, idle = KEYS[1], ARGV[1], ARGV[2], tonumber(ARGV[3])
for _, flat in ipairs(redis.call('XINFO', 'CONSUMERS', stream, group)) do
    local consumer = {}
    for i = 1, #flat, 2 do consumer[flat[i]] = flat[i + 1] end
    if consumer.pending == 0 and consumer.idle >= idle and (only == '' or only == consumer.name) then
        redis.call('XGROUP', 'DELCONSUMER', stream, group, consumer.name)
    end
end
"""

#: Seconds after which the server forgets a temporary stream whose worker was killed.
FORGOTTEN = 86_400

#: An entry: its id, and its fields.  Both are None if it has been deleted since it was read.
Entry = tuple["bytes | None", "dict[bytes, bytes] | None"]


class Executor(GreenletExecutor):
    """Takes calls from a stream; a :class:`solar_orch.executors.base.Executor`.

    An entry is acknowledged and deleted when the worker has taken its call.  One that a worker
    has read and not taken, because it was killed or stopped, goes to another worker
    of the group after ``claim_after`` seconds.

    :param address: see :class:`solar_redis_streams.address.Address`
    :raises AddressError: if it is none, or must not be used
    """

    def __init__(self, worker: Worker, address: str) -> None:
        super().__init__(worker, address)
        self._address = parse(address)
        self._options = worker.conf[GROUP]
        self._group: str = self._options.group
        #: Who this is within the group: nobody else, since what one consumer has read another may take over.
        self._consumer = f"{socket.gethostname()}.{uuid.uuid4().hex}"
        self._redis: Redis | None = None
        self._group_is_there = False
        self._claim_is_due = 0.0
        self._is_cut_off = False

    # -- of GreenletExecutor ---------------------------------------------------

    def open(self) -> None:
        """Join the group, if the server can be reached; otherwise that is tried again later.

        :raises AddressError: if the server refuses, which time will not change
        """
        self._redis = connect(self._address, self._options.block + ANSWER)
        try:
            self._join_group()
        except AuthenticationError as error:
            raise AddressError(self.address, f"the server lets nobody in: {error}") from error
        except ResponseError as error:
            raise AddressError(self.address, f"the server refuses: {error}") from error
        except RedisError as error:
            self._note_cut_off(error)

    def receive(self) -> None:
        """Read, and hand calls on, until killed."""
        while True:
            try:
                if not self._group_is_there:
                    self._join_group()
                self._take_over_forgotten()
                self._take(self._read())
                self._note_reached()
            except ResponseError as error:
                # A server that has lost its data has lost the group.
                self._group_is_there = False
                self._note_cut_off(error)
                gevent.sleep(PAUSE)
            except RedisError as error:
                self._note_cut_off(error)
                gevent.sleep(PAUSE)

    def close_intake(self) -> None:
        """Leave the group, and let go of the connections."""
        server, self._redis = self._redis, None
        if server is not None:
            # Those that the receiver had are gone first: nothing more is read for this consumer.
            server.connection_pool.disconnect()
            if self._group_is_there and not self._is_cut_off:
                self._leave_group(server)
            server.connection_pool.disconnect()

    # -- the stream ------------------------------------------------------------

    @property
    def _server(self) -> Redis:
        assert self._redis is not None, "open() comes first"
        return self._redis

    def _join_group(self) -> None:
        try:
            # From the beginning: calls may have been made before the first worker came.
            self._server.xgroup_create(self._address.stream, self._group, id="0", mkstream=True)
        except ResponseError as error:
            if not str(error).startswith("BUSYGROUP"):
                raise
        if self._address.temporary:
            # Should this process be killed, nobody else will delete it.
            self._server.expire(self._address.stream, FORGOTTEN)
        self._group_is_there = True

    def _leave_group(self, server: Redis) -> None:
        try:
            # Should the server have gone meanwhile, another one does it later.
            with gevent.Timeout(LEAVE, False):
                if self._address.temporary:
                    server.delete(self._address.stream)
                else:
                    self._remove_consumers(server, self._consumer)
        except RedisError as error:
            LOG.info("%s: %s remains a consumer: %s", self.worker.name, self._consumer, error)

    def _remove_consumers(self, server: Redis, name: str = "", idle: float = 0.0) -> None:
        """Remove consumers from the group that hold no entries: what one holds would be lost with it.

        :param name: of the only one; any if empty
        :param idle: seconds for which it must have read nothing
        """
        try:
            server.eval(REMOVE_CONSUMERS, 1, self._address.stream, self._group, name, str(round(idle * 1000)))
        except NoPermissionError as error:  # all else goes without
            LOG.debug("%s: consumers remain in the group: %s", self.worker.name, error)

    def _read(self) -> list[Entry]:
        found: Any = self._server.xreadgroup(
            self._group,
            self._consumer,
            {self._address.stream: ">"},
            count=self._options.batch,
            block=max(1, round(self._options.block * 1000)),
        )
        return found[0][1] if found else []

    def _take_over_forgotten(self) -> None:
        """Take what somebody has read long ago and not acknowledged."""
        if time.monotonic() < self._claim_is_due:
            return
        start: Any = "0-0"
        while True:
            answer: Any = self._server.xautoclaim(
                self._address.stream,
                self._group,
                self._consumer,
                min_idle_time=round(self._options.claim_after * 1000),
                start_id=start,
                count=self._options.batch,
            )
            start, entries = answer[0], answer[1]
            self._take(entries)
            if start in (b"0-0", "0-0"):
                break
        # Those of workers that were killed.  One that lives, and got no calls for so long, is made again by
        # the server when it gets one.
        self._remove_consumers(self._server, idle=self._options.claim_after + self._options.block + ANSWER)
        self._claim_is_due = time.monotonic() + self._options.claim_after

    def _take(self, entries: list[Entry]) -> None:
        taken = []
        for entry, fields in entries:
            if not self.taking:
                break  # left to others, or to who comes after this one
            if entry is not None and fields is not None:
                self._take_one(fields)
                taken.append(entry)
        if taken:
            pipeline = self._server.pipeline(transaction=False)
            pipeline.xack(self._address.stream, self._group, *taken)
            pipeline.xdel(self._address.stream, *taken)
            pipeline.execute()

    def _take_one(self, fields: dict[bytes, bytes]) -> None:
        frame = fields.get(FIELD)
        if frame is None:
            self.drops.add("malformed messages", "an entry without a call")
            return
        try:
            call = wire.unpack(frame)
        except wire.Malformed as error:
            self.drops.add("malformed messages", str(error))
        else:
            self.accept(*call)

    # -- the server ------------------------------------------------------------

    def _note_cut_off(self, error: Exception) -> None:
        if not self._is_cut_off:
            self._is_cut_off = True
            LOG.warning("%s: %s cannot be read now: %s", self.worker.name, self.address, error)

    def _note_reached(self) -> None:
        if self._is_cut_off:
            self._is_cut_off = False
            LOG.info("%s: %s can be read again", self.worker.name, self.address)
