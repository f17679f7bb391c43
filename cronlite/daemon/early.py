"""Which runs of a minute are in the store before its wake, so that they start right at it?"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from cronlite.daemon.batches import batches
from cronlite.daemon.lanes import busy_lanes
from cronlite.daemon.store_clock import steady
from cronlite.documents.runs import Run
from cronlite.store.contract import Store


class Starter(Protocol):
    """Claims runs before their wake, and begins them or gives them back after it."""

    def add_early(self, new: Sequence[Run], wake_at: datetime, kept: int) -> list[Run]: ...

    def begin(self, claimed: Sequence[Run]) -> None: ...

    def give_back(self, claimed: Sequence[Run]) -> None: ...


class Early:
    """Writes runs of a prepared minute as claimed by this daemon, and begins them at its wake.

    Left to the wake is a run whose lane is busy: what is at work there may have ended by then.
    """

    def __init__(self, store: Store, starter: Starter) -> None:
        self._store, self._starter = store, starter
        self._kept: list[Run] = []

    def write(self, made: list[Run], wake_at: datetime, until: float) -> list[Run]:
        """Write what can start at a wake, as far as it can be done up to a steady instant; return the other runs."""
        written: set[str] = set()
        took = 0.0
        for batch in batches(iter(made)):
            begun = steady()
            if begun + 2 * took > until:
                break
            free = self._in_free_lanes(batch)
            added = self._starter.add_early(free, wake_at, len(self._kept))
            took = steady() - begun
            self._kept += added
            written.update(run.id for run in added)
            if len(added) < len(free):
                break
        return [run for run in made if run.id not in written]

    def begin(self, now: datetime) -> None:
        """Begin what was written; a clock that was put back before its minute lets it wait in the queue."""
        kept, self._kept = self._kept, []
        if kept and kept[0].due_at > now:
            self._starter.give_back(kept)
        elif kept:
            self._starter.begin(kept)

    def _in_free_lanes(self, batch: list[Run]) -> list[Run]:
        busy = busy_lanes(self._store, batch)
        return [run for run in batch if run.lane not in busy]
