"""How does SQLite let users take turns, and how does it count what one of them has?"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from cronlite.store.sqlite.columns import milliseconds
from cronlite.store.sqlite.connection import Tables
from cronlite.store.sqlite.tables import or_default
from cronlite.store.turns import in_turns, share

_NEXT_USER = "SELECT min(user) FROM runs WHERE state = 'queued' AND user"
_USERS = f"""
    WITH RECURSIVE found(value) AS (
        {_NEXT_USER} {{}} ?
        UNION ALL SELECT ({_NEXT_USER} > found.value) FROM found WHERE found.value IS NOT NULL
    )
    SELECT value FROM found WHERE value IS NOT NULL LIMIT ?
"""
_OLDEST_OF_USER = (
    "SELECT run_at, _id, rowid FROM runs"
    " WHERE state = 'queued' AND user = ? AND handler = ? AND run_at <= ?{} ORDER BY run_at, _id LIMIT ?"
)


class Turns(Tables):
    """The contract's methods on users."""

    def queued_users(self, after: str | None, limit: int) -> list[str]:
        rows = self._read(_USERS.format(">=" if after is None else ">"), [after or "", limit])
        return [user for (user,) in rows if isinstance(user, str)]

    def count_queued(self, user: str, limit: int) -> int:
        return self._up_to(limit, "runs WHERE state = 'queued' AND user = ?", user)

    def count_schedules(self, user: str, limit: int) -> int:
        return self._up_to(limit, "schedules WHERE user = ?", user)

    def count_paused(self, now: datetime) -> tuple[int, int]:
        disabled = f"SELECT count(*) FROM schedules WHERE {or_default('enabled')} = 0"
        lifted = f"{disabled.replace(' ifnull', ' +ifnull')} AND paused_until <= ?"
        [counts] = self._read(
            f"SELECT ({disabled}) - ({lifted}), (SELECT count(*) FROM schedules)", [milliseconds(now)]
        )
        return counts[0], counts[1]

    def _up_to(self, limit: int, of: str, user: str) -> int:
        [(count,)] = self._read(f"SELECT count(*) FROM (SELECT 1 FROM {of} LIMIT ?)", [user, limit])
        return int(count)


def oldest_in_turns(
    connection: sqlite3.Connection,
    users: Sequence[str],
    handlers: Collection[str],
    until: Any,
    of_queues: tuple[str, list[str]],
    limit: int,
) -> list[int]:
    """Return the rows of the oldest queued runs of some users, as many of each, and in turns."""
    term, queues = of_queues
    of_each = []
    for user in users:
        oldest: list[tuple[Any, ...]] = []
        for handler in handlers:
            values = [user, handler, until, *queues, share(limit, users)]
            oldest += connection.execute(_OLDEST_OF_USER.format(term), values)
        of_each.append([rowid for _, _, rowid in sorted(oldest, key=lambda row: (row[0], str(row[1])))])
    return in_turns([rowids[: share(limit, users)] for rowids in of_each], limit)
