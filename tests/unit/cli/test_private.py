"""The directory for the sockets of one process."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from solar_orch.cli.private import private_directory
from solar_orch.errors import AddressError


def test_it_is_private_and_short_and_goes_with_all_that_is_in_it(tmp_path: Path) -> None:
    parent = tmp_path / "run"
    with private_directory(str(parent)) as directory:
        assert stat.S_IMODE(os.stat(directory).st_mode) == stat.S_IMODE(parent.stat().st_mode) == 0o700
        assert Path(directory).parent == parent
        assert len(Path(directory).name) <= 7
        (Path(directory) / "socket").touch()
    assert list(parent.iterdir()) == []


def test_several_at_once_leave_each_other_alone(tmp_path: Path) -> None:
    parent = str(tmp_path / "run")
    with private_directory(parent) as first, private_directory(parent) as second:
        assert first != second
        assert os.path.isdir(first)
        assert os.path.isdir(second)


def test_what_a_dead_process_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    parent = tmp_path / "run"
    left = parent / "r0a1b2c"
    left.mkdir(parents=True)
    parent.chmod(0o700)
    (left / "t2").touch()
    others = [parent / name for name in ("tasks.sock", "rfc", "r0a1b2cd", "R0A1B2C")]
    for other in others:
        other.touch()
    with private_directory(str(parent)):
        assert not left.exists()
        assert all(other.exists() for other in others)


def test_a_link_of_such_a_name_is_not_followed(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").touch()
    parent = tmp_path / "run"
    parent.mkdir(mode=0o700)
    (parent / "r0a1b2c").symlink_to(precious)
    with private_directory(str(parent)):
        assert (precious / "file").exists()


def test_a_parent_that_others_can_enter_is_refused(tmp_path: Path) -> None:
    parent = tmp_path / "run"
    parent.mkdir()
    parent.chmod(0o755)
    with pytest.raises(AddressError, match="0755"), private_directory(str(parent)):
        pass
    assert list(parent.iterdir()) == []
