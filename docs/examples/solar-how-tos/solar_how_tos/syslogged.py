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
        self._syslog = logging.getLogger("solar.outcomes")
        self._syslog.setLevel(logging.INFO)
        self._syslog.propagate = False
        self._is_open = False

    def commit(self, ctxt):
        """The task of `ctxt` has succeeded."""
        super().commit(ctxt)
        self._tell(logging.INFO, "succeeded", ctxt)

    def error(self, ctxt):
        """The task of `ctxt` has failed."""
        super().error(ctxt)
        self._tell(logging.ERROR, "failed", ctxt)

    def _tell(self, level, what, ctxt):
        # Not when the worker is made, for that opens nothing.
        if not self._is_open and not self._open():
            return
        self._syslog.log(level, "%s %s in attempt %s", ctxt["task_id"], what, ctxt["attempt"])

    def _open(self):
        try:
            handler = logging.handlers.SysLogHandler(self.conf.syslog.address)
        except OSError as error:
            LOG.warning("syslog at %s cannot be reached: %s", self.conf.syslog.address, error)
            return False
        handler.ident = f"{self.conf.syslog.tag}: "
        self._syslog.addHandler(handler)
        self._is_open = True
        return True
