"""Names to parts: every way in which a part can be wrong is one error that says so."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from solar_orch import plugins
from solar_orch.errors import ConfigError, PluginError

RUN = "def run(executors, conf):\n    return 'ran'\n"
IMPORT_WORKER = "from solar_orch.workers.base import Worker\n"


def refused(namespace: str, name: str) -> PluginError:
    with pytest.raises(PluginError) as caught:
        plugins.load_one(namespace, name)
    assert caught.value.namespace == namespace
    assert caught.value.name == name
    assert "\n" not in str(caught.value)
    return caught.value


def place(home: Path, module: str, line: int) -> str:
    return f"[{home / module}.py:{line}]"


# -- what can be had ----------------------------------------------------------


def test_a_part_is_loaded_with_its_origin(packages):
    packages.add(
        "fast-run", {plugins.RUNNERS: {"fast": "fastrun:run"}}, version="2.1", modules={"fastrun": RUN}
    )
    plugin = plugins.load_one(plugins.RUNNERS, "fast")
    assert plugin.obj(None, None) == "ran"
    assert (plugin.namespace, plugin.name, plugin.target, plugin.package) == (
        plugins.RUNNERS,
        "fast",
        "fastrun:run",
        "fast-run 2.1",
    )


def test_a_module_can_be_the_part(packages):
    source = "class Executor:\n    def __init__(self, worker, address): ...\ndef Client(address): ...\n"
    packages.add("post", {plugins.EXECUTORS: {"post": "postbox"}}, modules={"postbox": source})
    assert plugins.load_one(plugins.EXECUTORS, "post").obj.__name__ == "postbox"


def test_all_are_loaded_in_the_order_of_their_names(packages):
    namespace = plugins.construct_hooks("pinger")
    hook = "def hook(worker, clients): ..."
    packages.add("two", {namespace: {"b": "two:hook", "d": "two:hook"}}, modules={"two": hook})
    packages.add("one", {namespace: {"c": "one:hook", "a": "one:hook"}}, modules={"one": hook})
    assert [plugin.name for plugin in plugins.load_all(namespace)] == ["a", "b", "c", "d"]
    assert plugins.names(namespace) == ["a", "b", "c", "d"]


def test_listing_imports_nothing(packages):
    packages.add("trap", {plugins.RUNNERS: {"trap": "trap:run"}}, modules={"trap": "raise SystemExit(9)"})
    [entry] = [entry for entry in plugins.entries(plugins.RUNNERS) if entry.name == "trap"]
    assert entry == plugins.Entry(plugins.RUNNERS, "trap", "trap:run", "trap 1.0")
    assert "trap" in plugins.names(plugins.RUNNERS)
    assert plugins.RUNNERS in plugins.namespaces()
    assert "trap" not in sys.modules


def test_a_package_installed_later_is_found(packages):
    missing = refused(plugins.RUNNERS, "late")
    assert "late" not in missing.available
    packages.add("late", {plugins.RUNNERS: {"late": "late:run"}}, modules={"late": RUN})
    assert plugins.load_one(plugins.RUNNERS, "late").package == "late 1.0"


def test_a_session_writes_down_what_was_loaded_in_it(packages):
    packages.add("runs", {plugins.RUNNERS: {"one": "runs:run", "two": "runs:run"}}, modules={"runs": RUN})
    plugins.load_one(plugins.RUNNERS, "one")
    with plugins.session() as loaded:
        for name in ("two", "one", "two"):
            plugins.load_one(plugins.RUNNERS, name)
        assert [plugin.name for plugin in loaded.values()] == ["two", "one"]
    plugins.load_one(plugins.RUNNERS, "one")
    assert len(loaded) == 2


# -- what cannot be loaded ----------------------------------------------------


def test_a_missing_name_says_which_there_are_and_who_asked(packages):
    packages.hide("solar-orch")
    packages.add("runs", {plugins.RUNNERS: {"b": "r:run", "a": "r:run"}}, modules={"r": RUN})
    with pytest.raises(PluginError) as caught:
        plugins.load_one(plugins.RUNNERS, "c", option="runner")
    error = caught.value
    assert error.available == ["a", "b"]
    assert error.package is None
    assert "option runner asks for" in error.cause
    assert "(names that could be had: a, b)" in str(error)


def test_an_import_error_names_the_authors_line(packages):
    source = "import json\n\nimport no_such_module_anywhere\n"
    home = packages.add("lame", {plugins.RUNNERS: {"lame": "lame:run"}}, modules={"lame": source})
    error = refused(plugins.RUNNERS, "lame")
    assert error.package == "lame 1.0"
    assert "ModuleNotFoundError: No module named 'no_such_module_anywhere'" in error.cause
    assert place(home, "lame", 3) in error.cause
    assert isinstance(error.__cause__, ModuleNotFoundError)


def test_the_innermost_line_counts(packages):
    home = packages.add(
        "deep",
        {plugins.RUNNERS: {"deep": "deep:run"}},
        modules={"deep": "import deeper\n", "deeper": "def f():\n    return 1 / 0\nf()\n"},
    )
    error = refused(plugins.RUNNERS, "deep")
    assert "ZeroDivisionError" in error.cause
    assert place(home, "deeper", 2) in error.cause


def test_a_syntax_error_names_its_line(packages):
    home = packages.add(
        "typo", {plugins.RUNNERS: {"typo": "typo:run"}}, modules={"typo": "x = 1\ndef run(:\n"}
    )
    error = refused(plugins.RUNNERS, "typo")
    assert "SyntaxError" in error.cause
    assert place(home, "typo", 2) in error.cause


def test_a_missing_module_or_attribute_has_no_line(packages):
    packages.add(
        "gone",
        {plugins.RUNNERS: {"module": "gone_away:run", "attribute": "gone:walk"}},
        modules={"gone": RUN},
    )
    assert refused(plugins.RUNNERS, "module").cause.endswith("No module named 'gone_away'")
    assert refused(plugins.RUNNERS, "attribute").cause.endswith("module 'gone' has no attribute 'walk'")


@pytest.mark.parametrize(
    ("statement", "text"),
    [
        ("import sys; sys.exit(3)", "SystemExit: 3"),
        ("assert 1 == 2, 'never'", "AssertionError: never"),
        ("raise GeneratorExit", "GeneratorExit"),
        ("raise RuntimeError('first\\nsecond')", "RuntimeError: first second"),
    ],
)
def test_whatever_is_raised_by_an_import_is_one_error(packages, statement, text):
    home = packages.add("bad", {plugins.RUNNERS: {"bad": "bad:run"}}, modules={"bad": statement})
    error = refused(plugins.RUNNERS, "bad")
    assert text in error.cause
    assert place(home, "bad", 1) in error.cause


def test_an_interrupt_by_the_keyboard_is_let_through(packages):
    packages.add("slow", {plugins.RUNNERS: {"slow": "slow:run"}}, modules={"slow": "raise KeyboardInterrupt"})
    with pytest.raises(KeyboardInterrupt):
        plugins.load_one(plugins.RUNNERS, "slow")


def test_a_target_that_is_none(packages):
    packages.add("odd", {plugins.RUNNERS: {"odd": "not a target"}})
    assert "'not a target' is not of the form module" in refused(plugins.RUNNERS, "odd").cause


def test_two_packages_of_one_name_are_both_named(packages):
    # Others stand between them: neighbours only is how stevedore looks for duplicates.
    packages.add("first", {plugins.RUNNERS: {"twin": "first:run"}}, modules={"first": RUN})
    packages.add("between", {plugins.RUNNERS: {"other": "between:run"}}, modules={"between": RUN})
    packages.add("second", {plugins.RUNNERS: {"twin": "second:run"}}, version="2", modules={"second": RUN})
    error = refused(plugins.RUNNERS, "twin")
    assert "registered 2 times, by first 1.0 (first:run) and second 2 (second:run)" in error.cause
    assert error.package == "first 1.0, second 2"
    with pytest.raises(PluginError, match="registered 2 times"):
        plugins.load_all(plugins.RUNNERS)
    assert plugins.load_one(plugins.RUNNERS, "other").package == "between 1.0"


def test_one_package_that_registers_a_name_twice(packages):
    home = packages.add("echo", {plugins.RUNNERS: {"echo": "echo:run"}}, modules={"echo": RUN})
    listing = home / "echo-1.0.dist-info" / "entry_points.txt"
    listing.write_text(listing.read_text() + "echo = echo:run\n")
    assert refused(plugins.RUNNERS, "echo").package == "echo 1.0"


def test_a_broken_part_that_is_not_selected_disturbs_nothing(packages):
    packages.add(
        "mixed",
        {plugins.RUNNERS: {"broken": "ruined:run", "good": "good:run"}},
        modules={"ruined": "1 / 0", "good": RUN},
    )
    assert plugins.load_one(plugins.RUNNERS, "good").name == "good"
    assert "ruined" not in sys.modules
    with pytest.raises(PluginError, match="ZeroDivisionError"):
        plugins.load_all(plugins.RUNNERS)


# -- contracts ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("namespace", "source", "text"),
    [
        (
            plugins.RUNNERS,
            "part = 7",
            "must be callable as run(executors, conf), but is an object of type int",
        ),
        (
            plugins.RUNNERS,
            "import json as part",
            "must be callable as run(executors, conf), but is the module json",
        ),
        (
            plugins.RUNNERS,
            "def part(executors: list) -> int: ...",
            "must be callable as run(executors, conf), but is part(executors): too many positional arguments",
        ),
        (plugins.RUNNERS, "async def part(executors, conf): ...", "a call of part runs nothing"),
        (plugins.RUNNERS, "def part(executors, conf): yield", "a call of part runs nothing"),
        (plugins.CLIENTS, "def part(): ...", "factory(conf), but is part()"),
        (
            plugins.EXTENSIONS,
            "def part(conf, clients, more): ...",
            "factory(conf, clients), but is part(conf, clients, more): missing a required argument: 'more'",
        ),
        (plugins.CONSTRUCTORS, "def part(host, *, name): ...", "construct(host), but is part(host, *, name)"),
        (
            plugins.construct_hooks("tasks"),
            "def part(worker): ...",
            "hook(worker, clients), but is part(worker)",
        ),
        (
            plugins.construct_hooks("pinger"),
            "part = None",
            "hook(worker, clients), but is an object of type NoneType",
        ),
        (plugins.EXECUTORS, "def part(): ...", "the function part has no Executor"),
        (
            plugins.EXECUTORS,
            "class part:\n    def Executor(worker, address): ...",
            "must have the attributes Executor and Client, but the class part has no Client",
        ),
        (
            plugins.EXECUTORS,
            "class part:\n    Executor = 'x'\n    Client = 'y'",
            "must be callable as Executor(worker, address), but is an object of type str",
        ),
        (
            plugins.EXECUTORS,
            "class part:\n    def Executor(worker, address): ...\n    def Client(address, port): ...",
            "must be callable as Client(address), but is part.Client(address, port)",
        ),
        (
            plugins.drivers("tasks"),
            "class part: ...",
            "must be a class that derives from solar_orch.workers.base.Worker, but is the class part",
        ),
        (plugins.drivers("pinger"), "def part(conf, clients): ...", "but is the function part"),
        (
            plugins.drivers("tasks"),
            f"{IMPORT_WORKER}class part(Worker):\n    def __init__(self, conf): ...",
            "must be callable as Worker(conf, clients), but is part(conf)",
        ),
    ],
)
def test_a_part_of_the_wrong_kind_is_told_the_right_one(packages, namespace, source, text):
    packages.add("wrong", {namespace: {"wrong": "wrong:part"}}, modules={"wrong": source})
    error = refused(namespace, "wrong")
    assert text in error.cause
    assert error.package == "wrong 1.0"


@pytest.mark.parametrize(
    ("namespace", "source"),
    [
        (plugins.RUNNERS, "def part(*args): ..."),
        (plugins.RUNNERS, "def part(executors, conf, grace=3): ..."),
        (plugins.RUNNERS, "class Run:\n    def __call__(self, executors, conf): ...\npart = Run()"),
        (plugins.RUNNERS, "import functools\npart = functools.partial(lambda a, b, c: None, 1)"),
        (plugins.RUNNERS, "part = max"),
        (
            plugins.drivers("tasks"),
            f"{IMPORT_WORKER}class part(Worker):\n    '''As it is.'''",
        ),
    ],
)
def test_any_shape_that_can_be_called_right_is_taken(packages, namespace, source):
    packages.add("right", {namespace: {"right": "right:part"}}, modules={"right": source})
    assert plugins.load_one(namespace, "right").package == "right 1.0"


# -- calling ------------------------------------------------------------------


def caller(packages, body: str) -> plugins.Plugin:
    packages.add("calls", {plugins.RUNNERS: {"calls": "calls:run"}}, modules={"calls": body})
    return plugins.load_one(plugins.RUNNERS, "calls")


@pytest.mark.parametrize("raised", ["ValueError('no')", "SystemExit('no')"])
def test_a_part_that_raises_is_named(packages, raised):
    plugin = caller(packages, f"def run(executors, conf):\n    raise {raised}\n")
    with pytest.raises(PluginError) as caught:
        plugins.call(plugin, plugin.obj, 1, 2)
    assert "run failed: " in caught.value.cause
    assert "calls.py:2]" in caught.value.cause
    assert caught.value.package == "calls 1.0"
    assert type(caught.value.__cause__).__name__ == raised.partition("(")[0]


def test_a_refused_configuration_is_not_blamed_on_the_part(packages):
    plugin = caller(
        packages,
        "from solar_orch.errors import ConfigError\n"
        "def run(executors, conf):\n    raise ConfigError('too small', option='size')\n",
    )
    with pytest.raises(ConfigError, match="too small"):
        plugins.call(plugin, plugin.obj, 1, 2)
