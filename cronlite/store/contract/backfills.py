"""What must a store do with the runs that a backfill asks for?"""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from cronlite.documents.runs import Run


class Backfills(Protocol):
    """Runs as a backfill sees them: those that there are, and those that are its own."""

    def known_runs(self, ids: Collection[str]) -> dict[str, str]:
        """Return the states of those of these runs that there are, by their ids."""

    def count_backfill(self, backfill: str) -> dict[str, int]:
        """Count the runs of a backfill by their state."""

    def queued_of_backfill(self, backfill: str, limit: int) -> list[Run]:
        """List queued runs of a backfill."""
