"""Every command line that is shown, by ``--help`` or in the documentation, is run as it stands there."""

from __future__ import annotations

import contextlib
import itertools
import re
import subprocess
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import click
import pytest
from distributions import environment, install, write
from harness import PATIENCE, Site, gated, open_site, plan, script, task, wait_until

import solar_orch
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
        return self.site.create(self.plan(command))

    def ended(self) -> None:
        assert self.site.run(self.created()).status == "finished"

    def failed(self) -> None:
        mended = f"mended-{next(_NUMBERS)}"
        assert self.site.run(self.created(f"[ -e {mended} ]")).status == "failed"
        self.site.open(mended)

    def running(self, gate: str = "never") -> None:
        """One of its tasks waits for a file."""
        uid = self.site.want(self.created(gated(gate)))
        wait_until(lambda: self.site.look(uid).states["web1.configure"] == "INPROGRESS")

    def stopped(self) -> None:
        self.running("let-go")
        uid = self.site.store.plans.stop("last").uid
        self.site.open("let-go")
        wait_until(lambda: "INPROGRESS" not in self.site.look(uid).states.values())

    def staged(self) -> None:
        for _ in range(4):
            self.site.store.log.stage("web1", "restart")


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
    return " ".join(str(item["id"]) for item in stage.site.store.log.staged()[-2:])


# -- the documentation ---------------------------------------------------------------------

#: Commands that exit with what has become of the tasks, or with 3 where they do not wait longer.
JUDGING = frozenset({"run", "run-once", "report", "restart", "resume", "retry"})


@dataclass(frozen=True)
class Typed:
    """A line that a page shows."""

    line: str
    #: Whether the page shows an error as its answer.
    is_error: bool

    @property
    def codes(self) -> set[int]:
        """Those with which it may exit."""
        if self.is_error:
            return {2}
        verb = self.line.split()[1]
        if verb in ("stop", "cancel"):
            # On a slow machine the plan may have come to its end before.
            return {0, 2}
        return {0, 1, 3} if verb in JUDGING else {0}


def _typed(text: str) -> Iterator[Typed]:
    lines = text.splitlines()
    for line, answer in zip(lines, [*lines[1:], ""], strict=True):
        # Besides solar-orch, what makes and mends the faults of an example.
        if found := re.fullmatch(r" +\$ (?:pip install \. && )?((?:solar-orch|touch|rm) .*)", line):
            yield Typed(found[1], answer.strip().startswith("solar-orch: error: "))


PAGES = {
    path.stem: list(_typed(path.read_text()))
    for path in (*sorted((ROOT / "docs").glob("*.rst")), ROOT / "README.rst")
}


#: Pages whose lines need more than a plan, and have a test of their own.
OF_THEIR_OWN = frozenset({"plugins", "tutorial"})

#: The distributions of ``docs/examples`` that a page takes for installed.
INSTALLED = {"examples": ("solar-rehearsal", "solar-rolling")}


@pytest.mark.parametrize(
    "page", [name for name, lines in PAGES.items() if lines and name not in OF_THEIR_OWN]
)
def test_the_lines_of_a_page_are_typed_in_their_order(page: str, tmp_path: Path):
    with open_stage() as stage:
        for name in INSTALLED.get(page, ()):
            home = install(ROOT / "docs" / "examples" / name, tmp_path / name)
            stage.site.env = environment(home, base=stage.site.env)
        stage.site.write("site.yaml", stage.plan("true"))
        (stage.site.root / "fleet.yaml").symlink_to(ROOT / "docs" / "examples" / "plans" / "fleet.yaml")
        if page != "session":  # which begins with an empty database
            stage.ended()
        for typed in PAGES[page]:
            done = stage.type(typed.line)
            assert done.returncode in typed.codes, f"{typed.line}\n{done.stdout}{done.stderr}"
            assert "Traceback" not in done.stderr, f"{typed.line}\n{done.stderr}"


def _transcripts(text: str) -> Iterator[tuple[str, str]]:
    """Each line that a page types, with all that the page shows as its answer."""
    for block in re.findall(r"\.\. code-block:: console\n\n((?:    .*\n|\n)+)", text):
        for typed in re.split(r"^\$ ", textwrap.dedent(block).strip(), flags=re.MULTILINE)[1:]:
            line, _, shown = typed.partition("\n")
            yield line, shown.strip()


def test_what_the_page_about_parts_shows_is_what_is_printed():
    shown = list(_transcripts((ROOT / "docs" / "plugins.rst").read_text()))
    assert [line for line, _ in shown] == [typed.line for typed in PAGES["plugins"]]
    with open_site() as site:
        source = (ROOT / "docs" / "examples" / "rack_limits.py").read_text()
        points = {"solar.orchestration.limits": {"rack": "rack_limits:Rack"}}
        home = write(site.root / "home", "rack-limits", points, {"rack_limits": source})
        site.env = environment(home, base=site.env)
        stage = Stage(site)
        for line, answer in shown:
            done = stage.type(line)
            assert done.returncode == ("->" in answer), done.stderr
            printed = done.stdout
            for path in (home, Path(solar_orch.__file__).parents[1]):
                printed = printed.replace(str(path), "/srv/solar/lib")
            assert _without_numbers(printed).strip() == _without_numbers(answer)


def _without_numbers(text: str) -> str:
    """What ships may grow."""
    return re.sub(r"^\d+ parts", "N parts", text, flags=re.MULTILINE)
