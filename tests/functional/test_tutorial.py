"""``docs/tutorial.rst`` is followed as a reader does, in an environment of its own."""

from __future__ import annotations

import ast
import filecmp
import re
import shutil
import subprocess
import textwrap
from collections.abc import Iterator
from pathlib import Path

import environments
import pytest
from harness import PATIENCE, Site, with_free_port

from solar_orch.scaffold import names, rendering
from solar_orch.scaffold.kinds import KINDS

ROOT = Path(__file__).parents[2]
TUTORIAL = (ROOT / "docs" / "tutorial.rst").read_text()
#: The distribution as it is at the end.
FINISHED = ROOT / "docs" / "first-part" / "solar-orch-listens"
#: What the reader changes.
CHANGED = (
    "src/solar_orch_listens/ports.py",
    "tests/test_solar_orch_listens.py",
    "examples/plan.yaml",
)

#: Where the reader changes the code.
CHANGE = "Change it\n---------\n"
#: What needs the network, or is there already in the environment of the test.
NOT_TYPED = (
    "python3 -m venv .venv && . .venv/bin/activate",
    "pip install solar-orch",
    "pip install build twine",
    "python -m build",
    "twine upload dist/*",
)


def transcripts(text: str) -> Iterator[tuple[str, str]]:
    """Each line that is typed, with all that is shown as its answer."""
    for block in re.findall(r"\.\. code-block:: console\n\n((?:    .*\n|\n)+)", text):
        for typed in re.split(r"^\$ ", textwrap.dedent(block).strip(), flags=re.MULTILINE)[1:]:
            line, _, shown = typed.partition("\n")
            yield line, shown.strip()


class Reader:
    """Types what the tutorial shows."""

    def __init__(self, site: Site) -> None:
        self.env = environments.activated(environments.make(site.root / "venv"), site.env)
        self.cwd = site.root
        self.typed: list[str] = []

    def follow(self, text: str) -> None:
        """Type all lines of a piece of the page, and compare what is printed."""
        for line, shown in transcripts(text):
            self.typed.append(line)
            if line in NOT_TYPED:
                continue
            if line.startswith("cd "):
                self.cwd /= line.removeprefix("cd ")
                continue
            done = subprocess.run(
                ["/bin/sh", "-c", line],
                cwd=self.cwd,
                env=self.env,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=2 * PATIENCE,
                check=False,
            )
            printed = done.stderr + done.stdout
            assert done.returncode == 0, f"{line}\n{printed}"
            assert is_shown(printed, shown), f"$ {line}\n{printed}\nis shown as\n{shown}"

    def write(self, source: Path, names: tuple[str, ...]) -> None:
        for name in names:
            shutil.copy(source / name, self.cwd / name)


def is_shown(printed: str, shown: str) -> bool:
    """Whether a page shows what is printed: ``...`` stands for any lines, and measured numbers do not count."""
    pattern = r"(?:.*\n)*".join(
        "".join(f"{re.escape(unmeasured(line))}\n" for line in piece.splitlines())
        for piece in re.split(r"(?m)^\.\.\.\n", f"{shown}\n")
    )
    lines = "".join(f"{unmeasured(line)}\n" for line in printed.strip().splitlines())
    return re.fullmatch(pattern, lines) is not None


def unmeasured(line: str) -> str:
    """A line without what differs from one run to the next, nor the width of columns."""
    line = re.sub(r"/\S*/solar-orch-listens/", "/HOME/solar-orch-listens/", line)
    line = re.sub(r":[0-9a-f]{8}\b", ":UID", line)
    line = re.sub(r"\d+\.\d+ ?s\b", "N s", line)
    line = re.sub(r"^\d+ passed", "N passed", line)
    line = re.sub(r"127\.0\.0\.1(:|\W+port\W+)\d+", r"127.0.0.1\1PORT", line)
    line = re.sub(r"(try |\"tries\": )\d+", r"\1N", line)
    return " ".join(line.split())


@pytest.mark.timeout(300)
def test_the_tutorial_leads_to_a_part_that_is_used(site: Site):
    reader = Reader(site)
    site.env["COLUMNS"] = "120"
    before, _, after = TUTORIAL.partition(CHANGE)
    assert after
    made, found, rest = before.partition("Use it in a plan\n")
    assert found
    reader.follow(made)
    with_free_port(reader.cwd / "examples" / "plan.yaml")
    reader.follow(rest)
    reader.write(FINISHED, CHANGED)
    with_free_port(reader.cwd / "examples" / "plan.yaml")
    reader.follow(after)
    assert set(NOT_TYPED) <= set(reader.typed)
    assert any(line.startswith("solar-orch output ") for line in reader.typed)


def test_what_the_reader_has_in_the_end_is_what_was_made_and_what_is_shown(tmp_path: Path):
    made = rendering.render(KINDS["task-type"], names.derive("solar-orch-listens"), "tasks")
    for path, text in made.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    _, different, missing = filecmp.cmpfiles(tmp_path, FINISHED, list(made), shallow=False)
    assert (sorted(different), missing) == (sorted(CHANGED), [])


def test_each_change_is_shown_to_the_reader():
    """Lines that differ from what was made stand in one of the listings."""
    made = rendering.render(KINDS["task-type"], names.derive("solar-orch-listens"), "tasks")
    listings = re.findall(
        r"\.\. literalinclude:: first-part/solar-orch-listens/(\S+)\n((?:   :.*\n)+)", TUTORIAL
    )
    for path in CHANGED:
        shown = "".join(
            listing(path, dict(re.findall(r":([\w-]+): *(.*)", options)))
            for name, options in listings
            if name == path
        ).splitlines()
        old = made[path].splitlines()
        new = (FINISHED / path).read_text().splitlines()
        assert [line for line in new if line not in old and line not in shown] == []


def listing(path: str, options: dict[str, str]) -> str:
    """What the page shows of a file, by the options of ``literalinclude`` that it uses."""
    text = (FINISHED / path).read_text()
    if "pyobject" in options:
        return definition(text, options["pyobject"])
    lines = text.splitlines(keepends=True)
    if "start-at" in options:
        first = next(number for number, line in enumerate(lines) if options["start-at"] in line)
        lines = lines[first:]
    if "end-before" in options:
        last = next(number for number, line in enumerate(lines) if options["end-before"] in line)
        lines = lines[:last]
    return "".join(lines)


def definition(text: str, name: str) -> str:
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name == name:
            return "".join(text.splitlines(keepends=True)[node.lineno - 1 : node.end_lineno])
    raise AssertionError(f"there is no {name}")
