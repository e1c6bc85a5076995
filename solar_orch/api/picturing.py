"""Plans as pictures."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

from solar_orch.api.base import Verbs

if TYPE_CHECKING:
    from solar_orch.plan.model import Plan
    from solar_orch.plan.picture import Picture
    from solar_orch.plan.timeline import Attempt
    from solar_orch.store.plans import PlanRow

#: What the names of files may end in.
GRAPH_ENDINGS = (".svg", ".png", ".dot")
TIMELINE_ENDINGS = (".svg",)


class Picturing(Verbs):
    """All methods block; those that take a uid block on the database and raise what ``Database`` raises."""

    def picture(self, plan: str | Plan) -> Picture:
        """What is drawn of a plan: its tasks and those edges that no others imply.

        :param plan: its uid, or a plan that need not be in the database
        :raises UnknownPlan: if there is no such plan
        """
        from solar_orch.plan.picture import picture

        return picture(self.store.plans.model(plan) if isinstance(plan, str) else plan)

    def draw_graph(self, plan: str | Plan, path: str) -> None:
        """Write the graph of a plan to a file, whose ending says how.

        :param plan: its uid, or a plan that need not be in the database
        :param path: ends in ``.svg``, ``.png`` or ``.dot``; a file that is there is replaced
        :raises UnknownPlan: if there is no such plan
        :raises PictureError: if the path has another ending, or there are too many tasks for a picture
        :raises MissingExtra: if the extra ``pictures`` is not installed; ``.dot`` does not need it
        :raises FileNotWritten: if the file cannot be written
        """
        from solar_orch.pictures import files

        kind = files.ending(path, GRAPH_ENDINGS)
        files.write(path, _graph(self.picture(plan), kind))

    def timeline(self, uid: str) -> tuple[PlanRow, list[Attempt]]:
        """The plan and all attempts at its tasks, in the order in which they began.

        :raises UnknownPlan: if there is no such plan
        """
        plan = self.store.plans.get(uid)
        return plan, self.store.timings.all(plan.id)

    def draw_timeline(self, uid: str, path: str) -> None:
        """Write the timeline of a plan to a file.

        :param path: ends in ``.svg``; a file that is there is replaced
        :raises UnknownPlan: if there is no such plan
        :raises PictureError: if the path has another ending, or there are too many attempts for a picture
        :raises FileNotWritten: if the file cannot be written
        """
        from solar_orch.pictures import files
        from solar_orch.pictures.gantt import gantt

        files.ending(path, TIMELINE_ENDINGS)
        plan, attempts = self.timeline(uid)
        files.write(path, [gantt(plan.uid, str(plan.status), attempts, time.time()).encode()])


def _graph(picture: Picture, kind: str) -> Iterable[bytes]:
    if kind == ".dot":
        from solar_orch.pictures import dot

        return (line.encode() for line in dot.lines(picture))
    from solar_orch.pictures.graph import graph

    document = graph(picture, time.time())
    if kind == ".svg":
        return [document.encode()]
    from solar_orch.pictures.png import png

    return [png(document)]
