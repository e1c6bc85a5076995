"""Broken in what is carried."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import gevent

from broken.base import Failing, Sound, broken
from solar_orch.errors import NotCarried
from solar_orch.executors import inline, wire
from solar_orch.testing.executors.carrying import Carrying


class Altering(inline.Client):
    """A client that alters a call on its way."""

    def alter(self, method: str, ctxt: Any, args: Any, kwargs: Any) -> Any:
        return method, ctxt, args, kwargs

    def _call(self, method: str, ctxt: Any, /, *args: Any, **kwargs: Any) -> None:
        if not isinstance(ctxt, dict):
            super()._call(method, ctxt, *args, **kwargs)
            return
        method, ctxt, args, kwargs = self.alter(method, ctxt, args, kwargs)
        super()._call(method, ctxt, *args, **kwargs)


@broken(Carrying, "named_arguments_arrive_whatever_their_names", "nothing_is_shared_with_the_caller")
class LosesNamedArguments(Sound):
    class Client(Altering):
        def alter(self, method: str, ctxt: Any, args: Any, kwargs: Any) -> Any:
            return method, ctxt, args, {}


@broken(Carrying, "arguments_arrive_as_they_were_given")
class MixesUpTypes(Sound):
    class Client(Altering):
        def alter(self, method: str, ctxt: Any, args: Any, kwargs: Any) -> Any:
            return method, ctxt, [int(arg) if arg is True else arg for arg in args], kwargs


@broken(Carrying, "the_context_arrives_as_it_was_given")
class CarriesOnlyWhatItKnowsOfTheContext(Sound):
    class Client(Altering):
        def alter(self, method: str, ctxt: Any, args: Any, kwargs: Any) -> Any:
            return method, {key: ctxt[key] for key in ctxt if key != "of the author"}, args, kwargs


@broken(Carrying, "nothing_is_shared_with_the_caller")
class SharesArguments(Sound):
    class Client(inline.Client):
        def _call(self, method: str, ctxt: Any, /, *args: Any, **kwargs: Any) -> None:
            wire.pack(method, ctxt, args, kwargs, {})
            self._executor().accept(method, ctxt, args, kwargs)


@broken(Carrying, "what_has_no_copy_elsewhere_is_refused", "whatever_is_given_is_refused_or_arrives")
class LosesWhatItCannotCarry(Sound):
    class Client(inline.Client):
        def _call(self, method: str, ctxt: Any, /, *args: Any, **kwargs: Any) -> None:
            with suppress(NotCarried):
                super()._call(method, ctxt, *args, **kwargs)


@broken(Carrying, "whatever_is_given_is_refused_or_arrives")
class CarriesSetsAsLists(Sound):
    class Client(Altering):
        def alter(self, method: str, ctxt: Any, args: Any, kwargs: Any) -> Any:
            return method, ctxt, [list(arg) if isinstance(arg, set) else arg for arg in args], kwargs


@broken(Carrying, "a_bad_context_ends_nothing")
class DiesOfABadContext(Sound):
    class Executor(Failing):
        def accept(self, name: str, ctxt: Any, args: Any, kwargs: Any) -> bool:
            try:
                ctxt.get("task_id", "").upper()
            except AttributeError as error:
                self.fail(error)
            return super().accept(name, ctxt, args, kwargs)


@broken(Carrying, "arguments_that_do_not_fit_end_nothing")
class DiesOfArgumentsThatDoNotFit(Sound):
    class Executor(Failing):
        def _misfit(self, *call: Any) -> str | None:
            misfit = super()._misfit(*call)
            if misfit:
                self.fail(TypeError(misfit))
            return misfit


class CallsAttributes(inline.Executor):
    """Calls whatever it finds under a name."""

    def may_call(self, name: str) -> bool:
        return name not in self.worker.methods

    def accept(self, name: str, ctxt: Any, args: Any, kwargs: Any) -> bool:
        if self.may_call(name) and callable(getattr(self.worker, name, None)):
            gevent.spawn(getattr(self.worker, name), ctxt, *args, **kwargs)
            return False
        return super().accept(name, ctxt, args, kwargs)


@broken(Carrying, "what_is_no_method_is_never_called")
class CallsWhatIsNoMethod(Sound):
    class Executor(CallsAttributes):
        def may_call(self, name: str) -> bool:
            return name in ("callable_attribute", "background")


@broken(Carrying, "private_names_are_never_called", "a_client_has_no_private_attributes_but_its_own")
class CallsPrivateNames(Sound):
    class Executor(CallsAttributes):
        def may_call(self, name: str) -> bool:
            return name.startswith("_")

    class Client(inline.Client):
        def __getattr__(self, method: str) -> Any:
            return lambda *args, **kwargs: self._call(method, *args, **kwargs)


@broken(Carrying, "a_worker_may_answer_to_unknown_names")
class DropsUnknownNamesAlways(Sound):
    class Executor(inline.Executor):
        def _answers(self, name: str) -> bool:
            return name in self.worker.methods


@broken(
    Carrying,
    "the_outcome_is_settled_with_the_result",
    "a_worker_may_answer_to_unknown_names",
    "the_context_arrives_as_it_was_given",
    "nothing_is_shared_with_the_caller",
)
class BypassesTheWorker(Sound):
    class Executor(inline.Executor):
        def _make(self, call: Any) -> None:
            if call.name in self.worker.methods:
                # Neither ledger nor subscribers, and the context is not the caller's.
                self.worker.methods[call.name].function({}, *call.args, **call.kwargs)
