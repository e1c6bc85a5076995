"""Errors of addresses, and of calls on their way."""

from __future__ import annotations

from solar_orch.errors.root import ExitCode, SolarError


class AddressError(SolarError):
    """An address that cannot or must not be used."""

    exit_code = ExitCode.USAGE

    def __init__(self, address: str, problem: str) -> None:
        self.address = address
        self.problem = problem
        super().__init__(f"{address}: {problem}")


class AddressInUse(AddressError):
    """Another process holds the lock of this address.

    :param holder: pid of the holder when it could be told
    """

    exit_code = ExitCode.ADDRESS_IN_USE

    def __init__(self, address: str, holder: int | None = None) -> None:
        self.holder = holder
        by = f"process {holder}" if holder else "another process"
        super().__init__(address, f"already served by {by}; stop it, or configure another address")


class NoPeer(SolarError):
    """A call could not be handed over in time because nobody listens.

    :param address: where nobody listens
    :param timeout: seconds that were waited
    """

    def __init__(self, address: str, timeout: float) -> None:
        self.address = address
        self.timeout = timeout
        super().__init__(f"nobody took the call at {address} within {timeout:g} s; is its worker up?")


class NotCarried(SolarError):
    """The arguments of a call cannot be carried by the executor."""

    def __init__(self, method: str, cause: str) -> None:
        self.method = method
        self.cause = cause
        super().__init__(f"the arguments of {method} cannot be sent: {cause}")
