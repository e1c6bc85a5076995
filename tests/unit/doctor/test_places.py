"""Lines of an author's code."""

from __future__ import annotations

import functools
import importlib
import json
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from solar_orch.doctor import places
from solar_orch.doctor.findings import Place

if TYPE_CHECKING:
    from conftest import Packages


def test_the_line_of_an_error_is_that_of_the_author_and_not_of_what_he_uses(packages: Packages):
    home = packages.add("a", {}, modules={"uses_json": "import json\n\njson.loads('{')\n"})
    with pytest.raises(json.JSONDecodeError) as caught:
        importlib.import_module("uses_json")
    place = places.of_error(caught.value, "uses_json:part")
    assert place == Place(str(home / "uses_json.py"), 3, "json.loads('{')")


def test_without_a_line_of_the_author_the_innermost_that_is_no_machinery_counts(packages: Packages):
    packages.add("a", {}, modules={"breaks": "1 / 0\n"})
    with pytest.raises(ZeroDivisionError) as caught:
        importlib.import_module("breaks")
    place = places.of_error(caught.value, "something_else")
    assert place is not None
    assert (Path(place.file).name, place.line) == ("breaks.py", 1)
    assert places.of_error(ModuleNotFoundError("never raised"), "breaks") is None


def test_of_a_syntax_error_the_line_that_is_wrong_counts(packages: Packages):
    home = packages.add("a", {}, modules={"odd": "fine = 1\ndef (:\n"})
    with pytest.raises(SyntaxError) as caught:
        importlib.import_module("odd")
    assert places.of_error(caught.value, "odd") == Place(str(home / "odd.py"), 2, "def (:")


def test_what_a_target_is_in_is_found_without_importing_it(packages: Packages):
    home = packages.add("a", {}, modules={"alone": "raise SystemExit\n"})
    package = home / "many"
    package.mkdir()
    package.joinpath("__init__.py").write_text("raise SystemExit\n")
    assert places.homes("alone:part") == (str(home / "alone.py"),)
    assert places.homes("many.deep.module:part") == (f"{package}/",)
    for target in ("nowhere", "", "not a module", ".relative"):
        assert places.homes(target) == ()


def test_where_things_are_defined(packages: Packages):
    source = (
        "import functools\n\ndef function(): ...\n\nclass Class:\n    def __call__(self): ...\n\n"
        "obj = Class()\npartial = functools.partial(function)\nnumber = 1\n"
    )
    home = packages.add("a", {}, modules={"things": source})
    module = importlib.import_module("things")
    path = str(home / "things.py")
    assert places.of_object(module) == Place(path)
    assert places.of_object(module.function) == Place(path, 3, "def function(): ...")
    assert places.of_object(module.partial) == places.of_object(module.function)
    assert places.of_object(module.Class) == places.of_object(module.obj) == Place(path, 5, "class Class:")
    assert places.of_object(module.number) is None
    assert places.of_object(len) is None


def test_a_stack_is_read_as_it_was_written():
    def innermost() -> traceback.StackSummary:
        return traceback.extract_stack()

    stack = functools.partial(innermost)()
    frames = places.frames_of_text("os._exit(1)\n" + places.frames_as_text(stack))
    assert frames == [(frame.filename, frame.lineno) for frame in reversed(stack)]
    assert frames[0][0] == __file__


def test_a_line_is_looked_for(tmp_path: Path):
    path = tmp_path / "part.py"
    path.write_text("import a\nsolar_orch_api = '2'\n")
    assert places.of_line(str(path), "solar_orch_api") == Place(str(path), 2, "solar_orch_api = '2'")
    assert places.of_line(str(path), "missing") == Place(str(path))
    assert places.of_line(None, "a") is None
    assert (str(Place("a.py")), str(Place("a.py", 3))) == ("a.py", "a.py:3")
