"""How does SQLite keep who is there?"""

from __future__ import annotations

from dataclasses import fields
from datetime import datetime

from cronlite.documents.daemons import DaemonRecord
from cronlite.store.sqlite.columns import milliseconds
from cronlite.store.sqlite.connection import Tables
from cronlite.store.sqlite.tables import DAEMONS

_FIELDS = tuple(field.name for field in fields(DaemonRecord) if field.name != "id")


class Daemons(Tables):
    """The contract's methods on daemons."""

    def join(self, daemon: DaemonRecord) -> datetime:
        now = self.now()
        fields = {name: getattr(daemon, name) for name in _FIELDS}
        queues = None if daemon.queues is None else list(daemon.queues)
        lists = {"handlers": list(daemon.handlers), "declared": list(daemon.declared), "queues": queues}
        joined = fields | lists | {"_id": daemon.id, "seen_at": now}
        self._change(DAEMONS.insert(replace=True), DAEMONS.row(joined))
        return now

    def beat(
        self, id: str, *, running: int, stuck: int, trouble: str = "", ticked_at: datetime | None = None
    ) -> datetime | None:
        now = self.now()
        seen = {"seen_at": now, "running": running, "stuck": stuck, "trouble": trouble, "ticked_at": ticked_at}
        beaten = self._change(
            f"{DAEMONS.update(seen)}, beat = beat + 1 WHERE _id = ? AND dead_at IS NULL", [*DAEMONS.values(seen), id]
        )
        return now if beaten else None

    def leave(self, id: str) -> None:
        self._change("DELETE FROM daemons WHERE _id = ?", [id])

    def daemons(self) -> list[DaemonRecord]:
        documents = map(DAEMONS.document, self._read(f"{DAEMONS.select} ORDER BY _id"))
        return [record for document in documents if (record := DaemonRecord.read({**document, "id": document["_id"]}))]

    def mark_dead(self, id: str, beat: int) -> bool:
        seen = [milliseconds(self.now()), id, beat]
        return self._change("UPDATE daemons SET dead_at = ? WHERE _id = ? AND beat = ? AND dead_at IS NULL", seen) == 1

    def prune_daemons(self, before: datetime) -> int:
        return self._change("DELETE FROM daemons WHERE dead_at < ?", [milliseconds(before)])
