"""Which tables does the SQLite store keep, and which columns has each?"""

from __future__ import annotations

from cronlite.documents.runs import LARGE
from cronlite.store.sqlite.columns import ATTEMPTS, BOOL, DATE, JSON, KEY, NUMBER, SPELLING, TEXT, TOLD, WORDS
from cronlite.store.sqlite.rows import Table

SCHEDULES = Table(
    "schedules",
    {
        "_id": KEY,
        "name": TEXT,
        "user": TEXT,
        "handler": TEXT,
        "queue": TEXT,
        "params": JSON,
        "minute": SPELLING,
        "hour": SPELLING,
        "day": SPELLING,
        "month": SPELLING,
        "weekday": SPELLING,
        "every": SPELLING,
        "either_day": BOOL,
        "tz": TEXT,
        "enabled": BOOL,
        "paused_until": DATE,
        "pause_reason": TEXT,
        "active_from": DATE,
        "active_until": DATE,
        "overlap": TEXT,
        "catch_up": TEXT,
        "retries": NUMBER,
        "retry_delay_seconds": NUMBER,
        "timeout_seconds": NUMBER,
        "deadline_seconds": NUMBER,
        "on_crash": TEXT,
        "late_after_seconds": NUMBER,
        "ping_url": TEXT,
        "limit": TEXT,
        "priority": NUMBER,
        "tags": JSON,
        "note": TEXT,
        "owner": TEXT,
        "origin": JSON,
        "created_at": DATE,
        "updated_at": DATE,
    },
)

RUNS = Table(
    "runs",
    {
        "_id": KEY,
        "handler": TEXT,
        "params": JSON,
        "due_at": DATE,
        "queued_at": DATE,
        "run_at": DATE,
        "schedule": TEXT,
        "user": TEXT,
        "queue": TEXT,
        "limit": TEXT,
        "priority": NUMBER,
        "lot": TEXT,
        "slot": SPELLING,
        "state": TEXT,
        "attempt": NUMBER,
        "crashes": NUMBER,
        "failures": NUMBER,
        "daemon": TEXT,
        "lane": TEXT,
        "key": TEXT,
        "overlap": TEXT,
        "retries": NUMBER,
        "retry_delay_seconds": NUMBER,
        "timeout_seconds": NUMBER,
        "on_crash": TEXT,
        "started_at": DATE,
        "finished_at": DATE,
        "result": JSON,
        "error": JSON,
        "output": WORDS,
        "reason": WORDS,
        "retry_of": TEXT,
        "deadline_at": DATE,
        "late_at": DATE,
        "ping_url": TEXT,
        "sent_at": DATE,
        "expires_at": DATE,
        "earlier_attempts": ATTEMPTS,
        "freeze": TEXT,
        "backfill": TEXT,
        "watched_until": DATE,
        "output_attempt": NUMBER,
        "traceparent": TEXT,
    },
)

BRIEF = Table("runs", {name: kind for name, kind in RUNS.columns.items() if name not in LARGE})
"""Runs without what few lists show."""

TICKS = Table(
    "ticks",
    {
        "minute": DATE._replace(declared="INTEGER NOT NULL UNIQUE"),
        "daemon": TEXT,
        "claimed_at": DATE,
        "from_at": DATE,
        "to_at": DATE,
        "due": NUMBER,
        "skipped": NUMBER,
        "frozen": NUMBER,
        "done_at": DATE,
    },
)

DAEMONS = Table(
    "daemons",
    {
        "_id": KEY,
        "host": WORDS,
        "pid": NUMBER,
        "version": TEXT,
        "started_at": DATE,
        "handlers": JSON,
        "beat": NUMBER,
        "seen_at": DATE,
        "running": NUMBER,
        "stuck": NUMBER,
        "seats": NUMBER,
        "dead_at": DATE,
        "ticks": BOOL,
        "trouble": WORDS,
        "queues": JSON,
        "declared": JSON,
        "ticked_at": DATE,
        "silence_seconds": NUMBER,
    },
)

CHANGES = Table(
    "changes",
    {
        "_id": KEY,
        "schedule": TEXT,
        "kind": TEXT,
        "at": DATE,
        "actor": TEXT,
        "way": TEXT,
        "name": TEXT,
        "user": TEXT,
        "before": WORDS,
        "after": WORDS,
        "found_at": DATE,
        "left_at": DATE,
        "found": TEXT,
        "made": BOOL,
        "expires_at": DATE,
    },
)

ALARMS = Table(
    "alarms",
    {
        "_id": KEY,
        "kind": TEXT,
        "title": WORDS,
        "detail": WORDS,
        "command": WORDS,
        "raised_at": DATE,
        "since_at": DATE,
        "last_at": DATE,
        "schedule": TEXT,
        "name": WORDS,
        "run": TEXT,
        "user": TEXT,
        "handler": TEXT,
        "tags": JSON,
        "times": NUMBER,
        "event": BOOL,
        "cleared_at": DATE,
        "acked_at": DATE,
        "acked_by": WORDS,
        "told": TOLD,
    },
)

DUTIES = Table(
    "duties",
    {
        "_id": KEY,
        "daemon": TEXT,
        "until": DATE,
        "told_at": DATE,
        "error": WORDS,
        "failing_since": DATE,
        "failures": NUMBER,
        "next_at": DATE,
        "looked_at": DATE,
    },
)

LIMITS = Table("limits", {"_id": KEY, "most": NUMBER, "changed_at": DATE, "changed_by": WORDS})

FREEZES = Table(
    "freezes",
    {
        "_id": KEY,
        "from_at": DATE,
        "until_at": DATE,
        "tag": TEXT,
        "user": TEXT,
        "handler": TEXT,
        "queue": TEXT,
        "reason": TEXT,
        "afterwards": TEXT,
        "hold": BOOL,
        "actor": TEXT,
        "way": TEXT,
        "created_at": DATE,
        "thawed_by": TEXT,
        "done_at": DATE,
        "expires_at": DATE,
    },
)

TABLES = (SCHEDULES, RUNS, TICKS, DAEMONS, CHANGES, ALARMS, DUTIES, LIMITS, FREEZES)
ADDED = (CHANGES, ALARMS, DUTIES, LIMITS, FREEZES)
"""The tables that the first version did not have yet."""
