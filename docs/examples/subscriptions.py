"""A construct hook of the tasks worker: a freeze, and a file of what failed."""

from pathlib import Path

from solar_orch.errors import Rejected


def tasks_hook(worker, clients):
    """Refuse commands while the file FREEZE stands in the state directory; write failures down."""
    state_dir = Path(worker.conf.orchestration.state_dir)

    def refuse_while_frozen(ctxt):
        if (state_dir / "FREEZE").exists():
            raise Rejected("changes are frozen")

    def write_down(ctxt, error, /, *args, **kwargs):
        with (state_dir / "failures.log").open("a") as file:
            file.write(f"{ctxt['task_id']} attempt {ctxt['attempt']}: {error}\n")

    worker.cmd.before(refuse_while_frozen)
    worker.for_all.on_error(write_down)
