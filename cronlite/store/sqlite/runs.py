"""How does SQLite keep the runs, hand each to one daemon, and close it?"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timezone
from itertools import chain
from typing import Any, TypeVar

from cronlite.documents import runs, transitions
from cronlite.documents.runs import DEFAULT_QUEUE, QUEUED, Changes, Run
from cronlite.store.contract import Backlog, ClaimQuery, UnsentQuery
from cronlite.store.grouping import SharedChange, after, batches, shared
from cronlite.store.sqlite.columns import instant, milliseconds
from cronlite.store.sqlite.limits import Limits
from cronlite.store.sqlite.lots import Next, restricted
from cronlite.store.sqlite.readable import read_or_abandon, readable
from cronlite.store.sqlite.rows import IN_LIST, listed
from cronlite.store.sqlite.tables import RUNS
from cronlite.store.sqlite.turns import Turns
from cronlite.store.turns import MOST_LOTS

T = TypeVar("T")

_FIRST_INSTANT = datetime.min.replace(tzinfo=timezone.utc)
_LAST_INSTANT = datetime.max.replace(tzinfo=timezone.utc)
_PRUNED_AT_ONCE = 500  # a few hundredths of a second, in which nobody else can write

# States are written into the queries: SQLite uses an index on some rows only where it can see that they are enough.
# Workers look for runs with a limit themselves: a message does not wait for a slot.
_TO_SEND = f"""{RUNS.select} WHERE state = 'queued' AND "limit" IS NULL AND sent_at"""
_UNSENT = f"{_TO_SEND} {{}} AND run_at <= ?{{}} ORDER BY sent_at, run_at LIMIT ?"
_EARLIEST = (
    "SELECT (SELECT min(run_at) FROM runs WHERE state = 'queued' AND {} AND handler = value AND run_at <= ?)"
    " FROM json_each(?)"
)
_CLAIM = (
    "UPDATE runs SET state = 'running', daemon = ?, started_at = ?, attempt = ifnull(attempt, 0) + 1"
    f" WHERE rowid {IN_LIST}"
)
_TAKE = "UPDATE runs SET slot = ? WHERE rowid = ?"
_WAIT = "UPDATE runs SET run_at = NULL, sent_at = NULL WHERE rowid = ?"


class Runs(Limits, Turns):
    """The contract's methods on runs."""

    def add_runs(self, runs: Sequence[Run]) -> set[str]:
        rows = [RUNS.row(run.document()) for run in runs]
        with self._write() as connection:

            def insert(page: Sequence[list[Any]]) -> None:
                connection.execute(RUNS.insert(len(page)), list(chain.from_iterable(page)))

            refused = {row[0] for page in batches(rows, RUNS.rows_at_once) for row in _refused(insert, page)}
        if any(run.state == QUEUED for run in runs):
            self._ring()
        return refused

    def claim_runs(self, daemon: str, query: ClaimQuery) -> list[Run]:
        earliest = self.next_run_at(query.handlers)
        if earliest is None or earliest > query.now:
            return []  # asked without a lock, because most daemons ask in vain most of the time
        claimed: list[Run] = []
        with self._write() as connection:
            # Every run that is found is claimed, set to wait or abandoned, so this comes to an end.
            while len(claimed) < query.limit:
                following = Next(connection, query, query.limit - len(claimed))
                if not (oldest := following.oldest()):
                    break
                readable = read_or_abandon(connection, oldest, query.now)
                connection.executemany(_TAKE, [(slot, rowid) for rowid, slot in following.slots.items()])
                wanted = readable[: query.count([run for _, run in readable])]
                claimed += _claimed(connection, wanted, daemon, query.now)
                if len(wanted) < len(readable):
                    break
        return claimed

    def unsent_runs(self, query: UnsentQuery) -> list[Run]:
        of_queues, queues = restricted(query.queues)
        sent = [] if query.sent_before is None else [milliseconds(query.sent_before)]
        statement = _UNSENT.format("< ?" if sent else "IS NULL", of_queues)
        rows = self._read(statement, [*sent, milliseconds(query.now), *queues, query.limit])
        return list(readable(map(RUNS.document, rows)))

    def late_runs(self, now: datetime, limit: int) -> list[Run]:
        until = [milliseconds(now), limit]
        rows = self._read(
            f"{RUNS.select} WHERE state = 'queued' AND attempt = 0 AND late_at <= ? ORDER BY late_at LIMIT ?", until
        )
        rows += self._read(f"{RUNS.select} WHERE state = 'running' AND late_at <= ? LIMIT ?", until)
        return list(readable(map(RUNS.document, rows)))

    def change_runs(self, changes: Sequence[tuple[Run, Changes]]) -> set[str]:
        with self._write() as connection:
            lost = {id for change in shared(changes) for id in _not_changed(connection, change)}
        if any(change.get("state") == QUEUED for _, change in changes):
            self._ring()
        return lost

    def watch_output(self, id: str, until: datetime) -> bool:
        later = "UPDATE runs SET watched_until = max(ifnull(watched_until, 0), ?) WHERE _id = ? AND +state = 'running'"
        return self._change(later, [milliseconds(until), id]) > 0

    def watched(self, ids: Collection[str], now: datetime) -> set[str]:
        rows = self._read(
            f"SELECT _id FROM runs WHERE _id {IN_LIST} AND watched_until > ?", [listed(ids), milliseconds(now)]
        )
        return {id for (id,) in rows}

    def abandon_unreadable(self, daemon: str, now: datetime) -> int:
        owned = "WHERE state = 'running' AND (daemon = ? OR typeof(daemon) != 'text')"
        with self._write() as connection:
            rows = connection.execute(f"SELECT rowid, {RUNS.names} FROM runs {owned}", [daemon])
            running = [(rowid, RUNS.document(row)) for rowid, *row in rows]
            return len(running) - len(read_or_abandon(connection, running, now))

    def run(self, id: str) -> Run | None:
        rows = self._read(f"{RUNS.select} WHERE _id = ?", [id])
        return runs.read(RUNS.document(rows[0])) if rows else None

    def run_with_key(self, key: str) -> Run | None:
        rows = self._read(f"{RUNS.select} WHERE state = 'queued' AND attempt = 0 AND key = ?", [key])
        return next(readable(map(RUNS.document, rows)), None)

    def count_runs(self) -> dict[tuple[str, str], int]:
        counted = "SELECT state, handler, count(*) FROM runs WHERE state = '{}' GROUP BY handler"
        rows = self._read(f"{counted.format('queued')} UNION ALL {counted.format('running')}")
        return {(state, handler): count for state, handler, count in rows if isinstance(handler, str)}

    def count_queues(self) -> dict[str, int]:
        of_queue = f"SELECT ifnull(queue, '{DEFAULT_QUEUE}') AS its, count(*) FROM runs"
        rows = self._read(f"{of_queue} WHERE state = 'queued' GROUP BY its")
        return {queue: count for queue, count in rows if isinstance(queue, str)}

    def backlog(self) -> dict[str, Backlog]:
        of_queue = f"SELECT ifnull(queue, '{DEFAULT_QUEUE}') AS its, count(*), min(run_at) FROM runs"
        rows = self._read_aside(f"{of_queue} WHERE state = 'queued' GROUP BY its")
        queues = {queue: (count, instant(since)) for queue, count, since in rows if isinstance(queue, str)}
        return {
            queue: Backlog(count, since if isinstance(since, datetime) else None)
            for queue, (count, since) in queues.items()
        }

    def next_run_at(self, handlers: Collection[str]) -> datetime | None:
        values = [milliseconds(_LAST_INSTANT), listed(handlers)]
        rows = self._read(_EARLIEST.format("lot IS NULL"), values)
        for lot in self._queued_lots()[:MOST_LOTS]:
            rows += self._read(_EARLIEST.format("lot = ?"), [lot, *values])
        earliest = [instant(run_at) for (run_at,) in rows if run_at is not None]
        # A number that is no instant has come: the claim that finds it abandons its run.
        return min((run_at if isinstance(run_at, datetime) else _FIRST_INSTANT for run_at in earliest), default=None)

    def owners(self) -> set[str]:
        rows = self._read(
            "SELECT daemon FROM runs WHERE state = 'running' UNION SELECT daemon FROM ticks WHERE done_at IS NULL"
        )
        return {daemon for (daemon,) in rows if isinstance(daemon, str)}

    def prune_runs(self, now: datetime) -> int:
        statement = "DELETE FROM runs WHERE rowid IN (SELECT rowid FROM runs WHERE expires_at <= ? LIMIT ?)"
        return self._change(statement, [milliseconds(now), _PRUNED_AT_ONCE])


