"""How does SQLite keep the freezes, and find the runs that they hold back?"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from cronlite.documents import freezes
from cronlite.documents.freezes import Freeze
from cronlite.documents.runs import DEFAULT_QUEUE, Changes, Run
from cronlite.errors import shown
from cronlite.store.contract.freezes import HELD_AT_ONCE
from cronlite.store.sqlite.columns import milliseconds
from cronlite.store.sqlite.connection import Tables
from cronlite.store.sqlite.readable import readable
from cronlite.store.sqlite.rows import IN_LIST, listed
from cronlite.store.sqlite.tables import FREEZES, RUNS

_LAST_HELD_BACK = f"SELECT rowid FROM runs WHERE freeze {IN_LIST} AND schedule = ids.value ORDER BY due_at DESC LIMIT 1"


class Freezes(Tables):
    """The contract's methods on freezes."""

    def add_freeze(self, freeze: Freeze) -> None:
        self._change(FREEZES.insert(), FREEZES.row(freeze.document()))

    def change_freeze(self, freeze: Freeze, changes: Changes) -> bool:
        unchanged = [freeze.id, milliseconds(freeze.until_at), milliseconds(freeze.done_at)]
        statement = f"{FREEZES.update(changes)} WHERE _id = ? AND until_at IS ? AND done_at IS ?"
        return self._change(statement, [*FREEZES.values(changes), *unchanged]) == 1

    def remove_freeze(self, id: str) -> bool:
        return self._change("DELETE FROM freezes WHERE _id = ?", [id]) == 1

    def freezes(self, since: datetime | None = None) -> list[Freeze]:
        still = "until_at IS NULL OR until_at > ? OR done_at IS NULL"
        where, values = ("true", []) if since is None else (still, [milliseconds(since)])
        rows = self._read(f"{FREEZES.select} WHERE {where} ORDER BY from_at DESC, _id DESC", values)
        return [freeze for row in rows if (freeze := freezes.read(FREEZES.document(row)))]

    def broken_freezes(self) -> list[str]:
        documents = map(FREEZES.document, self._read(FREEZES.select))
        return [shown(document.get("_id")).strip("'") for document in documents if freezes.read(document) is None]

    def held_back(self, freezes: Collection[str], schedules: Collection[str]) -> dict[str, Run]:
        wanted = f"SELECT ({_LAST_HELD_BACK}) FROM json_each(?) AS ids"
        rows = self._read(f"{RUNS.select} WHERE rowid IN ({wanted})", [listed(freezes), listed(schedules)])
        return {run.schedule: run for run in readable(map(RUNS.document, rows)) if run.schedule}

    def hold_runs(self, freeze: Freeze, now: datetime, until: datetime, schedules: Collection[str] | None) -> int:
        asked = {"user = ?": freeze.user, "handler = ?": freeze.handler}
        asked[f"ifnull(queue, '{DEFAULT_QUEUE}') = ?"] = freeze.queue
        terms = {term: value for term, value in asked.items() if value is not None}
        if schedules is not None:
            terms[f"schedule {IN_LIST}"] = listed(schedules)
        where = " AND ".join(["state = 'queued' AND run_at <= ?", *terms])
        some = f"SELECT rowid FROM runs WHERE {where} LIMIT {HELD_AT_ONCE}"
        values = [milliseconds(until), freeze.id, milliseconds(now), *terms.values()]
        return self._change(f"UPDATE runs SET run_at = ?, sent_at = NULL, freeze = ? WHERE rowid IN ({some})", values)

    def release_held(self, freeze: str, now: datetime) -> int:
        held = "state = 'queued' AND freeze IS NOT NULL AND freeze = ? AND run_at > ?"
        values = [milliseconds(now), freeze, milliseconds(now)]
        return self._change(f"UPDATE runs SET run_at = ? WHERE {held}", values)

    def prune_freezes(self, now: datetime) -> int:
        return self._change("DELETE FROM freezes WHERE expires_at <= ?", [milliseconds(now)])
