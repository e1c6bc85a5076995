"""The process in which parts are examined: a fresh interpreter that is asked once.

So neither what the asking program has imported nor its threads matter, and
nothing that a part does can reach it.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from solar_orch import config
from solar_orch.doctor.findings import Diagnosis
from solar_orch.doctor.registry import Registry
from solar_orch.errors import ExaminationFailed

if TYPE_CHECKING:
    from oslo_config import cfg

_START = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from solar_orch.doctor.bench import answer; answer()"
)


def examine(options: Sequence[str], seconds: float) -> Diagnosis:
    """Look at every installed part, and at all of them together; blocks for as long as that takes.

    :param options: ``--config-file=PATH`` and ``--config-dir=DIR``, as for :func:`solar_orch.config.load`
    :param seconds: that the import of one part may take
    :raises ConfigError: if the configuration cannot be used
    :raises ExaminationFailed: if it could not be done
    """
    _load(options)
    return Diagnosis.from_dict(_ask({"options": list(options), "seconds": seconds}))


def describe(options: Sequence[str], namespace: str, name: str, seconds: float) -> list[dict[str, Any]]:
    """Describe the parts of one name, more than one if several packages register it; blocks.

    :param namespace: whose prefix ``solar.orchestration.`` may be left out
    :raises UnknownPart: if there is none
    :raises ConfigError, ExaminationFailed: as :func:`examine`
    """
    Registry(_load(options)).find(namespace, name)
    request = {"options": list(options), "seconds": seconds, "namespace": namespace, "name": name}
    return cast(list[dict[str, Any]], _ask(request))


def _load(options: Sequence[str]) -> cfg.ConfigOpts:
    return config.load(options, prog="solar-orch")


def _ask(request: dict[str, Any]) -> Any:
    # -P: the directory in which this is typed must not have a say in what is imported.
    asked = subprocess.run(
        [sys.executable, "-P", "-c", _START, json.dumps(sys.path)],
        input=json.dumps(request),
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    try:
        return json.loads(asked.stdout)
    except ValueError:
        said = asked.stderr.strip().splitlines()
        problem = said[-1] if said else f"the process ended with {asked.returncode}"
        raise ExaminationFailed(problem) from None


def answer() -> None:
    """Of that process: read what is asked for on stdin, and answer on stdout."""
    request = json.load(sys.stdin)
    conf = _load(request["options"])
    seconds = request["seconds"]
    if "namespace" in request:
        from solar_orch.doctor import description

        answered: Any = description.describe(conf, request["namespace"], request["name"], seconds)
    else:
        from solar_orch.doctor import examination

        answered = examination.examine(conf, seconds).as_dict()
    json.dump(answered, sys.stdout)
    sys.stdout.flush()
