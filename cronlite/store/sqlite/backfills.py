"""How does SQLite find the runs that a backfill asks for?"""

from __future__ import annotations

from collections.abc import Collection

from cronlite.documents.runs import QUEUED, Run
from cronlite.store.sqlite.connection import Tables
from cronlite.store.sqlite.readable import readable
from cronlite.store.sqlite.rows import IN_LIST, listed
from cronlite.store.sqlite.tables import RUNS


class Backfills(Tables):
    """The contract's methods on backfills."""

    def known_runs(self, ids: Collection[str]) -> dict[str, str]:
        rows = self._read(f"SELECT _id, state FROM runs WHERE _id {IN_LIST}", [listed(ids)])
        return {id_: str(state) for id_, state in rows}

    def count_backfill(self, backfill: str) -> dict[str, int]:
        rows = self._read("SELECT state, count(*) FROM runs WHERE backfill = ? GROUP BY state", [backfill])
        return {state: count for state, count in rows if isinstance(state, str)}

    def queued_of_backfill(self, backfill: str, limit: int) -> list[Run]:
        rows = self._read(f"{RUNS.select} WHERE backfill = ? AND state = ? LIMIT ?", [backfill, QUEUED, limit])
        return list(readable(map(RUNS.document, rows)))
