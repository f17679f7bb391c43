"""How does SQLite keep the runs, hand each to one daemon, and close it?"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from datetime import datetime, timezone
from itertools import chain
from typing import Any, NamedTuple, TypeVar

from cronlite.documents import runs
from cronlite.documents.runs import ABANDONED, DEFAULT_QUEUE, Changes, Run
from cronlite.documents.schedules import Document
from cronlite.errors import InvalidInput
from cronlite.logger import logger
from cronlite.store.alike import Alike, alike, batches
from cronlite.store.contract import RunQuery
from cronlite.store.sqlite.connection import Tables
from cronlite.store.sqlite.tables import IN_LIST, RUNS, distinct, instant, listed, milliseconds

T = TypeVar("T")

log = logger("cronlite.store")

_LAST_CHARACTER = "\U0010ffff"
_FIRST_INSTANT = datetime.min.replace(tzinfo=timezone.utc)
_LAST_INSTANT = datetime.max.replace(tzinfo=timezone.utc)
_PRUNED_AT_ONCE = 1_000

# States are written into the queries: SQLite uses an index on some rows only where it can see that they are enough.
_OLDEST_QUEUED = (
    "SELECT run_at, _id, rowid FROM runs"
    " WHERE state = 'queued' AND handler = ? AND run_at <= ?{} ORDER BY run_at, _id LIMIT ?"
)
_UNSENT = f"{RUNS.select} WHERE state = 'queued' AND sent_at {{}} AND run_at <= ?{{}} ORDER BY sent_at, run_at LIMIT ?"
_OF_QUEUES = f" AND ifnull(queue, '{DEFAULT_QUEUE}') {IN_LIST}"
# The plus keeps SQLite from reading all that is queued instead of the few that are named.
_NAMED = (
    "SELECT run_at, _id, rowid FROM runs"
    f" WHERE _id {IN_LIST} AND +state = 'queued' AND handler {IN_LIST} AND +run_at <= ?{{}}"
    " ORDER BY run_at, _id LIMIT ?"
)
_EARLIEST = (
    "SELECT (SELECT min(run_at) FROM runs WHERE state = 'queued' AND handler = value AND run_at <= ?) FROM json_each(?)"
)
_CLAIM = (
    "UPDATE runs SET state = 'running', daemon = ?, started_at = ?, attempt = ifnull(attempt, 0) + 1"
    f" WHERE rowid {IN_LIST}"
)
_WAIT = "UPDATE runs SET run_at = NULL, sent_at = NULL WHERE rowid = ?"
_RUNNING_IN = "SELECT rowid FROM runs WHERE state = 'running' AND lane = lanes.value"
_QUEUED_IN = "SELECT rowid FROM runs WHERE state = 'queued' AND lane = lanes.value AND run_at IS"
_LATEST = "ORDER BY due_at DESC, _id DESC LIMIT 1"
_AT_WORK = f"""
    {RUNS.select} WHERE rowid IN (
        SELECT ({_RUNNING_IN}) FROM json_each(?) AS lanes
        UNION ALL SELECT ({_QUEUED_IN} NULL {_LATEST}) FROM json_each(?) AS lanes
        UNION ALL SELECT ({_QUEUED_IN} NOT NULL {_LATEST}) FROM json_each(?) AS lanes
    )
    ORDER BY due_at, _id
"""
_WAITING_LANES = distinct("runs", "lane", "state = 'queued' AND run_at IS NULL")
RELEASABLE = f"""
    SELECT ({_QUEUED_IN} NULL ORDER BY due_at, _id LIMIT 1) FROM ({_WAITING_LANES}) AS lanes
    WHERE NOT EXISTS ({_RUNNING_IN}) AND NOT EXISTS ({_QUEUED_IN} NOT NULL)
