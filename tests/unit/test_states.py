"""Each allowed and each forbidden move."""

import itertools

import pytest

from solar_orch import states
from solar_orch.errors import TransitionError
from solar_orch.states import State

ALLOWED = {
    ("PENDING", "INPROGRESS"), ("PENDING", "SKIPPED"), ("PENDING", "NOOP"),
    ("INPROGRESS", "SUCCESS"), ("INPROGRESS", "ERROR"), ("INPROGRESS", "ERROR_RETRY"),
    ("INPROGRESS", "PENDING"), ("INPROGRESS", "SKIPPED"),
    ("ERROR_RETRY", "INPROGRESS"), ("ERROR_RETRY", "PENDING"), ("ERROR_RETRY", "SKIPPED"),
    ("ERROR_RETRY", "NOOP"), ("ERROR_RETRY", "ERROR"),
    ("SUCCESS", "PENDING"), ("ERROR", "PENDING"), ("ERROR", "NOOP"),
    ("SKIPPED", "PENDING"), ("SKIPPED", "NOOP"), ("NOOP", "PENDING"),
}  # fmt: skip


@pytest.mark.parametrize(("old", "new"), list(itertools.product(State, State)))
def test_every_move(old, new):
    if (old, new) in ALLOWED:
        states.check(old, new)
        assert old in states.sources(new)
    else:
        with pytest.raises(TransitionError) as caught:
            states.check(old, new)
        assert (caught.value.old, caught.value.new) == (old, new)
        assert old not in states.sources(new)
