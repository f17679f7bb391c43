"""Whose runs does a daemon claim next, when more is queued than it has seats for?"""

from __future__ import annotations

from collections.abc import Sequence

from cronlite.daemon.store_clock import steady
from cronlite.documents.runs import Run
from cronlite.store.contract import Store

MOST_USERS = 20
"""Who take turns in one claim; the others come in the next ones."""
ASKED_EVERY_SECONDS = 0.25


class Turns:
    """The users who have runs in the queue, in the order in which they are served.

    While everything that is ready gets claimed, nobody waits behind anybody, and the store is not asked for users.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._users: list[str] = []
        self._asked = float("-inf")
        self._last: str | None = None

    def users(self) -> Sequence[str]:
        """Name who takes turns in the next claim; nobody where there is only one."""
        if steady() - self._asked > ASKED_EVERY_SECONDS:
            self._users = self._store.queued_users(self._last, MOST_USERS)
            if self._last is not None and len(self._users) < MOST_USERS:
                begun = self._store.queued_users(None, MOST_USERS - len(self._users))
                self._users += [user for user in begun if user not in self._users]
            self._asked = steady()
        return self._users if len(self._users) > 1 else ()

    def served(self, claimed: Sequence[Run]) -> None:
        """Let the next claim begin behind the user whose run was the last of this one."""
        if claimed and (last := claimed[-1].user) in self._users:
            behind = self._users.index(last) + 1
            self._last, self._users = last, self._users[behind:] + self._users[:behind]
