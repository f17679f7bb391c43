"""Which tables and indexes does the SQLite store keep, and which statements read and write a document?

One column for each field, under its name; `columns` says how its values are stored.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from cronlite.documents.runs import LARGE
from cronlite.errors import StoreError
from cronlite.store.sqlite.columns import ATTEMPTS, BOOL, DATE, JSON, KEY, NUMBER, SPELLING, TEXT, TOLD, WORDS, Kind

LAST_CHARACTER = "\U0010ffff"  # no text that begins with a prefix sorts behind the prefix and this
MAX_VARIABLES = 8_000 if sqlite3.sqlite_version_info >= (3, 32) else 999  # of one statement
_KEYWORDS = ("limit",)
# One variable for a list of any length.
IN_LIST = "IN (SELECT value FROM json_each(?))"


def listed(values: Iterable[Any]) -> str:
    """Return the variable of an IN_LIST."""
    return json.dumps(list(values), ensure_ascii=False)


def quoted(name: str) -> str:
    """Return the name of a column as statements have it."""
    return f'"{name}"' if name in _KEYWORDS else name


@dataclass(frozen=True)
class Table:
    """A table of documents, and how a document becomes a row of it and a row a document."""

    name: str
    columns: Mapping[str, Kind]

    @property
    def create(self) -> str:
        """The statement that makes it.

        Its rowid is declared because VACUUM may number undeclared ones anew, under the hands of whoever holds some.
        """
        columns = "".join(f", {quoted(name)} {kind.declared}".rstrip() for name, kind in self.columns.items())
        return f"CREATE TABLE {self.name} (rowid INTEGER PRIMARY KEY{columns})"

    @property
    def names(self) -> str:
        """The columns of a document, in the order in which `row` gives and `document` takes them."""
        return ", ".join(map(quoted, self.columns))

    @property
    def select(self) -> str:
        """The beginning of a query for documents."""
        return f"SELECT {self.names} FROM {self.name}"

    @property
    def select_rows(self) -> str:
        """The query for a list of rows: the number of each, then its document."""
        return f"SELECT rowid, {self.names} FROM {self.name} WHERE rowid {IN_LIST}"

    @property
    def rows_at_once(self) -> int:
        """How many rows one statement can insert."""
        return MAX_VARIABLES // len(self.columns)

    def insert(self, rows: int = 1, *, replace: bool = False) -> str:
        """Return the statement that inserts rows, their values in one list, be it in place of what they clash with."""
        verb = "REPLACE" if replace else "INSERT"
        row = f"({', '.join('?' * len(self.columns))})"
        return f"{verb} INTO {self.name} ({self.names}) VALUES {', '.join([row] * rows)}"

    def row(self, document: Mapping[str, Any]) -> list[Any]:
        """Return the values to insert."""
        row: list[Any] = [None] * len(self.columns)
        try:
            for name, value in document.items():  # which has half of the columns, or fewer
                place, write = self._places[name]
                row[place] = write(value) if write and value is not None else value
        except KeyError:
            self._refuse_unknown(document)
            raise
        return row

    def document(self, row: Sequence[Any]) -> dict[str, Any]:
        """Return the document of a selected row."""
        return {
            name: read(value) if read else value
            for (name, read), value in zip(self._readers, row, strict=True)
            if value is not None
        }

    def values(self, changes: Mapping[str, Any]) -> list[Any]:
        """Return the values of some fields, as they are stored."""
        self._refuse_unknown(changes)
        return _written((self.columns[name].write, value) for name, value in changes.items())

    @cached_property
    def _places(self) -> dict[str, tuple[int, Callable[[Any], Any] | None]]:
        return {name: (place, kind.write) for place, (name, kind) in enumerate(self.columns.items())}

    @cached_property
    def _readers(self) -> list[tuple[str, Callable[[Any], Any] | None]]:
        return [(name, kind.read) for name, kind in self.columns.items()]

    def update(self, names: Iterable[str]) -> str:
        """Return the beginning of the statement that sets these columns."""
        return f"UPDATE {self.name} SET {', '.join(f'{quoted(name)} = ?' for name in names)}"

    def _refuse_unknown(self, document: Mapping[str, Any]) -> None:
        if not document.keys() <= self.columns.keys():
            unknown = ", ".join(sorted(map(str, document.keys() - self.columns.keys())))
            raise StoreError(f"the table {self.name} has no column for {unknown}")


def _written(cells: Iterable[tuple[Callable[[Any], Any] | None, Any]]) -> list[Any]:
    return [write(value) if write and value is not None else value for write, value in cells]


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

# What a missing field means. The due query asks for ifnull(column, default), and the index is on that: IN never finds
# NULL, and OR ... IS NULL would do without the index.
DUE_DEFAULTS: dict[str, int | str] = {
    "enabled": 1,
    "either_day": 0,
    "every": "",
    "tz": "UTC",
    "month": "*",
    "minute": "*",
    "hour": "*",
    "day": "*",
    "weekday": "*",
}
_IN_TIME = [name for name in DUE_DEFAULTS if name != "enabled"]
PAUSED_FOR_A_TIME = "paused_until IS NOT NULL"
EXPRESSIONS = ("tz", "every", "minute", "hour", "day", "month", "weekday")


def or_default(column: str) -> str:
    """Return the expression of a column, or its default where it is missing."""
    return f"ifnull({column}, {DUE_DEFAULTS[column]!r})"


# What lists are read by. Claims ask for handlers and states as well, but are not to take these indexes for theirs.
LISTED = {
    "schedule": "schedule",
    "user": "user",
    "handler": "ifnull(handler, '')",
    "state": "ifnull(state, '')",
}
_QUEUED_LANE = "(lane, due_at, _id) WHERE state = 'queued' AND lane IS NOT NULL AND run_at IS"
INDEXES = {
    "schedules_name": "UNIQUE INDEX schedules_name ON schedules (name)",
    "schedules_due_every": f"INDEX schedules_due_every ON schedules ({', '.join(map(or_default, DUE_DEFAULTS))})",
    **{
        f"schedules_enabled_{name}": f"INDEX schedules_enabled_{name} ON schedules ({or_default('enabled')}, {name})"
        for name in EXPRESSIONS
    },
    # Of the paused ones with an end, which are as good as enabled from that on.
    "schedules_paused_due": "INDEX schedules_paused_due ON schedules"
    f" ({', '.join([*map(or_default, _IN_TIME), 'paused_until'])}) WHERE {PAUSED_FOR_A_TIME}",
    "schedules_paused_until": f"INDEX schedules_paused_until ON schedules (paused_until) WHERE {PAUSED_FOR_A_TIME}",
    **{
        f"schedules_paused_{name}": f"INDEX schedules_paused_{name} ON schedules ({name}) WHERE {PAUSED_FOR_A_TIME}"
        for name in EXPRESSIONS
    },
    # The two that keep promises: never over itself, and one queued run per key.
    "runs_lane": "UNIQUE INDEX runs_lane ON runs (lane) WHERE state = 'running' AND lane IS NOT NULL",
    "runs_key": "UNIQUE INDEX runs_key ON runs (key) WHERE state = 'queued' AND attempt = 0 AND key IS NOT NULL",
    "runs_waiting": f"INDEX runs_waiting ON runs {_QUEUED_LANE} NULL",
    "runs_ready": f"INDEX runs_ready ON runs {_QUEUED_LANE} NOT NULL",
    # Never more than a limit allows: each running run has a slot below it.
    "runs_slot": """UNIQUE INDEX runs_slot ON runs ("limit", slot) WHERE state = 'running' AND "limit" IS NOT NULL""",
    # The state is the same throughout each of these two; without it SQLite would look it up in the rows.
    "runs_claim_lots": "INDEX runs_claim_lots ON runs (lot, handler, run_at, _id, state) WHERE state = 'queued'",
    "runs_turns_lots": "INDEX runs_turns_lots ON runs (user, lot, handler, run_at, _id, state) WHERE state = 'queued'",
    "schedules_beginning": "INDEX schedules_beginning ON schedules (active_from)",
    "schedules_ending": "INDEX schedules_ending ON schedules (active_until) WHERE active_until IS NOT NULL",
    "schedules_user": "INDEX schedules_user ON schedules (user)",
    "runs_to_send": (
        """INDEX runs_to_send ON runs (sent_at, run_at, state) WHERE state = 'queued' AND "limit" IS NULL"""
    ),
    "runs_late": "INDEX runs_late ON runs (late_at, attempt, state) WHERE state = 'queued' AND late_at IS NOT NULL",
    "runs_daemon": "INDEX runs_daemon ON runs (daemon, handler, state) WHERE state = 'running'",
    "runs_expiry": "INDEX runs_expiry ON runs (expires_at) WHERE expires_at IS NOT NULL",
    # Lists are wanted newest first, and few of millions. That of all runs is merged from those of the states.
    "runs_state": f"INDEX runs_state ON runs ({LISTED['state']}, queued_at, _id)",
    "runs_handler": f"INDEX runs_handler ON runs ({LISTED['handler']}, queued_at, _id)",
    "runs_schedule": "INDEX runs_schedule ON runs (schedule, queued_at, _id)",
    "runs_user": "INDEX runs_user ON runs (user, queued_at, _id)",
    "schedules_owner": "INDEX schedules_owner ON schedules (owner) WHERE owner IS NOT NULL",
    "changes_schedule": "INDEX changes_schedule ON changes (schedule, at, _id)",
    "changes_kind": "INDEX changes_kind ON changes (kind, at, _id)",
    "changes_at": "INDEX changes_at ON changes (at, _id)",
    "changes_expiry": "INDEX changes_expiry ON changes (expires_at)",
    "alarms_cleared": "INDEX alarms_cleared ON alarms (cleared_at)",
    "runs_retries": "INDEX runs_retries ON runs (retry_of) WHERE retry_of IS NOT NULL",
    "runs_freeze": "INDEX runs_freeze ON runs (freeze, schedule, due_at) WHERE freeze IS NOT NULL",
    "runs_held": "INDEX runs_held ON runs (freeze) WHERE state = 'queued' AND freeze IS NOT NULL",
    "runs_backfill": "INDEX runs_backfill ON runs (backfill, state) WHERE backfill IS NOT NULL",
    "ticks_undone": "INDEX ticks_undone ON ticks (daemon) WHERE done_at IS NULL",
}
# Of versions before this one. They ask for schedules_due by its name, so that it stays where it is.
OBSOLETE = ("runs_newest", "runs_claim", "runs_turns", "runs_unsent", *(f"schedules_{name}" for name in EXPRESSIONS))


def distinct(table: str, column: str, where: str = "true", first: str = "IS NOT NULL") -> str:
    """Return the query for a column's distinct values but NULL, from the first on that fits: one look into its index
    for each.

    SELECT DISTINCT reads every entry instead, unless somebody has run ANALYZE.
    """
    least = f"SELECT min({column}) FROM {table} WHERE {where} AND {column}"
    return (
        f"WITH RECURSIVE found(value) AS ({least} {first} UNION ALL"
        f" SELECT ({least} > found.value) FROM found WHERE found.value IS NOT NULL)"
        " SELECT value FROM found WHERE value IS NOT NULL"
    )
