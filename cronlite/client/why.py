"""Why did a schedule run at a minute, or not?"""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime

from cronlite.client.limits import waits_for
from cronlite.client.status import how_to_register, status
from cronlite.documents import new_runs, runs, schedules, timing, transitions
from cronlite.documents.freezes import Frozen
from cronlite.documents.runs import Run
from cronlite.documents.schedules import Schedule
from cronlite.store.contract import ChangeQuery, Store
from cronlite.when import clock, pattern
from cronlite.when.clock import utc_minute, utc_second
from cronlite.wording import changes as words


@dataclass(frozen=True, slots=True)
class Answer:
    """Why a schedule ran at a tick, or did not.

    `verdict` is the state of its run where there is one, or else "not_due", "not_active", "paused", "frozen" (it will
    be held back), "not_yet", "gap", "no_daemon", "in_hand" (claimed by a daemon and not done yet), "changed_since" or
    "unknown".
    """

    verdict: str
    reasons: tuple[str, ...]
    run: Run | None = None


def why(store: Store, schedule: Schedule, tick: datetime) -> Answer:
    """Say why a schedule ran at the minute of an aware instant, or did not. Raises StoreError.

    Of one that is due below a minute, it is the last time that it was due up to that instant.
    """
    tick = schedule.timetable.begun_at(tick)
    run = store.run(new_runs.scheduled_id(schedule.id, tick, by_the_second=schedule.timetable.by_the_second))
    if run is not None:
        return Answer(run.state, tuple(_of_run(store, run)), run)
    now = store.now()
    against = list(_against(schedule, tick))
    by = Frozen(store.freezes(tick)).holding(tick, schedule)
    if not against and tick > now:
        against = [("not_yet", "that minute is still to come, and it is due then")]
        if by:
            against = [("frozen", f"it will be held back: {by.told()}; 'cronlite thaw {by.id}' ends that")]
    if not against:
        against = [_by_the_ledger(store, schedule, tick, now)]
    if by and tick <= now:
        against.append(("frozen", f"it was {by.told()}"))
    reasons = [reason for _, reason in against]
    changed_at = schedule.updated_at if schedule.updated_at != schedule.created_at else None
    if changed_at and tick < changed_at:
        if against[0][0] != "changed_since":
            reasons.append(
                f"it was last changed at {utc_second(changed_at)}, after that minute; this goes by what it is now"
            )
        reasons += _who_changed(store, schedule, schedules.FIELDS)
    elif against[0][0] in _TOUCHED:
        reasons += _who_changed(store, schedule, _TOUCHED[against[0][0]])
    return Answer(against[0][0], tuple(reasons))


# By what keeps it from being due: the fields of which somebody may have changed one.
_TOUCHED = {"not_due": timing.TIME_FIELDS, "paused": ("enabled",)}


def _who_changed(store: Store, schedule: Schedule, fields: Collection[str]) -> list[str]:
    """Say who changed a schedule last, and what, if that is known and was any of some fields."""
    last = store.changes(ChangeQuery(schedule=schedule.id, limit=1))
    if not last or last[0].left_at != schedule.updated_at or last[0].kind != "changed":
        return []
    if not any(name in fields for name in last[0].fields):
        return []
    by, at = words.by(last[0]), utc_second(last[0].at)
    history = shlex.join(["cronlite", "history", schedule.id])
    return [f"its last change was by {by}, at {at}: {words.what(last[0])}; '{history}' tells more"]


def _against(schedule: Schedule, tick: datetime) -> Iterator[tuple[str, str]]:
    """Yield what keeps a schedule from being due at a tick, as it stands now."""
    for reason in _not_due(schedule, tick):
        yield "not_due", reason
    if schedule.active_until is not None and tick > schedule.active_until:
        yield "not_active", f"it ended at {utc_second(schedule.active_until)}, its active_until"
    if schedule.active_from is not None and tick < schedule.active_from:
        since = utc_second(schedule.active_from)
        yield (
            "not_active",
            f"it counts from {since} on, its active_from: when it was made, resumed, or its times were changed",
        )
    if schedule.is_paused(tick):
        yield "paused", _paused(schedule)


def _paused(schedule: Schedule) -> str:
    why = f" ({schedule.pause_reason})" if schedule.pause_reason else ""
    if schedule.paused_until is not None:
        return f"it is paused until {utc_second(schedule.paused_until)}{why}"
    return f"it is paused{why}; 'cronlite resume {schedule.name or schedule.id}' lets it run again"


