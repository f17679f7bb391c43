"""How does SQLite keep limits, and which slots are free under them?"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Collection, Mapping
from typing import Any

from cronlite.documents import limits
from cronlite.documents.limits import Limit
from cronlite.store.sqlite.connection import Rows, Tables
from cronlite.store.sqlite.indexes import distinct
from cronlite.store.sqlite.rows import IN_LIST, listed
from cronlite.store.sqlite.tables import LIMITS

_SET = f"{LIMITS.select} WHERE _id {IN_LIST}"
_TAKEN = f"""SELECT "limit", slot FROM runs WHERE state = 'running' AND "limit" {IN_LIST}"""
LOTS_IN_USE = distinct("runs", "lot", "state = 'queued'")


class Limits(Tables):
    """The contract's methods on limits."""

    def set_limit(self, limit: Limit) -> None:
        self._change(LIMITS.insert(replace=True), LIMITS.row(limits.document(limit)))

    def remove_limit(self, name: str) -> bool:
        return self._change("DELETE FROM limits WHERE _id = ?", [name]) == 1

    def limits(self, names: Collection[str] | None = None) -> list[Limit]:
        if names is None:
            return _read(self._read(f"{LIMITS.select} ORDER BY _id"))
        return _read(self._read(f"{_SET} ORDER BY _id", [listed(names)]))

    def count_limited(self, names: Collection[str]) -> dict[str, int]:
        return {name: len(slots) for name, slots in _taken(self._read(_TAKEN, [listed(names)])).items()}

    def count_waiting(self, name: str, limit: int) -> int:
        waiting = f"SELECT 1 FROM runs WHERE state = 'queued' AND lot {IN_LIST} LIMIT ?"
        [(count,)] = self._read(f"SELECT count(*) FROM ({waiting})", [listed(limits.lots(name)), limit])
        return int(count)

    def queued_limits(self) -> set[str]:
        return {name for lot in self._queued_lots() if (name := limits.limit_of(lot))}

    def _queued_lots(self) -> list[str]:
        return [lot for (lot,) in self._read(LOTS_IN_USE) if isinstance(lot, str)]


def free_slots(connection: sqlite3.Connection, names: Collection[str]) -> Mapping[str, list[int]]:
    """Look up which slots are free under those of the names whose limit is set."""
    most = {limit.name: limit.most for limit in _read(connection.execute(_SET, [listed(names)]).fetchall())}
    taken = _taken(connection.execute(_TAKEN, [listed(most)]).fetchall())
    return {name: limits.free_slots(most[name], taken[name]) for name in most}


def _read(rows: Rows) -> list[Limit]:
    return [limit for row in rows if (limit := limits.read(LIMITS.document(row)))]


def _taken(rows: Rows) -> defaultdict[str, list[Any]]:
    taken = defaultdict[str, list[Any]](list)
    for name, slot in rows:
        taken[name].append(slot)
    return taken
