"""Run a plan inside this process, without sockets and without a worker elsewhere."""

import sys

import gevent

from solar_orch import config
from solar_orch.host import Host
from solar_orch.plan.parse import parse
from solar_orch.plan.report import as_dict
from solar_orch.states import PlanStatus
from solar_orch.store import Store


def run_plan(path, **options):
    """Run the plan in a file to its end; its report, as ``solar-orch report --format json`` prints it."""
    conf = config.load(prog="embedding", overrides={"executor": "inline", **options})
    host = Host(conf)
    host.build()  # a part that is missing shows here, before anything is written
    store = Store(conf)
    with open(path, "rb") as file:
        uid = store.plans.create(parse(file.read(), path), wanted=True)
    running = gevent.spawn(host.run)
    try:
        while store.plans.get(uid).status is PlanStatus.RUNNING and not running.ready():
            gevent.sleep(0.05)
    finally:
        host.stop()
        running.get()  # raises what the host ended with
    plan, outcomes = store.plans.outcomes(uid)
    store.close()
    return as_dict(plan.uid, plan.name, plan.status, outcomes)


if __name__ == "__main__":
    for task in run_plan(sys.argv[1])["tasks"]:
        print(task["name"], task["status"])
