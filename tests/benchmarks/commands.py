"""How long the commands take, each from the start of its process to its end."""

from __future__ import annotations

import subprocess
import time

from harness import WORKERS, Site, script

from benchmarks.measure import Late
from benchmarks.results import Results
from benchmarks.subjects.solar import create, fresh_site
from benchmarks.workloads import LARGE, SMALL, as_json, as_yaml

#: How often each short command is run at most.
_TIMES = 7


def start(results: Results, rounds: int, limit: float) -> None:
    """Commands that are short, so that most of their time is that of their start."""
    with fresh_site() as site:
        uid = _plan_that_has_run(site)
        one = site.write("one.yaml", as_yaml([[]]))
        for _ in range(min(2 * rounds, _TIMES)):
            results.note("help", _seconds(site, limit, "--help"))
            results.note("report", _seconds(site, limit, "report", uid, "--format", "json"))
            results.note("run", _seconds(site, limit, "run", one))
            results.note("ready", _seconds_until_ready(site))


def create_large(results: Results, rounds: int, limit: float) -> None:
    """A large plan from its file into the database."""
    with fresh_site() as site:
        [parents] = LARGE.graphs
        files = {
            "create_yaml": site.write("large.yaml", as_yaml(parents)),
            "create_json": site.write("large.json", as_json(parents)),
        }
        for _ in range(min(rounds, 2)):
            for figure, file in files.items():
                results.note(figure, _seconds(site, limit, "create", file))


def _plan_that_has_run(site: Site) -> str:
    [uid] = create(site, SMALL.graphs)
    worker = site.worker()
    site.run(uid)
    worker.stop()
    return uid


def _seconds(site: Site, limit: float, *args: str) -> float:
    """How long ``solar-orch`` takes."""
    began = time.perf_counter()
    try:
        done = subprocess.run(
            [script("solar-orch"), *args],
            env=site.env,
            cwd=site.root,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=limit,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise Late(f"solar-orch {args[0]} took more than {limit:g} s") from None
    seconds = time.perf_counter() - began
    if done.returncode:
        raise AssertionError(f"solar-orch {' '.join(args)} ended with {done.returncode}: {done.stderr}")
    return seconds


def _seconds_until_ready(site: Site) -> float:
    """How long ``solar-worker`` takes until all of its workers take calls."""
    began = time.perf_counter()
    with subprocess.Popen(
        [script("solar-worker")], env=site.env, cwd=site.root, stderr=subprocess.PIPE, text=True
    ) as worker:
        assert worker.stderr is not None
        missing = set(WORKERS)
        for line in worker.stderr:
            missing -= {name for name in missing if f" {name}: ready at " in line}
            if not missing:
                break
        seconds = time.perf_counter() - began
        worker.terminate()
        rest = worker.stderr.read()
    if missing or worker.returncode:
        raise AssertionError(f"solar-worker ended with {worker.returncode}: {rest}")
    return seconds
