"""How does SQLite keep the minute ledger?"""

from __future__ import annotations

from datetime import datetime

from cronlite.documents import ticks
from cronlite.documents.ticks import DONE, FIELDS, Tick
from cronlite.store.sqlite.columns import milliseconds
from cronlite.store.sqlite.connection import Tables
from cronlite.store.sqlite.tables import TICKS

_ONE = f"{TICKS.select} WHERE minute = ?"


class Ticks(Tables):
    """The contract's methods on the tick ledger."""

    def ledger(self, since: datetime, until: datetime) -> list[Tick]:
        first = milliseconds(since)
        rows = self._read(
            f"{TICKS.select} WHERE minute >= ifnull((SELECT max(minute) FROM ticks WHERE minute < ?), ?)"
            " AND minute <= ? ORDER BY minute",
            [first, first, milliseconds(until)],
        )
        return [tick for row in rows if (tick := ticks.read(TICKS.document(row)))]

    def claim_tick(self, tick: Tick) -> Tick:
        row = TICKS.row({name: getattr(tick, name) for name in FIELDS})
        with self._write() as connection:
            connection.execute(f"{TICKS.insert()} ON CONFLICT DO NOTHING", row)
            [other] = connection.execute(_ONE, [milliseconds(tick.minute)])
            if standing := ticks.read(TICKS.document(other)):
                return standing
            connection.execute(TICKS.insert(replace=True), row)
        return tick

    def take_over_tick(self, tick: Tick, daemon: str) -> bool:
        owned = [daemon, milliseconds(tick.minute), tick.daemon]
        statement = "UPDATE ticks SET daemon = ? WHERE minute = ? AND daemon = ? AND done_at IS NULL"
        return self._change(statement, owned) == 1

    def finish_tick(self, tick: Tick) -> bool:
        done = {name: getattr(tick, name) for name in DONE}
        owned = [*TICKS.values(done), milliseconds(tick.minute), tick.daemon]
        return self._change(f"{TICKS.update(done)} WHERE minute = ? AND daemon = ?", owned) == 1

    def prune_ticks(self, before: datetime) -> int:
        first_kept = milliseconds(before)
        return self._change(
            "DELETE FROM ticks WHERE minute < (SELECT max(minute) FROM ticks WHERE minute < ?)", [first_kept]
        )
