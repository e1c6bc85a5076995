"""Addresses, private directories and locks."""

from __future__ import annotations

import os
import socket
import stat

import pytest

from solar_orch.errors import AddressError, AddressInUse, ExitCode
from solar_orch.executors.address import (
    AddressLock,
    is_locked,
    lock_holder,
    parse,
)
from solar_orch.ownership import check_socket, prepare_directory


@pytest.mark.parametrize(
    ("address", "endpoint"),
    [
        ("ipc:///run/solar/tasks.sock", "ipc:///run/solar/tasks.sock"),
        ("ipc:////run//solar/../tasks", "ipc:///run/tasks"),
        ("ipc:///" + "x" * 106, "ipc:///" + "x" * 106),
        ("tcp://127.0.0.1:5555", "tcp://127.0.0.1:5555"),
        ("tcp://127.9.8.7:1", "tcp://127.9.8.7:1"),
        ("tcp://localhost:65535", "tcp://127.0.0.1:65535"),
        ("tcp://[::1]:5555", "tcp://[::1]:5555"),
    ],
)
def test_addresses_that_may_be_used(address, endpoint):
    parsed = parse(address)
    assert (parsed.text, parsed.endpoint) == (address, endpoint)


@pytest.mark.parametrize(
    ("address", "problem"),
    [
        ("", "must read"),
        ("tasks.sock", "must read"),
        ("inproc://x", "must read"),
        ("IPC:///x", "must read"),
        ("ipc://", "must be absolute"),
        ("ipc://relative/x", "must be absolute"),
        ("ipc://@abstract", "must be absolute"),
        ("ipc://*", "must be absolute"),
        ("ipc:///directory/", "name a file"),
        ("ipc:///a\0b", "NUL"),
        ("ipc:///" + "x" * 107, "108 bytes"),
        ("ipc:///" + "ä" * 60, "121 bytes"),
        ("tcp://127.0.0.1", "HOST:PORT"),
        ("tcp://127.0.0.1:*", "HOST:PORT"),
        ("tcp://127.0.0.1:-1", "HOST:PORT"),
        ("tcp://127.0.0.1:0", "port"),
        ("tcp://127.0.0.1:65536", "port"),
        ("tcp://::1:5555", "HOST:PORT"),
        ("tcp://eth0;127.0.0.1:5555", "HOST:PORT"),
        ("tcp://0.0.0.0:5555", "CURVE"),
        ("tcp://*:5555", "CURVE"),
        ("tcp://10.0.0.1:5555", "CURVE"),
        ("tcp://128.0.0.1:5555", "CURVE"),
        ("tcp://0127.0.0.1:5555", "CURVE"),
        ("tcp://[::]:5555", "CURVE"),
        ("tcp://[::ffff:127.0.0.1]:5555", "CURVE"),
        ("tcp://example.org:5555", "CURVE"),
        ("tcp://localhost.example.org:5555", "CURVE"),
    ],
)
def test_addresses_that_are_refused(address, problem):
    with pytest.raises(AddressError, match=problem) as caught:
        parse(address)
    assert caught.value.address == address
    assert caught.value.exit_code is ExitCode.USAGE


# -- directories and sockets ---------------------------------------------------


def mode(path):
    return stat.S_IMODE(os.lstat(path).st_mode)


def test_missing_directories_are_made_private(tmp_path):
    before = os.umask(0)
    try:
        prepare_directory(str(tmp_path / "a" / "b"))
    finally:
        os.umask(before)
    assert mode(tmp_path / "a" / "b") == 0o700
    assert mode(tmp_path / "a") == 0o700


def test_parents_that_are_there_may_be_open(tmp_path):
    parent = tmp_path / "parent"
    parent.mkdir()
    parent.chmod(0o755)
    prepare_directory(str(parent / "own"))
    prepare_directory(str(parent / "own") + "/")
    assert mode(parent) == 0o755


@pytest.mark.parametrize("wide", [0o750, 0o701, 0o777])
def test_an_open_directory_is_refused(tmp_path, wide):
    tmp_path.chmod(wide)
    with pytest.raises(AddressError, match=f"{wide:04o}"):
        prepare_directory(str(tmp_path))
    assert mode(tmp_path) == wide


def test_a_symlink_to_a_private_directory_is_refused(tmp_path):
    prepare_directory(str(tmp_path / "real"))
    (tmp_path / "link").symlink_to(tmp_path / "real")
    for path in ("link", "link/"):
        with pytest.raises(AddressError, match="symlink"):
            prepare_directory(f"{tmp_path}/{path}")


def test_a_file_in_the_place_of_a_directory_is_refused(tmp_path):
    (tmp_path / "file").touch(0o600)
    with pytest.raises(AddressError, match="not a directory"):
        prepare_directory(str(tmp_path / "file"))
    with pytest.raises(AddressError, match="cannot be made"):
        prepare_directory(str(tmp_path / "file" / "below"))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
