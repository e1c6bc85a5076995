from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from solar_orch.errors import FileNotWritten, MissingExtra, PictureError
from solar_orch.pictures import files, png
from solar_orch.pictures.extra import load


def test_the_ending_says_what_is_written() -> None:
    assert files.ending("a/b.SVG", (".svg", ".dot")) == ".svg"
    with pytest.raises(PictureError, match=r"^x\.pdf ends in \.pdf; it has to end in \.svg or \.dot"):
        files.ending("x.pdf", (".svg", ".dot"))
    with pytest.raises(PictureError, match=r"^a\.svg/x has no ending; it has to end in \.svg,"):
        files.ending("a.svg/x", (".svg",))


def test_a_file_is_replaced_as_a_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "plan.svg"
    path.write_bytes(b"before")
    path.chmod(0o640)

    def pieces():
        yield b"half"
        raise RuntimeError("it breaks")

    with pytest.raises(RuntimeError):
        files.write(str(path), pieces())
    assert path.read_bytes() == b"before"
    files.write(str(path), [b"a", b"b"])
    assert path.read_bytes() == b"ab"
    assert path.stat().st_mode & 0o777 == 0o640
    assert os.listdir(tmp_path) == ["plan.svg"]


def test_a_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "link.svg").symlink_to("real.svg")
    (tmp_path / "real.svg").touch()
    files.write(str(tmp_path / "link.svg"), [b"new"])
    assert (tmp_path / "link.svg").is_symlink()
    assert (tmp_path / "real.svg").read_bytes() == b"new"


@pytest.mark.parametrize("name", ["none/plan.svg", "directory.svg", "nul\0.svg"])
def test_what_cannot_be_written_is_said(tmp_path: Path, name: str) -> None:
    (tmp_path / "directory.svg").mkdir()
    with pytest.raises(FileNotWritten, match="cannot be written"):
        files.write(str(tmp_path / name), [b""])
    assert os.listdir(tmp_path) == ["directory.svg"]


def test_without_the_extra_it_is_said_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "igraph", None)
    with pytest.raises(MissingExtra, match=r"pip install 'solar-orch\[pictures\]'") as caught:
        load("igraph")
    assert (caught.value.extra, caught.value.module) == ("pictures", "igraph")


class BlindResvg:
    """As resvg draws where there is no font."""

    @staticmethod
    def svg_to_bytes(svg_string: str) -> bytes:
        return b"nothing"


def test_a_png_without_a_font_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "resvg_py", BlindResvg)
    with pytest.raises(PictureError, match="no font"):
        png.png('<svg xmlns="http://www.w3.org/2000/svg"/>')