def _refused(write: Callable[[Sequence[T]], object], items: Sequence[T]) -> list[T]:
    """Write items, all with one statement if it can be; return those whose place in a unique index is another's.

    At each statement this thread stands in line with the handlers for the interpreter's lock.
    """
    try:
        write(items)
    except sqlite3.IntegrityError:
        if len(items) == 1:
            return [*items]
        middle = len(items) // 2
        return _refused(write, items[:middle]) + _refused(write, items[middle:])
    return []


def _claimed(
    connection: sqlite3.Connection, wanted: Sequence[tuple[int, Run]], daemon: str, now: datetime
) -> list[Run]:
    """Claim those whose lane is free, and let the others wait."""

    def claim(rowids: Sequence[int]) -> None:
        connection.execute(_CLAIM, [daemon, milliseconds(now), listed(rowids)])

    waiting = set(_refused(claim, [rowid for rowid, _ in wanted]))
    connection.executemany(_WAIT, [[rowid] for rowid in waiting])
    claimed = [run for rowid, run in wanted if rowid not in waiting]
    for run in claimed:
        transitions.claim(run, daemon, now)
    return claimed


def _not_changed(connection: sqlite3.Connection, change: SharedChange) -> list[str]:
    """Make a change; return the runs that are not as the fence has them, and do not show it either."""
    values = RUNS.values(change.changes)
    try:
        statement = f"{RUNS.update(change.changes)} WHERE _id {IN_LIST} AND state = ? AND daemon IS ? AND attempt = ?"
        changed = connection.execute(statement, [*values, listed(change.ids), *change.fence.values()]).rowcount
        if changed == len(change.ids):
            return []
    except sqlite3.IntegrityError:  # the lane, or the key, of one of them is another's
        if len(change.ids) == 1:
            return change.ids
    if len(change.ids) > 1:
        return [id for single in change.singly for id in _not_changed(connection, single)]
    return [] if _shows(connection, change) else change.ids


def _shows(connection: sqlite3.Connection, change: SharedChange) -> bool:
    """Tell whether the one run of a change looks as the change leaves it: it was made before, without an answer."""
    made = after(change.fence, change.changes)
    stored = connection.execute(f"SELECT {', '.join(made)} FROM runs WHERE _id = ?", change.ids).fetchone()
    return stored is not None and list(stored) == RUNS.values(made)
