"""How does SQLite let users take turns, and how does it count what one of them has?"""

from __future__ import annotations

from datetime import datetime

from cronlite.store.sqlite.columns import milliseconds
from cronlite.store.sqlite.connection import Tables
from cronlite.store.sqlite.indexes import or_default

_NEXT_USER = "SELECT min(user) FROM runs WHERE state = 'queued' AND user"
_USERS = f"""
    WITH RECURSIVE found(value) AS (
        {_NEXT_USER} {{}} ?
        UNION ALL SELECT ({_NEXT_USER} > found.value) FROM found WHERE found.value IS NOT NULL
    )
    SELECT value FROM found WHERE value IS NOT NULL LIMIT ?
"""


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
