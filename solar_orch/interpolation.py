"""Which options show a secret, because what is written for them names a secret option, as in ``$token``."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Any

from oslo_config import cfg
from oslo_config.sources import _environment


def is_secret(conf: cfg.ConfigOpts, name: str, group: str | None) -> bool:
    """Whether the value of a registered option must not be shown: it is secret, or is made of one that is.

    :param group: in which the option is registered; None: ``DEFAULT``
    """
    return _is_secret(conf, name, group, set())


def _is_secret(
    conf: cfg.ConfigOpts, name: str, group: str | None, known: set[tuple[str | None, str]]
) -> bool:
    info = _info(conf, name, group)
    if info is None or (group, name) in known:
        return False
    known.add((group, name))
    if info["opt"].secret:
        return True
    # Wherever it may be taken from: to hide too much does no harm.
    return any(
        _is_secret(conf, *named, known)
        for text in _texts(_written(conf, info, group))
        for interpolated in _names(text)
        for named in _meant(interpolated, group)
    )


def _written(conf: cfg.ConfigOpts, info: Any, group: str | None) -> Iterator[Any]:
    """What stands for an option in whichever place, before anything is put in."""
    option: cfg.Opt = info["opt"]
    yield from (option.default, info.get("default"), info.get("override"))
    with contextlib.suppress(KeyError):
        yield os.environ[_environment.EnvironmentConfigurationSource.get_name(group, option.dest)]
    # oslo.config hands out only what has been put together.
    section = group or "DEFAULT"
    names = [(section, option.dest), *((old.group or section, old.name) for old in option.deprecated_opts)]
    namespace: Any = conf._namespace
    for name in names if namespace is not None else ():
        with contextlib.suppress(KeyError):
            yield namespace._get_file_value([name], multi=True)[0]


def _texts(values: Any) -> Iterator[str]:
    """The texts in lists and mappings of whatever depth."""
    if isinstance(values, str):
        yield values
    elif isinstance(values, dict):
        yield from _texts([*values, *values.values()])
    elif isinstance(values, list | tuple | Iterator):
        for each in values:
            yield from _texts(each)


def _names(text: str) -> list[str]:
    return cfg.ConfigOpts.Template(text.replace(r"\$", "$$")).get_identifiers()


def _meant(interpolated: str, group: str | None) -> Iterator[tuple[str, str | None]]:
    """The names, each with its group, that one may stand for in what is written for an option of `group`."""
    other, dot, rest = interpolated.partition(".")
    yield (rest, other) if dot else (interpolated, group)
    yield interpolated, None


def _info(conf: cfg.ConfigOpts, name: str, group: str | None) -> Any:
    """What oslo.config keeps of an option, as a mapping; None if there is none of that name."""
    try:
        return conf._get_opt_info(name, group)
    except cfg.Error:
        return None
