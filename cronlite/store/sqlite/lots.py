"""Which queued runs come next, of all lots and users, without reading past those that wait for a limit?"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from heapq import merge
from typing import Any, NamedTuple

from cronlite.documents import limits
from cronlite.documents.limits import Slot, Slots
from cronlite.documents.runs import DEFAULT_QUEUE
from cronlite.documents.schedules import Document
from cronlite.store.contract import ClaimQuery
from cronlite.store.sqlite.columns import milliseconds
from cronlite.store.sqlite.limits import LOTS_IN_USE, free_slots
from cronlite.store.sqlite.rows import IN_LIST, listed
from cronlite.store.sqlite.tables import RUNS
from cronlite.store.turns import in_turns, share, some

_OF_QUEUES = f" AND ifnull(queue, '{DEFAULT_QUEUE}') {IN_LIST}"
# States are written into the queries: SQLite uses an index on some rows only where it can see that they are enough.
_FOUND = """SELECT run_at, _id, rowid, lot, "limit" FROM runs WHERE"""
_OF_LOT = f"{_FOUND} state = 'queued'{{}} AND handler = ? AND run_at <= ?{{}} ORDER BY run_at, _id LIMIT ?"
# The plus keeps SQLite from reading all that is queued instead of the few that are named.
_NAMED = (
    f"{_FOUND} _id {IN_LIST} AND +state = 'queued' AND handler {IN_LIST} AND +run_at <= ?{{}}"
    " ORDER BY run_at, _id LIMIT ?"
)
_PUT = "UPDATE runs SET lot = ifnull(priority, 5) || ':' || \"limit\" WHERE rowid = ? AND ifnull(priority, 5) IN"
_PUT += " (0, 1, 2, 3, 4, 5, 6, 7, 8, 9)"


class Candidate(NamedTuple):
    """A queued run, as far as its place in the queue goes."""

    run_at: Any
    id: Any
    rowid: int
    lot: Any
    limit: Any

    @property
    def place(self) -> tuple[float, str]:
        """Where in the queue it is: by the instant that its priority makes of its own, then by its id."""
        return limits.effective(self.run_at, self.lot if isinstance(self.lot, str) else None), str(self.id)


class Next:
    """What comes next in the queue for one claim, with the slots to take; within one transaction."""

    def __init__(self, connection: sqlite3.Connection, query: ClaimQuery, limit: int) -> None:
        self._connection, self._query, self._limit = connection, query, limit
        self._of_queues, self._queues = restricted(query.queues)
        self._until = milliseconds(query.now)
        self._slots = Slots(partial(free_slots, connection))
        self.slots: dict[int, Slot] = {}
        """The slots to take, by the run's row."""

    def oldest(self) -> list[tuple[int, Document]]:
        """Return what comes next, each with its row's number."""
        rowids: dict[int, None] = {}
        for candidate in self._in_order():
            if len(rowids) == self._limit:
                break
            if candidate.rowid not in rowids and self._has_slot(candidate):
                rowids[candidate.rowid] = None
        rows = {row[0]: row[1:] for row in self._connection.execute(RUNS.select_rows, [listed(rowids)])}
        return [(rowid, RUNS.document(rows[rowid])) for rowid in rowids]

    def _in_order(self) -> Iterator[Candidate]:
        query = self._query
        if query.ids is not None:
            values = [listed(query.ids), listed(query.handlers), self._until, *self._queues, self._limit]
            yield from map(Candidate._make, self._connection.execute(_NAMED.format(self._of_queues), values).fetchall())
            return
        lots = self._open_lots()
        if query.users:
            size = share(self._limit, query.users)
            of_each = (self._of_lots(lots, size, user) for user in query.users)
            yield from in_turns([list(part)[:size] for part in of_each], size * len(query.users))
        yield from self._of_lots(lots, self._limit)

    def _open_lots(self) -> list[str | None]:
        """List the lots that runs can be claimed of."""
        lots: list[str | None] = [None]
        lots += [lot for (lot,) in self._connection.execute(LOTS_IN_USE) if isinstance(lot, str)]
        if self._query.limited:
            lots = [lot for lot in lots if lot not in limits.PLAIN_LOTS]
        lots = some(lots)
        self._slots.look_up({name for lot in lots if (name := limits.limit_of(lot))})
        return [lot for lot in lots if (name := limits.limit_of(lot)) is None or self._slots.left(name) != 0]

    def _of_lots(self, lots: Sequence[str | None], limit: int, user: str | None = None) -> Iterable[Candidate]:
        """Merge what is ready of some lots, and of one user where one is named."""
        parts = []
        of_user, users = ("", []) if user is None else (" AND user = ?", [user])
        for lot in lots:
            of_lot, lot_values = (" AND lot IS NULL", []) if lot is None else (" AND lot = ?", [lot])
            statement = _OF_LOT.format(of_user + of_lot, self._of_queues)
            for handler in self._query.handlers:  # one by one, the index gives them in order; together, all are sorted
                values = [*users, *lot_values, handler, self._until, *self._queues, limit]
                parts.append(list(map(Candidate._make, self._connection.execute(statement, values))))
        return merge(*parts, key=lambda candidate: candidate.place)

    def _has_slot(self, candidate: Candidate) -> bool:
        """Take a slot for a run that needs one; tell whether it may go."""
        if not isinstance(candidate.limit, str):
            return True
        slot = self._slots.take(candidate.limit, str(candidate.id))
        if slot is None:
            if limits.limit_of(candidate.lot) != candidate.limit:  # another program wrote it
                self._connection.execute(_PUT, [candidate.rowid])
            return False
        self.slots[candidate.rowid] = slot
        return True


def restricted(queues: Any) -> tuple[str, list[str]]:
    """Return the term that restricts runs to some queues, and its variable."""
    return ("", []) if queues is None else (_OF_QUEUES, [listed(queues)])
