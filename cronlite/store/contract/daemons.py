"""What must a store do with the daemons that share it?"""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from cronlite.documents.daemons import DaemonRecord


class Daemons(Protocol):
    """The daemons that are alive, and those that died of late."""

    def join(self, daemon: DaemonRecord) -> datetime:
        """Add a daemon; return the store's time."""

    def beat(
        self, id: str, *, running: int, stuck: int, trouble: str = "", ticked_at: datetime | None = None
    ) -> datetime | None:
        """Count the daemon's beat up, and store how it is; return the store's time, or None if it is marked dead or
        gone.
        """

    def leave(self, id: str) -> None:
        """Delete a daemon that stops in good order."""

    def daemons(self) -> list[DaemonRecord]:
        """List all of them, the dead ones too."""

    def mark_dead(self, id: str, beat: int) -> bool:
        """Mark a daemon dead if its beat still is the one that was seen; tell whether it was."""

    def prune_daemons(self, before: datetime) -> int:
        """Delete daemons that were marked dead before an instant; return how many."""
