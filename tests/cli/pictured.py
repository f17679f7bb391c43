"""A store as a team has it after some weeks, at one fixed instant: what the pictures of the lists are taken of."""

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

from cronlite.client.app import Cronlite
from cronlite.documents import new_runs, runs, schedules, transitions
from cronlite.documents.daemons import DaemonRecord
from cronlite.documents.runs import Run
from cronlite.documents.ticks import Tick

NOW = datetime(2026, 11, 21, 8, 0, 20, tzinfo=timezone.utc)  # a Saturday
LONG = "crm-contacts-synchronisation-of-all-the-customers-in-europe-and-asia-nightly"
IMPORTED = "crontab:/var/spool/cron/crontabs/backup:85da7db9b9a3"
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


def fill(cron: Cronlite) -> None:
    """Put it into an empty store."""
    store = cron.store
    store.prepare()
    who: dict[str, Any] = {"host": "box1", "version": "0.2.0", "handlers": ["report", "sync"], "seats": 20, "pid": 4711}
    store.join(DaemonRecord(id="box1-4711-a1b2c3", started_at=NOW - HOUR, seen_at=NOW, **who))
    for minutes in (3, 2, 1):
        tick = Tick(minute=_tick(minutes * MINUTE), daemon="box1-4711-a1b2c3", claimed_at=NOW, due=2, done_at=NOW)
        store.claim_tick(tick)
        store.finish_tick(tick)
    named: dict[str, dict[str, Any]] = {
        LONG: {"minute": 30, "hour": 2, "tz": "Europe/Berlin", "handler": "sync", "user": "sales"},
        IMPORTED: {"minute": 5, "hour": 3, "handler": "shell", "params": _shell("pg_dump app | gzip > /srv/app.gz")},
        "invoices": {"minute": 0, "hour": 22, "handler": "report", "user": "billing", "tags": ["billing", "monthly"]},
        "paused-one": {"minute": "*/5", "handler": "report", "enabled": False},
        "rates": {"minute": "*/15", "hour": "8-18", "weekday": "mon-fri", "handler": "report", "tz": "Asia/Tokyo"},
    }
    ids = {}
    for number, (name, fields) in enumerate(sorted(named.items())):
        schedule = schedules.new(now=NOW - 480 * HOUR, name=name, **fields)
        schedule = replace(schedule, id=f"6923f1aa0000000000000{number:03}")
        store.add_schedule(schedule.document())
        ids[name] = schedule
    _ended(cron, ids[LONG], 390 * MINUTE, runs.SUCCEEDED, result={"contacts": 1204})
    exits = {"type": "cronlite.handlers.shell.CommandFailed", "message": "exit status 1: pg_dump: no such database"}
    for days in (3, 2, 1, 0):
        _ended(cron, ids[IMPORTED], 295 * MINUTE + days * 24 * HOUR, runs.FAILED, error=exits)
    _ended(cron, ids["invoices"], 10 * HOUR, runs.TIMED_OUT, error={"type": "TimedOut", "message": "ran for 90 s"})
    _ended(cron, ids["rates"], 30 * MINUTE, runs.SKIPPED, reason="an earlier run is still at work")
    asked = new_runs.of_schedule(ids["invoices"], _tick(4 * MINUTE), NOW - 4 * MINUTE)
    asked.id, asked.params = "6923f1bb00000000000000ff", {}
    store.add_runs([asked])
    once = Run(id="6923f1bb0000000000000001", handler="report", params={}, due_at=NOW - MINUTE, queued_at=NOW - MINUTE)
    once.user = "bob"
    store.add_runs([once])


def _tick(ago: timedelta) -> datetime:
    return (NOW - ago).replace(second=0)


def _ended(cron: Cronlite, schedule: schedules.Schedule, ago: timedelta, state: str, **more: Any) -> None:
    run = new_runs.of_schedule(schedule, _tick(ago), _tick(ago) + timedelta(seconds=1))
    run.started_at, run.attempt, run.daemon = run.queued_at, 1, "box1-4711-a1b2c3"
    for name, value in transitions.closed(state, run.queued_at + timedelta(seconds=42), **more).items():
        setattr(run, name, value)
    cron.store.add_runs([run])


def _shell(line: str) -> dict[str, Any]:
    return {"command": ["/bin/sh", "-c", line]}
