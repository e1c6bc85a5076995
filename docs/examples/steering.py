"""Steer plans from a program: run one, try again what failed, and say what became of it."""

import sys

from solar_orch import Orchestrator, config
from solar_orch.plan.parse import parse


def run_with_second_chance(path, seconds=60, **options):
    """Run the plan in a file, and once more what has failed of it; task name to state.

    Needs a ``solar-worker`` that is up.
    """
    conf = config.load(prog="steering", overrides=options)
    with open(path, "rb") as file:
        plan = parse(file.read(), path)
    with Orchestrator(conf) as orchestrator:
        uid = orchestrator.create(plan)
        orchestrator.run_once(uid)
        over = orchestrator.wait(uid, seconds)
        if over and orchestrator.has_failed(uid):
            orchestrator.retry(uid)
            over = orchestrator.wait(uid, seconds)
        if not over:
            orchestrator.cancel(uid)
        _, outcomes = orchestrator.report(uid, output=False)
    return {outcome.name: str(outcome.status) for outcome in outcomes}


if __name__ == "__main__":
    for name, state in run_with_second_chance(sys.argv[1]).items():
        print(name, state)
