"""All options that there are, for ``oslo-config-generator --namespace solar_orch`` and for listings."""

from __future__ import annotations

import logging
from collections.abc import Iterator

from oslo_config import cfg

from solar_orch import config, plugins
from solar_orch.contracts.options import Group, as_mapping
from solar_orch.errors import SolarError

LOG = logging.getLogger(__name__)


def list_opts() -> list[tuple[Group, list[cfg.Opt]]]:
    """The options of this package, and those of the parts of all installed packages.

    Imports all parts.  What a part that cannot be loaded would bring is left out, with a warning.
    """
    own = as_mapping(config.list_opts())
    with plugins.session():
        brought = as_mapping([each for plugin in installed() for each in plugins.options_of(plugin)])
    return [
        (group, [*own.get(group, []), *brought.get(group, [])]) for group in dict.fromkeys([*own, *brought])
    ]


def installed() -> Iterator[plugins.Plugin]:
    """All parts that can be had with their options; a warning is logged for each other one."""
    for namespace in plugins.namespaces():
        for name in plugins.names(namespace):
            try:
                plugin = plugins.load_one(namespace, name)
                plugins.options_of(plugin)
            except SolarError as error:
                LOG.warning("no options of a part that cannot be loaded: %s", error)
            else:
                yield plugin
