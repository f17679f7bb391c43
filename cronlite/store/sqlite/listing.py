"""How does SQLite list runs: the few that are wanted out of millions, and all of them without holding them all?"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace
from heapq import merge
from itertools import islice
from operator import attrgetter
from typing import Any

from cronlite.documents.runs import STATES, Run
from cronlite.store.contract import RunQuery
from cronlite.store.sqlite.columns import milliseconds
from cronlite.store.sqlite.connection import BY_ID, NEWEST_FIRST, Order, Tables
from cronlite.store.sqlite.indexes import LAST_CHARACTER, LISTED
from cronlite.store.sqlite.readable import readable
from cronlite.store.sqlite.rows import IN_LIST, listed
from cronlite.store.sqlite.tables import BRIEF, RUNS

_PAGE = 500
_RARE = 10_000


class Listing(Tables):
    """The contract's lists of runs."""

    def runs(self, query: RunQuery) -> Iterator[Run]:
        if query.prefix:
            return _cut(self._in_order(query, BY_ID), query)
        # Each state apart, in the order of an index: together they would all be read, and sorted.
        parts = [self._in_order(replace(query, states=states), NEWEST_FIRST) for states in apart(query)]
        return _cut(merge(*parts, key=attrgetter("queued_at", "id"), reverse=True), query)

    def count_listed(self, query: RunQuery) -> int:
        count = sum(self._count(replace(query, states=states)) for states in apart(query))
        return count if query.limit is None else min(count, query.limit)

    def _count(self, query: RunQuery) -> int:
        terms, values = self._restrictions(query)
        matching = f"SELECT 1 FROM runs WHERE {' AND '.join(['true', *terms])} LIMIT ?"
        counted = [*values, -1 if query.limit is None else query.limit]
        [(count,)] = self._read(f"SELECT count(*) FROM ({matching})", counted)
        return int(count)

    def last_runs(self, schedules: Collection[str]) -> dict[str, Run]:
        last = "SELECT rowid FROM runs WHERE schedule = ids.value ORDER BY queued_at DESC, _id DESC LIMIT 1"
        rows = self._read(
            f"{RUNS.select} WHERE rowid IN (SELECT ({last}) FROM json_each(?) AS ids)", [listed(schedules)]
        )
        return {run.schedule: run for run in readable(map(RUNS.document, rows)) if run.schedule}

    def _in_order(self, query: RunQuery, order: Order) -> Iterator[Run]:
        size = _PAGE if query.limit is None else min(query.skip + query.limit, _PAGE)
        return readable(self._pages(BRIEF if query.brief else RUNS, *self._restrictions(query), order, size))

    def _restrictions(self, query: RunQuery) -> tuple[list[str], list[Any]]:
        """Return the terms of a query, and their variables."""
        named = {"schedule": query.schedule, "user": query.user, "handler": query.handler}
        if query.states is not None and len(query.states) == 1 and query.daemon is None:
            named["state"] = next(iter(query.states))
        columns = {column: value for column, value in named.items() if value is not None}
        rarest = self._rarest(columns)
        asked: dict[str, Any] = {
            f"{LISTED[column] if column == rarest else '+' + column} = ?": value for column, value in columns.items()
        }
        asked[f"retry_of {IN_LIST}"] = None if query.retry_of is None else listed(query.retry_of)
        asked |= {"daemon = ?": query.daemon, "queued_at >= ?": milliseconds(query.since)}
        asked[f"schedule {IN_LIST}"] = None if query.schedules is None else listed(query.schedules)
        asked |= {"queued_at < ?": milliseconds(query.until), "_id >= ?": query.prefix or None}
        asked["_id < ?"] = query.prefix + LAST_CHARACTER if query.prefix else None
        terms = {term: value for term, value in asked.items() if value is not None}
        states = [] if query.states is None or "state" in columns else [one_of(query.states)]
        return [*terms, *states], list(terms.values())

    def _rarest(self, columns: dict[str, str]) -> str | None:
        """Return which of these columns has its value in the fewest runs; SQLite itself does not know."""
        if len(columns) < 2:
            return next(iter(columns), None)
        return min(columns, key=lambda column: self._counted(column, columns[column]))

    def _counted(self, column: str, value: str) -> int:
        counted = (
            f"SELECT count(*) FROM (SELECT 1 FROM runs WHERE {LISTED[column]} = ? ORDER BY queued_at LIMIT {_RARE})"
        )
        [(count,)] = self._read(counted, [value])
        return int(count)


def _cut(listed: Iterator[Run], query: RunQuery) -> Iterator[Run]:
    return islice(listed, query.skip, None if query.limit is None else query.skip + query.limit)


def apart(query: RunQuery) -> list[Collection[str] | None]:
    """Part the states that are asked for, or all of them where there is nothing else to read by."""
    others = (query.schedule, query.schedules, query.user, query.handler, query.daemon, query.retry_of)
    by_another = any(other is not None for other in others)
    if query.states is None:
        return [None] if by_another else [[state] for state in STATES]
    return [[state] for state in STATES if state in query.states]


def one_of(states: Collection[str]) -> str:
    # Written out: SQLite uses an index on some rows only where it can see that they are enough.
    return f"({' OR '.join(f'state = {state!r}' for state in STATES if state in states) or 'false'})"
