"""Every command line that is shown, by ``--help`` or in the documentation, is run as it stands there."""

from __future__ import annotations

import contextlib
import itertools
import json
import re
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import click
import pytest
from harness import PATIENCE, Site, gated, open_site, plan, script, task, wait_until

from solar_orch.cli import orch

ROOT = Path(__file__).parents[2]

# -- the examples of --help --------------------------------------------------------------


@dataclass(frozen=True)
class Example:
    """A command line that the help of a command shows."""

    command: str
    line: str


def _commands(group: click.Group, path: str = "") -> Iterator[tuple[str, click.Command]]:
    for name, command in group.commands.items():
        own = f"{path} {name}".strip()
        yield own, command
        if isinstance(command, click.Group):
            yield from _commands(command, own)


COMMANDS = dict(_commands(orch))

EXAMPLES = [
    Example(name, line.strip())
    for name, command in COMMANDS.items()
    for line in (command.help or "").splitlines()
    if line.strip().startswith("solar-orch ")
]


def test_the_help_of_each_command_has_an_example_of_it():
    shown = {
        example.command for example in EXAMPLES if example.line.startswith(f"solar-orch {example.command}")
    }
    assert shown == set(COMMANDS)


#: For names of files that no earlier example has made.
_NUMBERS = itertools.count()


class Stage:
    """A site in which the examples find what they are about."""

    def __init__(self, site: Site) -> None:
        self.site = site
        (site.root / "docs").symlink_to(ROOT / "docs")
        site.write("rollout.yaml", self.plan("true"))

    def plan(self, command: str) -> dict[str, object]:
        """A plan with the names that examples use, one task of which runs `command`."""
        return {
            **plan(
                task("db.setup", "cmd", "echo ready", target="db"),
                task("web1.install", "cmd", "echo installed ${version}", after=["db.setup"], target="web1"),
                task("web1.configure", "cmd", command, after=["web1.install"], target="web1"),
                task("web1.restart", "cmd", "true", after=["web1.configure"], target="web1"),
                name="rollout",
            ),
            "vars": {"version": "2.4.0"},
        }

    def orch(self, *args: str, code: int = 0) -> str:
        """What a command prints, which ends with this code."""
        done = self.site.orch(*args)
        assert done.returncode == code, done.stderr
        return done.stdout.strip()

    def type(self, line: str) -> subprocess.CompletedProcess[str]:
        """Run a line as a shell does that a person types it into."""
        return subprocess.run(
            ["/bin/sh", "-c", line],
            env={**self.site.env, "PATH": f"{Path(script('solar-orch')).parent}:{self.site.env['PATH']}"},
            cwd=self.site.root,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )

    # -- what there is before an example is run

    def created(self, command: str = "true") -> str:
        return self.orch("create", self.site.write("made.yaml", self.plan(command)))

    def ended(self) -> None:
        self.orch("run-once", self.created(), "-w", "60")

    def failed(self) -> None:
        mended = f"mended-{next(_NUMBERS)}"
        self.orch("run-once", self.created(f"[ -e {mended} ]"), "-w", "60", code=1)
        self.site.open(mended)

    def running(self, gate: str = "never") -> None:
        """One of its tasks waits for a file."""
        uid = self.created(gated(gate))
        self.orch("run-once", uid)
        wait_until(lambda: "INPROGRESS" in self._states(uid)["web1.configure"])

    def stopped(self) -> None:
        self.running("let-go")
        self.orch("stop", "last")
        self.site.open("let-go")
        wait_until(lambda: "INPROGRESS" not in self._states("last").values())

    def staged(self) -> None:
        for _ in range(4):
            self.orch("log", "stage", "web1", "restart")

    def _states(self, uid: str) -> dict[str, str]:
        report = json.loads(self.site.orch("report", uid, "--format", "json").stdout)
        return {task["name"]: task["status"] for task in report["tasks"]}


#: What an example needs, by its command; an ended plan where there is nothing.
NEEDED: dict[str, Callable[[Stage], object]] = {
    "filter": Stage.created,
    "run-once": Stage.created,
    "retry": Stage.failed,
    "noop": Stage.failed,
    "stop": Stage.running,
    "cancel": Stage.running,
    "resume": Stage.stopped,
    "log discard": Stage.staged,
}


@contextlib.contextmanager
def open_stage() -> Iterator[Stage]:
    """A stage on which a worker is up."""
    with open_site() as site:
        stage = Stage(site)
        site.worker()
        yield stage


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with open_stage() as opened:
        yield opened


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.line)
def test_an_example_of_help_does_what_it_should(stage: Stage, example: Example):
    NEEDED.get(example.command, Stage.ended)(stage)
    # Their numbers begin anew with each database.
    line = re.sub(r"discard \d+ \d+", lambda _: f"discard {_latest(stage)}", example.line)
    done = stage.type(line)
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
    if example.line.startswith("solar-orch run "):
        assert done.stdout


def _latest(stage: Stage) -> str:
    items = json.loads(stage.orch("log", "staged", "--format", "json"))
    return " ".join(str(item["id"]) for item in items[-2:])


# -- the documentation ---------------------------------------------------------------------

PAGES = {
    path.stem: re.findall(r"^ +\$ (?:pip install \. && )?(solar-orch .*)$", path.read_text(), re.MULTILINE)
    for path in (*sorted((ROOT / "docs").glob("*.rst")), ROOT / "README.rst")
}

#: Commands whose exit code judges the tasks.
JUDGING = ("run", "run-once", "report", "restart", "resume", "retry")


@pytest.mark.parametrize("page", [name for name, lines in PAGES.items() if lines])
def test_the_lines_of_a_page_are_run_in_their_order(page: str):
    with open_stage() as stage:
        stage.site.write("site.yaml", stage.plan("true"))
        stage.ended()
        for line in PAGES[page]:
            done = stage.type(line)
            good = (0, 1) if line.split()[1] in JUDGING else (0,)
            assert done.returncode in good, f"{line}\n{done.stderr}"
            assert "Traceback" not in done.stderr, f"{line}\n{done.stderr}"
