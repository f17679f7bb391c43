"""How does SQLite keep alarms and duties?"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from datetime import datetime

from cronlite.documents import alarms
from cronlite.documents.alarms import Alarm, Changes, Duty, Told
from cronlite.store.contract import AlarmQuery
from cronlite.store.sqlite.columns import milliseconds
from cronlite.store.sqlite.connection import Tables
from cronlite.store.sqlite.tables import ALARMS, DUTIES


class Alarms(Tables):
    """The contract's methods on alarms and duties."""

    def raise_alarms(self, alarms: Sequence[Alarm]) -> set[str]:
        if not alarms:
            return set()
        with self._write() as connection:
            return {alarm.id for alarm in alarms if _raise(connection, alarm)}

    def alarm(self, id: str) -> Alarm | None:
        rows = self._read(f"{ALARMS.select} WHERE _id = ?", [id])
        return alarms.read(ALARMS.document(rows[0])) if rows else None

    def alarms(self, query: AlarmQuery) -> list[Alarm]:
        where, values = "cleared_at IS NULL", []
        if query.cleared_since is not None:
            where, values = f"{where} OR cleared_at >= ?", [milliseconds(query.cleared_since)]
        rows = self._read(f"{ALARMS.select} WHERE {where} ORDER BY raised_at DESC, _id LIMIT ?", [*values, query.limit])
        return [alarm for row in rows if (alarm := alarms.read(ALARMS.document(row)))]

    def change_alarm(self, alarm: Alarm, changes: Changes) -> bool:
        same = [alarm.id, milliseconds(alarm.raised_at)]
        statement = f"{ALARMS.update(changes)} WHERE _id = ? AND raised_at = ? AND cleared_at IS NULL"
        return self._change(statement, [*ALARMS.values(changes), *same]) == 1

    def note_told(self, alarm: Alarm, told: Mapping[str, Told]) -> bool:
        same = [alarm.id, milliseconds(alarm.raised_at)]
        with self._write() as connection:
            rows = connection.execute(f"{ALARMS.select} WHERE _id = ? AND raised_at = ?", same).fetchall()
            if not rows:
                return False
            entries = ALARMS.document(rows[0]).get("told")
            entries = entries if isinstance(entries, dict) else {}
            noted = {"told": entries | {channel: entry.document() for channel, entry in told.items()}}
            connection.execute(f"{ALARMS.update(noted)} WHERE _id = ?", [*ALARMS.values(noted), alarm.id])
        return True

    def prune_alarms(self, before: datetime) -> int:
        self._change("DELETE FROM duties WHERE until < ?", [milliseconds(before)])
        return self._change("DELETE FROM alarms WHERE cleared_at < ?", [milliseconds(before)])

    def claim_duty(self, id: str, daemon: str, now: datetime, until: datetime) -> Duty | None:
        claimed = {"daemon": daemon, "until": until}
        with self._write() as connection:
            connection.execute(f"{DUTIES.insert()} ON CONFLICT DO NOTHING", DUTIES.row({"_id": id, **claimed}))
            connection.execute(
                f"{DUTIES.update(claimed)} WHERE _id = ? AND (daemon = ? OR until <= ?)",
                [*DUTIES.values(claimed), id, daemon, milliseconds(now)],
            )
            [row] = connection.execute(f"{DUTIES.select} WHERE _id = ?", [id])
        duty = alarms.read_duty(DUTIES.document(row))
        return duty if duty and duty.daemon == daemon else None

    def change_duty(self, duty: Duty, changes: Changes) -> bool:
        owned = [duty.id, duty.daemon]
        return (
            self._change(f"{DUTIES.update(changes)} WHERE _id = ? AND daemon = ?", [*DUTIES.values(changes), *owned])
            == 1
        )

    def duties(self) -> list[Duty]:
        rows = self._read(f"{DUTIES.select} ORDER BY _id")
        return [duty for row in rows if (duty := alarms.read_duty(DUTIES.document(row)))]


def _raise(connection: sqlite3.Connection, alarm: Alarm) -> bool:
    stood = connection.execute("SELECT cleared_at IS NULL FROM alarms WHERE _id = ?", [alarm.id]).fetchall()
    if not stood or not stood[0][0]:
        connection.execute(ALARMS.insert(replace=True), ALARMS.row(alarm.document()))
        return True
    worse = {"title": alarm.title, "detail": alarm.detail, "last_at": alarm.last_at, "run": alarm.run}
    connection.execute(
        f"{ALARMS.update(worse)}, times = times + 1 WHERE _id = ? AND last_at < ?",
        [*ALARMS.values(worse), alarm.id, milliseconds(alarm.last_at)],
    )
    return False