"""


class Runs(Tables):
    """The contract's methods on runs."""

    def add_runs(self, runs: Sequence[Run]) -> set[str]:
        rows = [RUNS.row(run.document()) for run in runs]
        with self._write() as connection:

            def insert(page: Sequence[list[Any]]) -> None:
                connection.execute(RUNS.insert(len(page)), list(chain.from_iterable(page)))

            return {row[0] for page in batches(rows, RUNS.rows_at_once) for row in _refused(insert, page)}

    def at_work(self, lanes: Collection[str]) -> list[Run]:
        found = _readable(map(RUNS.document, self._read(_AT_WORK, [listed(lanes)] * 3)))
        return list({run.lane: run for run in found}.values())

    def claim_runs(
        self,
        daemon: str,
        handlers: Collection[str],
        now: datetime,
        limit: int,
        *,
        queues: Collection[str] | None = None,
        ids: Collection[str] | None = None,
        count: Callable[[Sequence[Run]], int] = len,
    ) -> list[Run]:
        asked = _Ready(handlers, now, queues, ids)
        earliest = self.next_run_at(handlers)
        if earliest is None or earliest > now:
            return []  # asked without a lock, because most daemons ask in vain most of the time
        claimed: list[Run] = []
        with self._write() as connection:
            # Every run that is found is claimed, set to wait or abandoned, so this comes to an end.
            while len(claimed) < limit and (found := _queued(connection, asked, limit - len(claimed))):
                readable = _read_or_abandoned(connection, found, now)
                wanted = readable[: count([run for _, run in readable])]
                claimed += _claimed(connection, wanted, daemon, now)
                if len(wanted) < len(readable):
                    break
        return claimed

    def unsent_runs(
        self,
        now: datetime,
        limit: int,
        *,
        sent_before: datetime | None = None,
        queues: Collection[str] | None = None,
    ) -> list[Run]:
        of_queues, queue_list = _restricted(queues)
        sent = [] if sent_before is None else [milliseconds(sent_before)]
        statement = _UNSENT.format("< ?" if sent else "IS NULL", of_queues)
        rows = self._read(statement, [*sent, milliseconds(now), *queue_list, limit])
        return list(_readable(map(RUNS.document, rows)))

    def change_runs(self, changes: Sequence[tuple[Run, Changes]]) -> set[str]:
        with self._write() as connection:
            return {id_ for one in alike(changes) for id_ in _not_changed(connection, one)}

    def abandon_unreadable(self, daemon: str, now: datetime) -> int:
        owned = "WHERE state = 'running' AND (daemon = ? OR typeof(daemon) != 'text')"
        with self._write() as connection:
            rows = connection.execute(f"SELECT rowid, {RUNS.names} FROM runs {owned}", [daemon])
            found = [(rowid, RUNS.document(row)) for rowid, *row in rows]
            return len(found) - len(_read_or_abandoned(connection, found, now))

    def release_lanes(self, now: datetime) -> int:
        if not self._read(RELEASABLE):
            return 0
        return self._change(f"UPDATE runs SET run_at = ? WHERE rowid IN ({RELEASABLE})", [milliseconds(now)])

    def run(self, id: str) -> Run | None:
        found = self._read(f"{RUNS.select} WHERE _id = ?", [id])
        return runs.read(RUNS.document(found[0])) if found else None

    def runs(self, query: RunQuery) -> Iterator[Run]:
        terms, values = _restrictions(query)
        found = self._read(
            f"SELECT rowid FROM runs WHERE {' AND '.join(['true', *terms])} ORDER BY queued_at DESC, _id DESC LIMIT ?",
            [*values, -1 if query.limit is None else query.limit],
        )
        return _readable(self._stream(RUNS, (rowid for (rowid,) in found)))

    def count_listed(self, query: RunQuery) -> int:
        terms, values = _restrictions(query)
        found = f"SELECT 1 FROM runs WHERE {' AND '.join(['true', *terms])} LIMIT ?"
        [(count,)] = self._read(
            f"SELECT count(*) FROM ({found})", [*values, -1 if query.limit is None else query.limit]
        )
        return int(count)

    def last_runs(self, schedules: Collection[str]) -> dict[str, Run]:
        last = "SELECT rowid FROM runs WHERE schedule = ids.value ORDER BY queued_at DESC, _id DESC LIMIT 1"
        found = self._read(
            f"{RUNS.select} WHERE rowid IN (SELECT ({last}) FROM json_each(?) AS ids)", [listed(schedules)]
        )
        return {run.schedule: run for run in _readable(map(RUNS.document, found)) if run.schedule}

    def run_with_key(self, key: str) -> Run | None:
        found = self._read(f"{RUNS.select} WHERE state = 'queued' AND attempt = 0 AND key = ?", [key])
        return next(_readable(map(RUNS.document, found)), None)

    def count_runs(self) -> dict[tuple[str, str], int]:
        counted = "SELECT state, handler, count(*) FROM runs WHERE state = '{}' GROUP BY handler"
        rows = self._read(f"{counted.format('queued')} UNION ALL {counted.format('running')}")
        return {(state, handler): count for state, handler, count in rows if isinstance(handler, str)}

    def count_queues(self) -> dict[str, int]:
        of_queue = f"SELECT ifnull(queue, '{DEFAULT_QUEUE}') AS its, count(*) FROM runs"
        rows = self._read(f"{of_queue} WHERE state = 'queued' GROUP BY its")
        return {queue: count for queue, count in rows if isinstance(queue, str)}

    def next_run_at(self, handlers: Collection[str]) -> datetime | None:
        rows = self._read(_EARLIEST, [milliseconds(_LAST_INSTANT), listed(handlers)])
        found = [instant(run_at) for (run_at,) in rows if run_at is not None]
        # A number that is no instant has come: the claim that finds it abandons its run.
        return min((run_at if isinstance(run_at, datetime) else _FIRST_INSTANT for run_at in found), default=None)

    def owners(self) -> set[str]:
        rows = self._read(
            "SELECT daemon FROM runs WHERE state = 'running' UNION SELECT daemon FROM ticks WHERE done_at IS NULL"
        )
        return {daemon for (daemon,) in rows if isinstance(daemon, str)}

    def prune_runs(self, now: datetime) -> int:
        statement = "DELETE FROM runs WHERE rowid IN (SELECT rowid FROM runs WHERE expires_at <= ? LIMIT ?)"
        pruned, last = 0, _PRUNED_AT_ONCE
        while last == _PRUNED_AT_ONCE:  # in parts, so that claims get their turn
            last = self._change(statement, [milliseconds(now), _PRUNED_AT_ONCE])
            pruned += last
        return pruned