def test_what_belongs_to_another_user_is_refused(tmp_path):
    os.chown(tmp_path, 12345, -1)
    with pytest.raises(AddressError, match="belongs to uid 12345"):
        prepare_directory(str(tmp_path))


def test_a_private_socket_or_none_is_taken(short_dir):
    path = str(short_dir / "x.sock")
    check_socket(path)
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(path)
        os.chmod(path, 0o600)
        check_socket(path)
        os.chmod(path, 0o620)
        with pytest.raises(AddressError, match="0620"):
            check_socket(path)


def test_what_is_no_socket_is_refused(tmp_path):
    (tmp_path / "file").touch(0o600)
    (tmp_path / "link").symlink_to(tmp_path / "file")
    with pytest.raises(AddressError, match="not a socket"):
        check_socket(str(tmp_path / "file"))
    with pytest.raises(AddressError, match="symlink"):
        check_socket(str(tmp_path / "link"))


# -- locks ---------------------------------------------------------------------


@pytest.fixture(params=["ipc", "tcp"])
def address(request, short_dir):
    return f"ipc://{short_dir}/run/x.sock" if request.param == "ipc" else "tcp://127.0.0.1:5999"


def test_a_lock_is_held_by_one(address, short_dir):
    runtime_dir = str(short_dir / "run")
    first, second = AddressLock(address, runtime_dir), AddressLock(address, runtime_dir)
    assert not short_dir.joinpath("run").exists()
    first.acquire()
    with pytest.raises(AddressInUse) as caught:
        second.acquire()
    assert caught.value.holder == os.getpid()
    assert caught.value.exit_code is ExitCode.ADDRESS_IN_USE
    assert mode(first.path) == 0o600
    first.release()
    first.release()
    second.acquire()
    second.release()


def test_spellings_of_one_tcp_address_share_a_lock(short_dir):
    first = AddressLock("tcp://127.0.0.1:5999", str(short_dir))
    first.acquire()
    with pytest.raises(AddressInUse):
        AddressLock("tcp://localhost:5999", str(short_dir)).acquire()
    AddressLock("tcp://127.0.0.1:5998", str(short_dir)).acquire()
    first.release()


def test_a_question_about_a_lock_changes_nothing(address, short_dir):
    runtime_dir = str(short_dir / "run")
    assert not is_locked(address, runtime_dir)
    assert list(short_dir.iterdir()) == []
    lock = AddressLock(address, runtime_dir)
    lock.acquire()
    for _ in range(2):
        assert is_locked(address, runtime_dir)
        assert lock_holder(address, runtime_dir) == os.getpid()
    lock.release()
    assert not is_locked(address, runtime_dir)
    assert lock_holder(address, runtime_dir) is None


def test_questions_do_not_keep_a_worker_from_its_lock(address, short_dir, script):
    runtime_dir = str(short_dir / "run")
    lock = AddressLock(address, runtime_dir)
    lock.acquire()
    lock.release()
    asking = script(
        """
        import sys
        from solar_orch.executors.address import is_locked
        print("asking", flush=True)
        while True:
            is_locked(*sys.argv[1:])
        """,
        address,
        runtime_dir,
    )
    assert asking.stdout.readline() == "asking\n"
    for _ in range(200):
        lock.acquire()
        lock.release()
    assert asking.poll() is None


def test_a_lock_ends_with_its_process_and_not_with_its_children(address, short_dir, script):
    runtime_dir = str(short_dir / "run")
    holder = script(
        """
        import subprocess, sys, time
        from solar_orch.executors.address import AddressLock
        AddressLock(*sys.argv[1:]).acquire()
        child = subprocess.Popen(["sleep", "600"], close_fds=False)
        print(child.pid, flush=True)
        time.sleep(600)
        """,
        address,
        runtime_dir,
    )
    child = int(holder.stdout.readline())
    try:
        assert lock_holder(address, runtime_dir) == holder.pid
        holder.kill()
        holder.wait()
        assert not is_locked(address, runtime_dir)
    finally:
        os.kill(child, 9)


@pytest.mark.parametrize("kind", ["symlink", "pipe", "open"])
def test_a_lock_file_that_is_not_ours_alone_is_refused(short_dir, kind):
    lock = AddressLock(f"ipc://{short_dir}/x.sock", str(short_dir))
    if kind == "symlink":
        short_dir.joinpath("target").touch()
        os.symlink(short_dir / "target", lock.path)
    elif kind == "pipe":
        os.mkfifo(lock.path, 0o600)
    else:
        os.close(os.open(lock.path, os.O_CREAT, 0o644))
        os.chmod(lock.path, 0o644)
    with pytest.raises(AddressError):
        lock.acquire()
    assert not is_locked(lock.address, str(short_dir))
