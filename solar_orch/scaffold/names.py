"""The names of a new distribution, and what each of them must not be."""

from __future__ import annotations

import importlib.util
import keyword
import logging
import re
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from solar_orch import plugins
from solar_orch.errors import NameRefused, SolarError
from solar_orch.scaffold.kinds import Kind

if TYPE_CHECKING:
    from oslo_config import cfg

    from solar_orch.workers.base import Worker

LOG = logging.getLogger(__name__)

#: A name of a distribution, as of PEP 508.
_DISTRIBUTION = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
#: What PEP 503 takes for the same.
_SEPARATORS = re.compile(r"[-_.]+")
#: By convention the names of distributions with parts begin so, which the names of the parts need not.
_PREFIX = "solar_orch_"
#: Modules that a directory with a distribution in it has already.
_TAKEN = frozenset({"setup", "tests", "conftest"})
#: Bytes of the longest name; files are called by it, and what is built of it is longer.
_MAX_LENGTH = 100


@dataclass(frozen=True, slots=True)
class Names:
    """What a distribution, and what is in it, is called."""

    #: Of the distribution, as it was given.
    distribution: str
    #: Of the package that holds the code.
    module: str
    #: Of the entry point: how configurations and plans call the part.
    part: str


def derive(name: str) -> Names:
    """The names that follow from that of a distribution.

    :raises NameRefused: if it cannot be one, or no Python name can be made of it
    """
    if len(name) > _MAX_LENGTH:
        raise NameRefused(name[:_MAX_LENGTH], f"it is longer than {_MAX_LENGTH} characters")
    if _DISTRIBUTION.fullmatch(name) is None:
        raise NameRefused(
            name,
            "a distribution's name consists of letters, digits, '-', '_' and '.', and begins and ends with"
            " a letter or digit; try one such as acme-http",
        )
    module = _SEPARATORS.sub("_", name).lower()
    part = module.removeprefix(_PREFIX)
    for what, derived in (("the package", module), ("the part", part)):
        _must_be_identifier(name, what, derived)
    return Names(name, module, part)


def _must_be_identifier(name: str, what: str, derived: str) -> None:
    if keyword.iskeyword(derived):
        raise NameRefused(
            name, f"{what} would be called {derived}, which is a keyword of Python; try acme-{name}"
        )
    if not derived.isidentifier():
        raise NameRefused(
            name, f"{what} would be called {derived}, which is no name in Python; begin it with a letter"
        )


def refuse_clashes(names: Names, kind: Kind, worker: str, conf: cfg.ConfigOpts | None) -> None:
    """See that nothing which is there already has one of these names.

    For a task type the configured tasks driver is imported.

    :param worker: that the part is for
    :param conf: names the tasks driver; the one that ships counts when None, or when that cannot be had
    :raises NameRefused: if something has
    """
    _refuse_known_module(names)
    for namespace in kind.namespaces(names.part, worker):
        for entry in plugins.entries(namespace):
            if entry.name == names.part:
                raise NameRefused(
                    names.distribution,
                    f"{entry.package} has registered {names.part} in {namespace} already;"
                    " choose another name, or uninstall that",
                )
    if kind.is_task_type:
        _refuse_what_no_task_type_can_be_called(names, conf)


def _refuse_known_module(names: Names) -> None:
    module = names.module
    if module in sys.stdlib_module_names:
        problem = f"the package would be called {module}, as a module of Python's standard library"
    elif module in _TAKEN:
        problem = f"the package would be called {module}, which stands for something else in a distribution"
    elif importlib.util.find_spec(module) is not None:
        problem = f"a module {module} is installed already"
    else:
        return
    raise NameRefused(names.distribution, f"{problem}; try another one, such as acme-{names.distribution}")


def _refuse_what_no_task_type_can_be_called(names: Names, conf: cfg.ConfigOpts | None) -> None:
    try:
        _tasks_worker(conf).add_method(names.part, print)
    except ValueError as error:
        raise NameRefused(
            names.distribution, f"no task type can be called {names.part}: {error}; choose another name"
        ) from error


def _tasks_worker(conf: cfg.ConfigOpts | None) -> Worker:
    """What the type will be added to, as far as that can be told where it is begun."""
    from solar_orch import config
    from solar_orch.extensions import make_worker
    from solar_orch.workers.tasks import Tasks

    if conf is not None:
        try:
            return make_worker(conf, {}, "tasks")
        except SolarError as error:
            LOG.debug("the configured tasks driver cannot be asked: %s", error)
    return Tasks(config.defaults(), {})