def _not_due(schedule: Schedule, tick: datetime) -> Iterator[str]:
    timetable, wall = schedule.timetable, clock.wall(tick, schedule.timetable.zone)
    if timetable.due(tick):
        return
    clock_says = f"the clock in {schedule.tz} showed {wall.minute:%a %Y-%m-%d %H:%M}"
    if schedule.every is not None:
        yield f"{clock_says}, and it is due {schedule.describe()}, counted from 1970-01-01 00:00 on"
        return
    if timetable.pattern.matches(wall.minute):
        yield f"{clock_says} for the second time, and fixed times run the first time only"
        return
    failing = [name for name in pattern.FIELDS if not getattr(timetable.pattern, name).matches(wall.minute)]
    if timetable.pattern.matches_day(wall.minute):  # with either_day, one of its two fields may fail
        failing = [name for name in failing if name in ("minute", "hour")]
    misses = (f"{name} {_reading(name, wall.minute)} is not in {getattr(schedule, name)}" for name in failing)
    yield f"{clock_says}: {', '.join(misses)}"


def _reading(name: str, minute: datetime) -> str:
    return f"{minute:%A}" if name == "weekday" else str(getattr(minute, name))


def _by_the_ledger(store: Store, schedule: Schedule, tick: datetime, now: datetime) -> tuple[str, str]:
    """Explain why a schedule that seems due at a past tick has no run of it."""
    if now - tick > transitions.KEPT:
        return "unknown", f"runs are kept for {transitions.KEPT.days} days only"
    tick = clock.floor_minute(tick)
    entries = store.ledger(tick, tick + clock.MINUTE)  # a gap that begins with the tick has an id after it
    entry = next((entry for entry in entries if entry.first <= tick <= entry.last), None)
    if entry is None and not entries:
        return "no_daemon", "the ledger does not go back that far: no daemon had ticked yet, or its entry was pruned"
    if entry is None:
        return "no_daemon", "no daemon has done that minute yet; the next to tick makes up for it, as catch_up has it"
    if entry.is_gap:
        gap = f"no daemon ticked from {utc_minute(entry.first)} to {utc_minute(entry.last)}"
        done = "" if entry.done_at else "; what catch_up makes up for is being queued"
        return "gap", f"{gap}, and its catch_up is {schedule.catch_up!r}{done}"
    if entry.done_at is None:
        return (
            "in_hand",
            f"daemon {entry.daemon} claimed that minute at {utc_second(entry.claimed_at)} and has not ended it",
        )
    if schedule.updated_at and entry.done_at < schedule.updated_at:
        return "changed_since", f"it was changed at {utc_second(schedule.updated_at)}, and was not due before that"
    reason = f"the minute was done at {utc_second(entry.done_at)} without it; was it written later, or its run deleted?"
    return "unknown", reason


def _of_run(store: Store, run: Run) -> Iterator[str]:
    """Yield what there is to say about a run: what it waits for, or how it went."""
    if run.started_at:
        yield f"attempt {run.attempt} started at {utc_second(run.started_at)} on daemon {run.daemon}"
    if run.late:
        yield f"it was late: queued at {utc_second(run.queued_at)}"
    if run.state == runs.QUEUED:
        yield from _waiting(store, run)
    if run.reason:
        yield run.reason
    if run.error:
        yield f"{run.error.get('type', 'error')}: {run.error.get('message', '')}"
    if run.finished_at:
        yield f"it ended at {utc_second(run.finished_at)}"


def _waiting(store: Store, run: Run) -> Iterator[str]:
    seen = status(store)
    if not seen.alive:
        yield "no daemon is alive; start one: cronlite run"
    elif run.handler not in seen.handlers:
        yield f"no daemon alive has the handler {run.handler!r}; {how_to_register(run.handler, seen)}"
    if run.run_at is None:
        others = [other.id for other in store.at_work([run.lane] if run.lane else []) if other.id != run.id]
        yield f"it waits until {', '.join(others) or 'the earlier run'} has ended"
    elif run.freeze and run.run_at > seen.now:
        yield f"it waits for the end of freeze {run.freeze}; 'cronlite thaw {run.freeze}' ends that"
    elif run.run_at > seen.now:
        yield f"attempt {run.attempt + 1} is to start at {utc_second(run.run_at)}"
    elif reason := waits_for(store, [run], seen.now).get(run.id):
        yield f"it {reason}; 'cronlite limits' shows them, 'cronlite limit {run.limit} N' raises it"
    elif run.handler in seen.handlers:
        yield "it is about to be claimed, or all seats are taken"
