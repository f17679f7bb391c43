"""What must a store do with the entries of the tick ledger?"""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from cronlite.documents.ticks import Tick


class Ticks(Protocol):
    """The tick ledger: an entry for each minute that a daemon ticked."""

    def ledger(self, since: datetime, until: datetime) -> list[Tick]:
        """Read the entries of minutes from `since` to `until`, and the newest one before.

        Those edited into nonsense are left out, here and among the daemons.
        """

    def claim_tick(self, tick: Tick) -> Tick:
        """Insert an entry unless its minute has one that can be read; return the one that stands."""

    def take_over_tick(self, tick: Tick, daemon: str) -> bool:
        """Make `daemon` the owner of an entry, if `tick.daemon` still owns it and it is not done."""

    def finish_tick(self, tick: Tick) -> bool:
        """Store `due`, `skipped` and `done_at`, if `tick.daemon` still owns the entry."""

    def prune_ticks(self, before: datetime) -> int:
        """Delete the entries older than `before`, done or not, but never the newest of them; return how many."""
