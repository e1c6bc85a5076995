"""What all tests need."""

import signal


def pytest_configure() -> None:
    """Signals that whoever started this run lets be ignored would be ignored in all that the tests start.

    A shell does so with what it runs in the background, a CI system may.
    """
    for number, handler in (
        (signal.SIGINT, signal.default_int_handler),
        (signal.SIGHUP, signal.SIG_DFL),
        (signal.SIGQUIT, signal.SIG_DFL),
    ):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, handler)
