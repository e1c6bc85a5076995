"""``solar-worker``: the host as a process of its own."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from oslo_config import cfg

from solar_orch import config, faults
from solar_orch.collector import collect_from_now_on
from solar_orch.errors import ConfigError, ExitCode, SolarError
from solar_orch.host import Host

LOG = logging.getLogger(__name__)

PROG = "solar-worker"
LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def main(argv: Sequence[str]) -> int:
    """Read the configuration, build the host and run it until it is stopped.

    Blocks.  Takes over the root logger.

    :param argv: the command line without the program's name
    :return: exit code: 0 after a clean stop, 2 for a bad configuration or
        part, 3 when an address is served by another process, 1 for anything else
    """
    try:
        conf = config.load(argv, prog=PROG, command_line=True)
        set_up_logging(conf)
        faults.arm(os.environ.get(faults.VARIABLE))
        host = Host(conf, workers=conf.worker or None)
        host.build()
        collect_from_now_on()
        host.run()
    except SolarError as error:
        LOG.debug("the error below came from here", exc_info=error)
        return _failed(error, error.exit_code)
    except SystemExit as stop:  # --help, --version, wrong usage
        return stop.code if isinstance(stop.code, int) else int(bool(stop.code))
    except KeyboardInterrupt as error:  # before the runner took the signals over
        return _failed(error, ExitCode.FAILURE)
    except Exception as error:
        LOG.exception("%s ends because of an error", PROG)
        return _failed(error, ExitCode.FAILURE)
    LOG.info("%s has stopped", PROG)
    return ExitCode.OK


def set_up_logging(conf: cfg.ConfigOpts) -> None:
    """Send all logging to stderr or ``--log-file``, from level INFO, or DEBUG with ``--debug``.

    :raises ConfigError: if the file cannot be opened
    """
    handler: logging.Handler = logging.StreamHandler()
    if conf.log_file:
        try:
            handler = logging.FileHandler(conf.log_file, encoding="utf-8")
        except OSError as error:
            problem = error.strerror or str(error)
            raise ConfigError(problem, option="log-file", value=conf.log_file) from error
    level = logging.DEBUG if conf.debug else logging.INFO
    logging.basicConfig(handlers=[handler], level=level, format=LOG_FORMAT, force=True)


def _failed(error: BaseException, code: ExitCode) -> int:
    kind = "" if isinstance(error, SolarError) else f"{type(error).__name__}: "
    text = " ".join(f"{kind}{error}".split()).rstrip(": ")
    if any(isinstance(handler, logging.FileHandler) for handler in logging.getLogger().handlers):
        LOG.error("%s", text)
    print(f"{PROG}: error: {text}", file=sys.stderr)
    return code


def leave(code: int) -> NoReturn:
    """End this process now, with `code`, after writing out what was printed.

    Waits for no thread or greenlet: a part that left one running must not
    keep a worker alive that has been told to stop.
    """
    # Not logging.shutdown(): a thread left behind may hold a handler's lock, and the
    # handlers write out each record anyway.
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):  # its reader may have gone
            stream.flush()
    os._exit(code)
