"""What must a store do with freezes, and with the runs that they hold back?"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Protocol

from cronlite.documents.freezes import Freeze
from cronlite.documents.runs import Changes, Run

HELD_AT_ONCE = 1_000
"""How many queued runs one write lets wait for the end of a freeze."""


class Freezes(Protocol):
    """Freezes, of which there are few, and what is known of them by the runs."""

    def add_freeze(self, freeze: Freeze) -> None:
        """Insert a freeze."""

    def change_freeze(self, freeze: Freeze, changes: Changes) -> bool:
        """Set fields if its `until_at` and `done_at` still are as in what is given; tell whether they were."""

    def remove_freeze(self, id: str) -> bool:
        """Delete a freeze; tell whether it was there."""

    def freezes(self, since: datetime | None = None) -> list[Freeze]:
        """List those that end after an instant, or that no daemon has ended yet, or all; those begun last first."""

    def broken_freezes(self) -> list[str]:
        """Name those that somebody edited into nonsense: nothing is held back by them."""

    def held_back(self, freezes: Collection[str], schedules: Collection[str]) -> dict[str, Run]:
        """Fetch, of each of these schedules, the run due last of those that one of these freezes held back.

        That is so whatever became of it since.
        """

    def hold_runs(self, freeze: Freeze, now: datetime, until: datetime, schedules: Collection[str] | None) -> int:
        """Let up to HELD_AT_ONCE of the queued runs that could start now wait for a freeze to end; return how many.

        Those are meant that have its user, handler and queue, and of these schedules (None: of any, or of none).
        """

    def release_held(self, freeze: str, now: datetime) -> int:
        """Let the queued runs go that wait for the end of a freeze; return how many."""

    def prune_freezes(self, now: datetime) -> int:
        """Delete freezes whose `expires_at` has come; return how many."""
