"""A system log driver that sends each outcome to syslog as well."""

import logging
import logging.handlers

from oslo_config import cfg

from solar_orch.workers.system_log import SystemLog

LOG = logging.getLogger(__name__)

solar_orch_api = "1"


def list_opts():
    """The options of this part."""
    return [
        (
            "syslog",
            [
                cfg.StrOpt("address", default="/dev/log", help="Socket of the system's log."),
                cfg.StrOpt("tag", default="solar", help="Stands before each line."),
            ],
        )
    ]


class Syslogged(SystemLog):
    """The system log that ships, and syslog.

    It is told of outcomes by messages, which may be lost: the database has
    all of them, syslog has those that came.
    """

    def __init__(self, conf, clients):
        super().__init__(conf, clients)
        # Making a worker opens nothing: the first line opens the socket.
        self._syslog = None
        self.background(self._close_at_end)

    def commit(self, ctxt):
        """The task of `ctxt` has succeeded."""
        super().commit(ctxt)
        self._tell(logging.INFO, f"{ctxt['task_id']} succeeded in attempt {ctxt['attempt']}")

    def error(self, ctxt):
        """The task of `ctxt` has failed."""
        super().error(ctxt)
        self._tell(logging.ERROR, f"{ctxt['task_id']} failed in attempt {ctxt['attempt']}")

    def _tell(self, level, line):
        name = logging.getLevelName(level)
        record = logging.makeLogRecord({"levelno": level, "levelname": name, "msg": line})
        try:
            if self._syslog is None:
                self._syslog = _Handler(self.conf.syslog.address)
                self._syslog.ident = f"{self.conf.syslog.tag}: "
            self._syslog.handle(record)
        except OSError as error:
            # What has been entered in the database must not count as failed because of this.
            LOG.warning("syslog at %s cannot be reached: %s", self.conf.syslog.address, error)

    def _close_at_end(self, stopping):
        stopping.wait()
        if self._syslog is not None:
            self._syslog.close()


class _Handler(logging.handlers.SysLogHandler):
    def handleError(self, record):  # noqa: N802 - as logging has it
        """Let whoever writes a line know that it was not written."""
        raise  # noqa: PLE0704 - logging calls this where it handles the error
