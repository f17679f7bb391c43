"""What is there to know about one schedule: when it runs, why it did or did not, who changed it?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from cronlite.client.why import Answer as Reason
from cronlite.client.why import why
from cronlite.documents import schedules
from cronlite.documents.changes import Change
from cronlite.documents.freezes import NOTHING, Frozen
from cronlite.documents.limits import DEFAULT_PRIORITY
from cronlite.documents.schedules import Document, Schedule
from cronlite.errors import CronliteError, Fault, InvalidInput
from cronlite.store.contract import RunQuery
from cronlite.web.charted import of_schedule
from cronlite.web.exchange import Answer
from cronlite.web.pages.schedules import OUTLINED
from cronlite.web.visit import Undo, Visit
from cronlite.when import clock
from cronlite.wording import labels
from cronlite.wording.instants import minute, span, utc_minute
from cronlite.wording.spoken import past

NEXT_RUNS = 20
LAST_RUNS = 10
CHANGES = 20


@dataclass(frozen=True, slots=True)
class Coming:
    """A run to come: on the schedule's clock, in UTC unless that is its clock, and what DST does to it."""

    at: datetime
    local: str
    utc: str
    oddity: str
    held: str = ""
    """Which freeze will hold it back."""


def one(visit: Visit) -> Answer:
    """Show all of a schedule, also of one that cannot be read."""
    document = visit.cron.document(visit.asked("id"))
    try:
        schedule = schedules.read(document)
    except InvalidInput as refused:
        return _unreadable(visit, document, refused)
    now, store = visit.now, visit.cron.store
    paused = labels.paused(schedule, now)
    asked, reason, wrong = _why(visit, schedule)
    freezes = Frozen(visit.cron.freezes.list())
    return visit.page(
        "schedule.html",
        schedule=schedule,
        name=labels.called(schedule.name, schedule.id),
        does=labels.does(schedule.handler, schedule.params),
        line=labels.expression(schedule),
        paused=paused,
        coming=coming(schedule, now, freezes=freezes),
        last=list(store.runs(RunQuery(schedule=schedule.id, limit=LAST_RUNS, brief=True))),
        outlines=store.last_outlines([schedule.id], OUTLINED).get(schedule.id, [])[::-1],
        charts=of_schedule(visit, schedule),
        asked=asked,
        reason=reason,
        wrong=wrong,
        changes=_changes(visit, schedule.id),
        frozen=labels.frozen(schedule, now, freezes),
        more=_more(schedule),
        unknown=_is_unknown(visit, schedule.handler),
    )


def coming(schedule: Schedule, now: datetime, count: int = NEXT_RUNS, freezes: Frozen = NOTHING) -> Sequence[Coming]:
    """List the next runs of a schedule; of one that is paused without an end, those that it would have."""
    zone, is_utc = schedule.timetable.zone, schedule.tz == "UTC"
    return [
        Coming(
            tick,
            minute(tick, zone),
            "" if is_utc else utc_minute(tick),
            schedule.timetable.oddity(tick) or "",
            held.picks() if (held := freezes.holding(tick, schedule)) else "",
        )
        for tick in schedule.next_runs(now, count)
    ]


def _more(schedule: Schedule) -> Sequence[tuple[str, str]]:
    """List the fields that few schedules have."""
    late = schedule.late_after_seconds
    rows = [
        ("Limit", schedule.limit),
        ("Priority", None if schedule.priority == DEFAULT_PRIORITY else str(schedule.priority)),
        ("Late after", None if late is None else span(late)),
        ("Pings", schedule.ping_url),
    ]
    return [(called, value) for called, value in rows if value]


def _unreadable(visit: Visit, document: Document, refused: InvalidInput) -> Answer:
    return visit.page(
        "set_aside.html",
        id=str(document.get("_id")),
        name=schedules.label(document),
        faults=[str(fault) for fault in refused.faults],
        document=document,
        changes=_changes(visit, str(document.get("_id"))),
    )


def _why(visit: Visit, schedule: Schedule) -> tuple[str, Reason | None, str]:
    """Answer why it ran at a minute that was asked for, or did not; what was asked on its own clock."""
    asked = visit.asked("at")
    if not asked:
        return "", None, ""
    try:
        tick = clock.floor_minute(past(asked, "at", visit.now, schedule.timetable.zone))
    except InvalidInput as refused:
        return asked, None, str(refused)
    return minute(tick, schedule.timetable.zone), why(visit.cron.store, schedule, tick), ""


def _changes(visit: Visit, id_: str) -> Sequence[Change]:
    try:
        return visit.cron.history.of(id_, limit=CHANGES)
    except CronliteError:  # of a page, this is the least
        return []


def _is_unknown(visit: Visit, handler: str) -> bool:
    """Tell whether daemons are alive, and none of them has the handler."""
    alive = [daemon for daemon in visit.cron.store.daemons() if daemon.is_alive(visit.now)]
    return bool(alive) and not any(handler in daemon.handlers for daemon in alive)


# what is done with it


def asked_to_remove(visit: Visit) -> Answer:
    """Ask before a schedule is removed."""
    document = visit.cron.document(visit.asked("id"))
    return visit.page("remove.html", id=str(document.get("_id")), name=schedules.label(document))


def removed(visit: Visit) -> Answer:
    """Remove a schedule."""
    document = visit.cron.document(visit.given("id"))
    id_ = visit.cron.remove(visit.given("id"), actor=visit.actor)
    news = f"{schedules.label(document)} is removed; its runs that are queued already still run."
    return visit.see("/schedules", news, Undo("/schedule/restore", {"id": [id_]}))


def restored(visit: Visit) -> Answer:
    """Bring a schedule back that was removed."""
    schedule = visit.cron.history.restore(visit.given("id"), actor=visit.actor)
    return visit.see("/schedule", f"{labels.called(schedule.name, schedule.id)} is back.", id=schedule.id)


def undone(visit: Visit) -> Answer:
    """Take the last change of a schedule back, or all since one of its changes."""
    id_, to = visit.given("id"), visit.given("to") or None
    schedule = visit.cron.history.undo(id_, to, actor=visit.actor)
    news = f"{labels.called(schedule.name, schedule.id)} is as it was before."
    return visit.see("/schedule", news, Undo("/schedule/undo", {"id": [id_]}), id=schedule.id)


def backfilled(visit: Visit) -> Answer:
    """Queue runs for the times of the past, on the schedule's clock, that have none."""
    schedule = visit.cron.get(visit.given("id"))
    start, end = (
        past(typed, name, visit.now, schedule.timetable.zone) if (typed := visit.given(name).strip()) else None
        for name in ("start", "end")
    )
    if start is None:
        raise InvalidInput(Fault("start", "", "is missing", "say from when on, such as 2h or 2026-11-21 02:30"))
    made = visit.cron.backfill(schedule.id, start, end)
    news = f"{made.asked} runs are queued for the past; {sum(made.left_out.values())} times have one already."
    return visit.see("/schedule", news, id=schedule.id)