class _Ready(NamedTuple):
    """Which queued runs a claim is for."""

    handlers: Collection[str]
    now: datetime
    queues: Collection[str] | None
    ids: Collection[str] | None


def _restricted(queues: Collection[str] | None) -> tuple[str, list[str]]:
    """Return the term that restricts runs to some queues, and its variable."""
    return ("", []) if queues is None else (_OF_QUEUES, [listed(queues)])


def _queued(connection: sqlite3.Connection, asked: _Ready, limit: int) -> list[tuple[int, Document]]:
    """Return the oldest of the queued runs that are asked for, each with its row's number."""
    oldest: list[tuple[Any, ...]] = []
    of_queues, queues = _restricted(asked.queues)
    until = milliseconds(asked.now)
    if asked.ids is not None:
        named = [listed(asked.ids), listed(asked.handlers), until, *queues, limit]
        oldest += connection.execute(_NAMED.format(of_queues), named)
    else:
        for handler in asked.handlers:  # one by one, the index gives them in order; together, all would be sorted
            oldest += connection.execute(_OLDEST_QUEUED.format(of_queues), [handler, until, *queues, limit])
    oldest.sort(key=lambda found: (found[0], str(found[1])))
    rowids = [rowid for _, _, rowid in oldest[:limit]]
    rows = {row[0]: row[1:] for row in connection.execute(RUNS.select_rows, [listed(rowids)])}
    return [(rowid, RUNS.document(rows[rowid])) for rowid in rowids]


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


def _read_or_abandoned(
    connection: sqlite3.Connection, found: Sequence[tuple[int, Document]], now: datetime
) -> list[tuple[int, Run]]:
    """Read runs, and abandon what cannot be read."""
    readable = []
    for rowid, document in found:
        try:
            readable.append((rowid, runs.read(document)))
        except InvalidInput as fault:
            _abandon(connection, rowid, document, fault, now)
    return readable


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
        runs.claim(run, daemon, now)
    return claimed


def _abandon(
    connection: sqlite3.Connection, rowid: int, document: Document, fault: InvalidInput, now: datetime
) -> None:
    """Close a run that somebody edited into nonsense, which would be found again and again."""
    log.warning("run %r cannot be read, and is abandoned: %s", document.get("_id"), fault)
    ended = runs.closed(ABANDONED, now, reason=f"it cannot be read: {fault}")
    connection.execute(f"{RUNS.update(ended)} WHERE rowid = ?", [*RUNS.values(ended), rowid])


def _not_changed(connection: sqlite3.Connection, one: Alike) -> list[str]:
    """Make a change; return the runs that are not as the fence has them, and do not show it either."""
    values = RUNS.values(one.changes)
    try:
        statement = f"{RUNS.update(one.changes)} WHERE _id {IN_LIST} AND state = ? AND daemon IS ? AND attempt = ?"
        if connection.execute(statement, [*values, listed(one.ids), *one.fence.values()]).rowcount == len(one.ids):
            return []
    except sqlite3.IntegrityError:  # the lane, or the key, of one of them is another's
        if len(one.ids) == 1:
            return one.ids
    if len(one.ids) > 1:
        return [id_ for each in one.ids for id_ in _not_changed(connection, one._replace(ids=[each]))]
    made = f"SELECT {', '.join(one.changes)} FROM runs WHERE _id = ? AND attempt = ?"
    stored = connection.execute(made, [*one.ids, one.fence["attempt"]]).fetchone()
    return [] if stored is not None and list(stored) == values else one.ids


def _readable(documents: Iterator[Document]) -> Iterator[Run]:
    for document in documents:
        with suppress(InvalidInput):
            yield runs.read(document)


def _restrictions(query: RunQuery) -> tuple[list[str], list[Any]]:
    """Return the terms of a query for runs, and their variables."""
    asked: list[tuple[str, Any]] = [
        ("schedule = ?", query.schedule),
        ("user = ?", query.user),
        ("handler = ?", query.handler),
        ("daemon = ?", query.daemon),
        (f"schedule {IN_LIST}", None if query.schedules is None else listed(query.schedules)),
        ("queued_at >= ?", milliseconds(query.since)),
        ("queued_at < ?", milliseconds(query.until)),
        ("_id >= ?", query.prefix or None),
        ("_id < ?", query.prefix + _LAST_CHARACTER if query.prefix else None),
    ]
    given = [(term, value) for term, value in asked if value is not None]
    terms = [term for term, _ in given]
    if query.states is not None:
        states = [f"state = '{state}'" for state in runs.STATES if state in query.states]
        terms.append(f"({' OR '.join(states) or 'false'})")
    return terms, [value for _, value in given]
