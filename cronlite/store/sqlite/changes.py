"""How does SQLite write a schedule and its change in one transaction, and how does it keep the changes?"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from datetime import datetime

from cronlite.documents import changes
from cronlite.documents.changes import MOST, Change
from cronlite.store.contract.changes import ChangeQuery, Refusal, Write
from cronlite.store.grouping import batches
from cronlite.store.sqlite.columns import milliseconds
from cronlite.store.sqlite.connection import Tables
from cronlite.store.sqlite.rows import IN_LIST, listed
from cronlite.store.sqlite.tables import CHANGES, SCHEDULES

_BATCH = 500  # others that write to the file wait meanwhile
_PRUNED = 10_000
_OLDEST_KEPT = "SELECT at FROM changes WHERE schedule = ? ORDER BY at DESC LIMIT 1 OFFSET ?"


class Changes(Tables):
    """The contract's methods on the history of schedules."""

    def write_schedules(self, writes: Sequence[Write]) -> dict[str, Refusal]:
        refused: dict[str, Refusal] = {}
        for batch in batches(writes, _BATCH):
            with self._write() as connection:
                for write in batch:
                    if refusal := _refusal(connection, write):
                        refused[write.change.schedule] = refusal
        return refused

    def changes(self, query: ChangeQuery) -> list[Change]:
        asked = {
            "schedule = ?": query.schedule,
            "kind = ?": query.kind,
            "name = ?": query.name,
        }
        terms = {term: value for term, value in asked.items() if value is not None}
        if query.schedules is not None:
            terms[f"schedule {IN_LIST}"] = listed(query.schedules)
        values = list(terms.values())
        where = " AND ".join(["true", *terms, *(["(at, _id) < (?, ?)"] if query.behind else [])])
        values += [milliseconds(query.behind[0]), query.behind[1]] if query.behind else []
        limit = -1 if query.limit is None else query.limit
        statement = f"{CHANGES.select} WHERE {where} ORDER BY at DESC, _id DESC LIMIT ?"
        rows = self._read(statement, [*values, limit])
        return [change for row in rows if (change := changes.read(CHANGES.document(row)))]

    def prune_changes(self, now: datetime) -> int:
        expired = f"SELECT rowid FROM changes WHERE expires_at <= ? LIMIT {_PRUNED}"
        return self._change(f"DELETE FROM changes WHERE rowid IN ({expired})", [milliseconds(now)])


def _refusal(connection: sqlite3.Connection, write: Write) -> Refusal | None:
    """Write one schedule and its change, both or neither; say why not."""
    change = write.change
    row = CHANGES.row({**change.document(), "made": True})
    if not connection.execute(f"{CHANGES.insert()} ON CONFLICT DO NOTHING", row).rowcount:
        return "stale"  # another that leaves it at the same instant
    if refusal := _refused(connection, write):
        connection.execute("DELETE FROM changes WHERE _id = ?", [change.id])
        return refusal
    oldest = connection.execute(_OLDEST_KEPT, [change.schedule, MOST - 1]).fetchone()
    if oldest:
        connection.execute("DELETE FROM changes WHERE schedule = ? AND at < ?", [change.schedule, *oldest])
    return None


def _refused(connection: sqlite3.Connection, write: Write) -> Refusal | None:
    id, document = write.change.schedule, write.document
    unchanged = [id, milliseconds(write.found_at)]
    try:
        if document is None:
            written = connection.execute("DELETE FROM schedules WHERE _id = ? AND updated_at IS ?", unchanged)
        elif write.change.before is None:
            written = connection.execute(SCHEDULES.insert(), SCHEDULES.row(document))
        else:
            statement = f"{SCHEDULES.update(document)} WHERE _id = ? AND updated_at IS ?"
            written = connection.execute(statement, [*SCHEDULES.values(document), *unchanged])
    except sqlite3.IntegrityError:
        same = connection.execute("SELECT 1 FROM schedules WHERE _id = ?", [id]).fetchone()
        return "_id" if same and write.change.before is None else "name"
    return None if written.rowcount else "stale"
