"""Which schedule or run does somebody at a terminal mean, who types the beginning of its id?

Only here: in an application's hands a beginning would let its users try out what ids there are.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from contextlib import suppress
from itertools import islice

from cronlite.client.app import Cronlite
from cronlite.documents.runs import Run
from cronlite.documents.schedules import Document
from cronlite.errors import Conflict, InvalidInput, NotFound, shown, suggestion
from cronlite.handlers.shell import NAME as SHELL
from cronlite.store.contract import RunQuery, ScheduleQuery
from cronlite.wording.labels import called

SHORTEST_PREFIX = 4
_NAMES_LOOKED_AT = 10_000
_DIGITS = re.compile(r"[0-9a-f]{8,}(?:\.\d+)?")


def schedule_document(cron: Cronlite, ref: str) -> Document:
    """Fetch the document of the schedule with an id, a name, or a unique beginning of an id.

    The digits that stand for a line of an imported crontab will do, too.
    """
    schedule = _schedule(cron, ref)
    if schedule is not None:
        return schedule
    if ref and cron.history.knows(ref):
        raise NotFound(f"schedule {shown(ref)} was removed; 'cronlite removed' lists it, and 'restore' stores it again")
    some = cron.store.schedules(ScheduleQuery(limit=_NAMES_LOOKED_AT))
    names = (document["name"] for document in some if "name" in document)
    close = suggestion(ref, map(str, names)) if ref else ""
    raise NotFound(f"no schedule has the id or name {shown(ref)}; {close if 'mean' in close else ''}".rstrip("; "))


def _schedule(cron: Cronlite, ref: str) -> Document | None:
    with suppress(NotFound):
        return cron.document(ref)
    if len(ref) < SHORTEST_PREFIX:
        return None
    begun = list(cron.store.schedules(ScheduleQuery(prefix=ref, limit=2)))
    if not begun and _DIGITS.fullmatch(ref):
        commands = cron.store.schedules(ScheduleQuery(handler=SHELL))
        begun = list(islice((line for line in commands if called(line.get("name"), "") == ref), 2))
    if len(begun) > 1:
        raise Conflict(f"several schedules begin with {shown(ref)}: give more of the id")
    return begun[0] if begun else None


def schedule_id(cron: Cronlite, ref: str) -> str:
    """Return the id of the schedule with an id, a name, or a unique beginning of an id."""
    return str(schedule_document(cron, ref)["_id"])


def run_named(cron: Cronlite, ref: str) -> Run:
    """Fetch the run with an id or a unique beginning of one, or by what lists show: NAME@MINUTE or NAME@ID."""
    if (run := _run(cron, ref)) is not None:
        return run
    name, at, which = ref.rpartition("@")
    schedule = _schedule(cron, name) if name else None
    if schedule is not None:
        run = _run(cron, f"{schedule['_id']}{at}{which}") or _run(cron, which)
    if schedule is None or run is None or run.schedule != schedule["_id"]:
        raise NotFound(f"no run has the id {shown(ref)}; 'cronlite runs' lists them")
    return run


def _run(cron: Cronlite, ref: str) -> Run | None:
    with suppress(NotFound, InvalidInput):
        return cron.run_of(ref)
    begun = list(cron.store.runs(RunQuery(prefix=ref, limit=2))) if len(ref) >= SHORTEST_PREFIX else []
    if len(begun) > 1:
        raise Conflict(f"several runs begin with {shown(ref)}: give more of the id")
    return begun[0] if begun else None


def last_run(cron: Cronlite, schedule: str, states: Collection[str] | None = None) -> Run | None:
    """Fetch the run of a schedule (its id) that was queued last, of those in some states."""
    return next(iter(cron.store.runs(RunQuery(schedule=schedule, states=states, limit=1))), None)
