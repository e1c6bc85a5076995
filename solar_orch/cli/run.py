"""``run``: a plan from its file to its end in one command."""

from __future__ import annotations

import logging
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from solar_orch.cli.display import report_plan
from solar_orch.cli.messages import say
from solar_orch.cli.planfile import plan_or_uid
from solar_orch.collector import collect_from_now_on
from solar_orch.errors import ExitCode
from solar_orch.plan.model import Plan
from solar_orch.states import PlanStatus

if TYPE_CHECKING:
    from types import FrameType

    from solar_orch.cli.arguments import App
    from solar_orch.cli.hosting import HostedPlan
    from solar_orch.cli.progress import Progress
    from solar_orch.host import Host


def run_plan(
    app: App, argument: str, variables: Mapping[str, str], *, format_: str = "text", debug: bool = False
) -> int:
    """Run the plan in this file, or of this uid, to its end and print its report; blocks.

    In a process that gevent has not patched this is done by a process of its own.

    :param argument: a file's path, ``-``, or, where there is no such file, the uid of a plan
    :param variables: of a plan in a file
    :param format_: of the report: ``text`` or ``json``
    :param debug: whether to log what the workers do
    :return: the exit code
    :raises PlanUnreadable, PlanError, PlanExists: if there is nothing that could be run
    :raises click.UsageError: if there are variables for a plan whose own are filled in already
    :raises Exception: whatever the host ends with
    """
    if not _gevent_has_patched():
        return _run_in_subprocess(app, argument, variables, format_, debug)
    from solar_orch.cli.hosting import serve_privately
    from solar_orch.cli.private import private_directory
    from solar_orch.config import GROUP
    from solar_orch.host import Host

    source = plan_or_uid(app, argument, variables)
    with private_directory(app.conf[GROUP].runtime_dir) as directory:
        serve_privately(app.conf, directory)
        host = Host(app.conf)
        # Before anything is written, because a part may be broken.
        host.build()
        collect_from_now_on()
        return _run_on(host, app, source, format_, debug)


def rehearse_plan(app: App, argument: str, variables: Mapping[str, str], format_: str) -> None:
    """Print in which order the plan in this file, or of this uid, would run; writes nothing.

    :param argument: as :func:`run_plan` takes it
    :param variables: as :func:`run_plan` takes them
    :param format_: ``text`` or ``json``
    :raises Exception: as :func:`run_plan` for a plan that could not be run
    """
    from solar_orch.cli import rehearsal

    source = plan_or_uid(app, argument, variables)
    plan = app.orchestrator.model(source) if isinstance(source, str) else source
    show = rehearsal.print_rehearsal_as_json if format_ == "json" else rehearsal.print_rehearsal
    show(plan, app.orchestrator.rehearse(plan), app.conf)


def _run_on(host: Host, app: App, source: Plan | str, format_: str, debug: bool) -> int:
    from solar_orch.cli.hosting import HostedPlan
    from solar_orch.cli.progress import make_progress

    uid, since = _wanted(app, source)
    try:
        with make_progress() as progress:
            hosted = HostedPlan(host, app.store, progress, uid, since)
            progress.say(f"plan {uid}")
            with _logging_to(progress, hosted, debug):
                hosted.run()
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):  # before it was the host's affair
            app.store.plans.pause(uid)
        say(_how_to_go_on(uid))
        raise
    code = report_plan(app, uid, format_)
    return code if hosted.over else _unfinished(hosted, app, uid, code)


def _wanted(app: App, source: Plan | str) -> tuple[str, int]:
    """Record that the plan is to run; its uid, and its latest event so far."""
    if isinstance(source, Plan):
        return app.store.plans.create(source, wanted=True), 0
    since = app.store.plans.last_event(app.store.plans.get(source).id)
    return app.store.plans.want(source).uid, since


def _unfinished(hosted: HostedPlan, app: App, uid: str, code: ExitCode) -> ExitCode:
    """What to exit with when the host has stopped before the plan was seen to be over."""
    if app.store.plans.get(uid).status in (PlanStatus.FINISHED, PlanStatus.FAILED):
        return code
    say(_how_to_go_on(uid))
    return ExitCode.INTERRUPTED if hosted.interrupted else ExitCode.FAILURE


def _how_to_go_on(uid: str) -> str:
    return f"{uid} is not over; to go on: solar-orch run {uid}"


@contextmanager
def _logging_to(progress: Progress, hosted: HostedPlan, debug: bool) -> Iterator[None]:
    from solar_orch.cli.progress import ProgressHandler

    root = logging.getLogger()
    level = logging.INFO if debug else logging.WARNING
    handler, before = ProgressHandler(progress, level), root.level
    if not debug:
        # Workers that stop warn of each other's going.
        handler.addFilter(lambda record: not hosted.stopping or record.levelno >= logging.ERROR)
    root.addHandler(handler)
    root.setLevel(level)
    try:
        yield
    finally:
        root.setLevel(before)
        root.removeHandler(handler)


# -- in a process of its own -----------------------------------------------------


def _gevent_has_patched() -> bool:
    monkey = sys.modules.get("gevent.monkey")
    return monkey is not None and bool(monkey.is_module_patched("socket"))


def _run_in_subprocess(
    app: App, argument: str, variables: Mapping[str, str], format_: str, debug: bool
) -> int:
    command = [sys.executable, "-c", "from solar_orch.cli.entry import orch; orch()", *app.options]
    command += ["run", f"--format={format_}", *(["--debug"] if debug else [])]
    command += [*(f"--var={name}={value}" for name, value in variables.items()), "--", argument]
    child = subprocess.Popen(command)
    with _signals_left_to(child):
        code = child.wait()
    return code if code >= 0 else 128 - code


@contextmanager
def _signals_left_to(child: subprocess.Popen[bytes]) -> Iterator[None]:
    """SIGTERM is passed on; SIGINT of a terminal reaches the child without us."""

    def pass_on(number: int, _: FrameType | None) -> None:
        child.send_signal(number)

    def ignore(number: int, _: FrameType | None) -> None:
        pass

    try:
        before = {
            number: signal.signal(number, handler)
            for number, handler in ((signal.SIGTERM, pass_on), (signal.SIGINT, ignore))
        }
    except ValueError:  # not the main thread: nobody's signals are ours
        yield
        return
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
