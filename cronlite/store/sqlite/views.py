"""How does SQLite count and outline runs and schedules for those who look at many of them?"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from heapq import merge
from itertools import islice
from operator import attrgetter
from typing import Any

from cronlite.documents.outlines import NAMES, Outline, by_schedule, read
from cronlite.documents.runs import STATES
from cronlite.documents.schedules import Document
from cronlite.store.contract import RunQuery, Timing
from cronlite.store.contract.views import LOOK_SECONDS, MAX_TIMINGS
from cronlite.store.sqlite.columns import milliseconds
from cronlite.store.sqlite.connection import Rows
from cronlite.store.sqlite.indexes import LISTED, PAUSED_FOR_A_TIME, or_default
from cronlite.store.sqlite.listing import Listing, apart, one_of
from cronlite.store.sqlite.rows import listed
from cronlite.store.sqlite.tables import RUNS, SCHEDULES
from cronlite.when.clock import MILLISECOND

_COLUMNS = ("_id", *NAMES)
_SELECTED = ", ".join(f"runs.{name}" for name in _COLUMNS)
_READERS = {name: kind.read for name, kind in RUNS.columns.items()}
_TIMED = ("either_day", "every", "tz", "month", "minute", "hour", "day", "weekday")


class Views(Listing):
    """The contract's views."""

    def outlines(self, query: RunQuery) -> list[Outline]:
        parts = [self._outlined(replace(query, states=states)) for states in apart(query)]
        return list(islice(merge(*parts, key=attrgetter("queued_at", "id"), reverse=True), query.limit))

    def last_outlines(
        self, schedules: Collection[str], count: int, states: Collection[str] | None = None
    ) -> dict[str, list[Outline]]:
        of_states = "" if states is None else f" AND +{one_of(states)}"
        own = f"SELECT rowid FROM runs WHERE schedule = ids.value{of_states}"
        last = f"{own} ORDER BY queued_at DESC, _id DESC LIMIT ?"
        rows = self._looked_up(
            f"SELECT {_SELECTED} FROM json_each(?) AS ids JOIN runs ON runs.rowid IN ({last})"
            " ORDER BY runs.queued_at DESC, runs._id DESC",
            [listed(schedules), count],
        )
        return by_schedule(_outlines(rows))

    def tally(self, since: datetime, until: datetime, step: timedelta) -> dict[tuple[int, str], int]:
        begin, end = milliseconds(since), milliseconds(until)
        counted: dict[tuple[int, str], int] = {}
        for state in STATES:  # each by its part of the index, and from nothing else
            rows = self._looked_up(
                f"SELECT (queued_at - ?) / ? AS step, count(*) FROM runs"
                f" WHERE {LISTED['state']} = '{state}' AND queued_at >= ? AND queued_at < ? GROUP BY step",
                [begin, step // MILLISECOND, begin, end],
            )
            counted |= {(number, state): count for number, count in rows if isinstance(number, int)}
        return counted

    def timings(self) -> list[Timing]:
        columns = ", ".join(map(or_default, _TIMED))
        rows = self._looked_up(
            f"SELECT {columns}, count(*) FROM schedules INDEXED BY schedules_due_every"
            f" WHERE {or_default('enabled')} = 1 GROUP BY {columns} LIMIT {MAX_TIMINGS}"
        )
        return [Timing(_fields(row), row[-1]) for row in rows]

    def not_always_active(self, now: datetime, limit: int) -> list[Document]:
        rows = self._looked_up(
            f"{SCHEDULES.select} WHERE rowid IN (SELECT rowid FROM schedules WHERE active_from > ? UNION"
            f" SELECT rowid FROM schedules WHERE active_until IS NOT NULL UNION"
            f" SELECT rowid FROM schedules WHERE {PAUSED_FOR_A_TIME})"
            # The plus keeps SQLite from reading all that are enabled.
            f" AND (+{or_default('enabled')} = 1 OR {PAUSED_FOR_A_TIME}) LIMIT ?",
            [milliseconds(now), limit],
        )
        return list(map(SCHEDULES.document, rows))

    def _outlined(self, query: RunQuery) -> list[Outline]:
        terms, values = self._restrictions(query)
        where = " AND ".join(["true", *terms])
        order = "ORDER BY queued_at DESC, _id DESC"
        limit = -1 if query.limit is None else query.limit
        return _outlines(
            self._looked_up(f"SELECT {_SELECTED} FROM runs WHERE {where} {order} LIMIT ?", [*values, limit])
        )

    def _looked_up(self, query: str, values: Sequence[Any] = ()) -> Rows:
        with self.within(LOOK_SECONDS):
            return self._read(query, values)


def _outlines(rows: Rows) -> list[Outline]:
    documents = (
        {name: read_(value) if (read_ := _READERS[name]) else value for name, value in zip(_COLUMNS, row, strict=True)}
        for row in rows
    )
    return [outline for document in documents if (outline := read(document))]


def _fields(row: Sequence[Any]) -> dict[str, Any]:
    fields = dict(zip(_TIMED, row, strict=False))
    return {**fields, "either_day": bool(fields["either_day"]), "every": fields["every"] or None}
