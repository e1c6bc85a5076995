"""What is an address, and what must not be one."""

from __future__ import annotations

import pytest
from solar_redis_streams.address import parse
from solar_redis_streams.client import Client

from solar_orch.errors import AddressError


def test_an_address_is_taken_apart(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("s3cret\n")
    address = parse(f"redis://10.0.0.5:6380/3?stream=tasks&maxlen=500&username=solar&password_file={secret}")
    assert (address.host, address.port, address.db) == ("10.0.0.5", 6380, 3)
    assert (address.stream, address.maxlen, address.username) == ("tasks", 500, "solar")
    assert address.password == "s3cret"


def test_what_is_left_out_has_defaults():
    address = parse("redis://localhost?stream=tasks")
    assert (address.port, address.db, address.maxlen, address.password) == (6379, 0, 100_000, None)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("tcp://127.0.0.1:1?stream=a", "must have the form redis://"),
        ("redis://?stream=a", "must have the form redis://"),
        ("redis://127.0.0.1:none?stream=a", "is no address"),
        ("redis://127.0.0.1", "must name a stream"),
        ("redis://127.0.0.1/x?stream=a", "the database must be a number"),
        ("redis://127.0.0.1?stream=a&maxlen=0", "maxlen must be a number from 1 on"),
        ("redis://127.0.0.1?stream=a&retries=3", "not retries"),
        ("redis://127.0.0.1?stream=a&stream=b", "each once"),
        ("redis://10.0.0.5?stream=a", "is not on this host"),
    ],
)
def test_what_is_no_address_is_refused_when_a_client_is_made(text, problem):
    with pytest.raises(AddressError, match=problem):
        Client(text)


def test_a_password_in_an_address_is_refused_and_not_shown():
    with pytest.raises(AddressError, match="password_file") as caught:
        Client("redis://solar:s3cret@127.0.0.1?stream=a")
    assert "s3cret" not in str(caught.value)


def test_a_file_with_a_password_that_is_not_there_is_named(tmp_path):
    client = Client(f"redis://127.0.0.1?stream=a&password_file={tmp_path}/none")
    with pytest.raises(AddressError, match="password_file cannot be read"):
        client.note({})
