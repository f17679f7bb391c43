"""Which keys do the JSON answers have? Scripts rely on them: they are added to, never renamed.

Every instant is ISO 8601 in UTC with milliseconds (`2026-11-21T02:30:00.000Z`); a key without a value is null.
"""

from __future__ import annotations

from dataclasses import asdict, fields
from datetime import datetime
from typing import Any

from cronlite.client.checking import WORDS, Check
from cronlite.client.doctor import Finding
from cronlite.client.failing import Failing
from cronlite.client.status import Status
from cronlite.client.why import Answer
from cronlite.documents.alarms import Alarm, Duty
from cronlite.documents.changes import Change
from cronlite.documents.daemons import DaemonRecord
from cronlite.documents.freezes import NOTHING, Freeze, Frozen
from cronlite.documents.runs import Run
from cronlite.documents.schedules import FIELDS, Document, Schedule
from cronlite.documents.ticks import Tick

NEXT_RUNS = 5


def schedule(schedule: Schedule, now: datetime, frozen: Frozen = NOTHING) -> dict[str, Any]:
    """Return a schedule: its fields, `id` for `_id`, `description`, `next_runs` (five at most) and `faults`; whether it
    is `paused` now; and in `frozen` the id of the freeze that it is in.
    """
    stored = {name: getattr(schedule, name) for name in FIELDS}
    paused = schedule.is_paused(now)
    runs = schedule.next_runs(now, NEXT_RUNS) if not paused or schedule.paused_until else []
    by = frozen.holding(now, schedule)
    state = {"paused": paused, "frozen": by.id if by else None}
    return {**stored, "description": schedule.describe(), **state, "next_runs": runs, "faults": []}


def unreadable(document: Document, faults: list[str]) -> dict[str, Any]:
    """Return a schedule that cannot be read: `id`, `name`, what is wrong in `faults`, and the `document` as it is."""
    return {"id": document.get("_id"), "name": document.get("name"), "faults": faults, "document": document}


def change(change: Change) -> dict[str, Any]:
    """Return a change: `id`, `schedule`, `name`, `kind`, `at`, `actor`, `way`, `before`, `after` and `certain`."""
    names = ("id", "schedule", "name", "kind", "at", "before", "after", "certain")
    actor, way = (change.actor.name, change.actor.way) if change.actor else (None, None)
    return {name: getattr(change, name) for name in names} | {"actor": actor, "way": way}


_OWN = ("earlier_attempts", "ahead")


def run(run: Run) -> dict[str, Any]:
    """Return a run: all its fields, and in `attempts` what was kept of each attempt."""
    document = {field.name: getattr(run, field.name) for field in fields(run) if field.name not in _OWN}
    return document | {"attempts": [asdict(attempt) for attempt in run.attempts]}


def upcoming(schedule: Schedule, tick: datetime, frozen: Frozen = NOTHING) -> dict[str, Any]:
    """Return an upcoming run: `schedule` (the id), `name`, `handler`, `at`, `local`, `tz`, a DST `oddity`, and in
    `frozen` the id of the freeze that will hold it back.
    """
    by = frozen.holding(tick, schedule)
    return {
        "schedule": schedule.id,
        "name": schedule.name,
        "handler": schedule.handler,
        "at": tick,
        "local": tick.astimezone(schedule.timetable.zone).isoformat(timespec="seconds" if tick.second else "minutes"),
        "tz": schedule.tz,
        "oddity": schedule.timetable.oddity(tick),
        "frozen": by.id if by else None,
    }


def answer(answer: Answer, of: str, at: datetime) -> dict[str, Any]:
    """Return why a schedule ran or did not: `schedule`, `at`, `verdict`, `reasons`, and its `run`, if any."""
    document = run(answer.run) if answer.run else None
    return {"schedule": of, "at": at, "verdict": answer.verdict, "reasons": answer.reasons, "run": document}


def status(seen: Status) -> dict[str, Any]:
    """Return all that a status has: `paused` is a number, and `queue` a list of `state`, `handler` and `runs`."""
    return {
        "address": seen.address,
        "now": seen.now,
        "next_wake": seen.next_wake,
        "daemons": [_daemon(daemon, True) for daemon in seen.alive] + [_daemon(daemon, False) for daemon in seen.dead],
        "ticks": [_tick(tick) for tick in seen.ticks],
        "gaps": [_tick(tick) for tick in seen.gaps],
        "queue": [{"state": state, "handler": handler, "runs": n} for (state, handler), n in seen.queue.items()],
        "unknown_handlers": seen.unknown_handlers,
        "failing": [_failing(job) for job in seen.failing],
        "paused": seen.paused,
        "alarms": [alarm(each) for each in seen.alarms],
        "channels": [_channel(channel) for channel in seen.failing_channels],
        "freezes": [freeze(each) for each in seen.freezes],
    }


def alarm(alarm: Alarm) -> dict[str, Any]:
    """Return an alarm: all its fields, and in `told`, by channel, `told_at`, `times` and `cleared`."""
    told = {channel: told.document() for channel, told in alarm.told.items()}
    return {field.name: getattr(alarm, field.name) for field in fields(alarm)} | {"told": told}


def check(check: Check) -> dict[str, Any]:
    """Return `code`, `state`, `problems`, `figures` (name: value) and `overdue`."""
    return {
        "code": check.code,
        "state": WORDS[check.code],
        "problems": check.problems,
        "figures": {figure.name: figure.value for figure in check.figures},
        "overdue": [asdict(late) for late in check.overdue],
    }


def freeze(freeze: Freeze) -> dict[str, Any]:
    """Return a freeze: all its fields."""
    return {field.name: getattr(freeze, field.name) for field in fields(freeze)}


def finding(finding: Finding) -> dict[str, Any]:
    """Return `severity` ("error" or "warning"), `subject`, `problem` and `remedy`."""
    return {field.name: getattr(finding, field.name) for field in fields(finding)}


def _channel(duty: Duty) -> dict[str, Any]:
    fields = ("error", "failing_since", "failures", "next_at", "told_at")
    return {"channel": duty.id.removeprefix("channel:"), **{name: getattr(duty, name) for name in fields}}


def _failing(failing: Failing) -> dict[str, Any]:
    return {"schedule": failing.schedule, "name": failing.name, "times": failing.times, "last": failing.last.id}


def _daemon(record: DaemonRecord, alive: bool) -> dict[str, Any]:
    return {"alive": alive, **{field.name: getattr(record, field.name) for field in fields(record)}}


def _tick(tick: Tick) -> dict[str, Any]:
    return {field.name: getattr(tick, field.name) for field in fields(tick)}
