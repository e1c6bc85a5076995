"""Broken in what is declared."""

from __future__ import annotations

from broken.base import Keeping, Sound, broken
from solar_orch.testing.executors.capabilities import Capabilities


@broken(Capabilities, "ordered_calls_of_one_client_begin_in_their_order")
class DeclaresAnOrderFalsely(Sound):
    capabilities = frozenset({"ordered"})

    class Client(Keeping):
        def send(self) -> None:
            self.kept.reverse()
            super().send()


@broken(
    Capabilities, "processes_calls_of_another_process_arrive",
    "processes_a_worker_that_was_killed_has_a_successor",
)  # fmt: skip
class DeclaresProcessesFalsely(Sound):
    capabilities = frozenset({"processes"})


@broken(
    Capabilities, "hosts_an_address_is_not_a_place_in_the_file_system",
    "hosts_calls_arrive_from_other_surroundings",
)  # fmt: skip
class DeclaresHostsFalsely(Sound):
    capabilities = frozenset({"hosts"})


@broken(
    Capabilities, "queued_calls_wait_for_the_first_worker",
    "queued_calls_that_were_kept_are_made_by_the_next", "queued_calls_outlive_a_worker_that_is_killed",
)  # fmt: skip
class DeclaresAQueueFalsely(Sound):
    capabilities = frozenset({"queued"})


@broken(
    Capabilities, "shared_each_call_reaches_one_of_the_workers",
    "shared_a_worker_that_stops_leaves_the_rest_to_the_other",
)  # fmt: skip
class DeclaresToBeSharedFalsely(Sound):
    capabilities = frozenset({"shared"})
