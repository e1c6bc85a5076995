"""Whether arguments fit a method: what is counted must agree with what Python does."""

from __future__ import annotations

import itertools

import pytest

from solar_orch.workers.subscription import Method, Subscribable

METHODS = [
    lambda ctxt: None,
    lambda ctxt, a: None,
    lambda ctxt, a, b=1: None,
    lambda ctxt, a=0, *args: None,
    lambda ctxt, /, *args, **kwargs: None,
    lambda ctxt, *, key: None,
    lambda ctxt, a, *, key=1: None,
    lambda *args: None,
    lambda **kwargs: None,
    lambda: None,
    lambda ctxt, a, /, b, *args, key, other=2, **kwargs: None,
    dict,
]


@pytest.mark.parametrize("function", METHODS)
def test_a_misfit_is_what_cannot_be_called(function):
    method = Method("method", function)
    for count, kwargs in itertools.product(range(5), [{}, {"a": 1}, {"key": 1}, {"strange": 1}]):
        try:
            function({}, *[0] * count, **kwargs)
            fits = True
        except TypeError:
            fits = function is dict  # it does not tell what it takes
        misfit = method.misfit({}, [0] * count, kwargs)
        assert (misfit is None) == fits, (count, kwargs)


def test_who_subscribes_during_a_moment_is_told_of_the_next():
    subscribable = Subscribable()
    told = []

    @subscribable.after
    def first(ctxt):
        told.append("first")
        subscribable.after(lambda ctxt: told.append("second"))

    for _ in range(2):
        for subscriber in subscribable.subscribers("after"):
            subscriber({})
    assert told == ["first", "first", "second"]
