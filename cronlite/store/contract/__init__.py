"""What must a store do? One contract, kept by MongoDB and by SQLite.

Documents cross this seam in one form on every store: ids are strings (an ObjectId as its 24 digits), instants aware
UTC datetimes of whole milliseconds. What a store cannot turn into that form, it hands over as it is, for the reader
to refuse.

Every method raises StoreUnavailable when the store cannot be reached within its time limit, and StoreError when it
refuses. Whatever loses a race answers so; nothing here raises because somebody else was faster.

A module for each kind of document; `Store` is all of them.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from datetime import datetime
from typing import Protocol

from cronlite.store.contract.alarms import AlarmQuery, Alarms
from cronlite.store.contract.backfills import Backfills
from cronlite.store.contract.changes import ChangeQuery, Changes, Refusal, Write
from cronlite.store.contract.daemons import Daemons
from cronlite.store.contract.freezes import Freezes
from cronlite.store.contract.limits import Limits
from cronlite.store.contract.runs import Backlog, ClaimQuery, RunQuery, Runs, UnsentQuery
from cronlite.store.contract.schedules import MAX_TEXTS, Clause, ScheduleQuery, Schedules, Uncommon
from cronlite.store.contract.ticks import Ticks
from cronlite.store.contract.views import Timing, Views

__all__ = [
    "MAX_TEXTS",
    "AlarmQuery",
    "Backlog",
    "ChangeQuery",
    "ClaimQuery",
    "Clause",
    "Refusal",
    "RunQuery",
    "ScheduleQuery",
    "Store",
    "Timing",
    "Uncommon",
    "UnsentQuery",
    "Write",
]


class Store(Schedules, Changes, Freezes, Backfills, Ticks, Runs, Daemons, Limits, Alarms, Views, Protocol):
    """Where schedules, their history, runs and all else is kept. Safe to share between threads."""

    @property
    def address(self) -> str:
        """The store's URI without its password."""

    def prepare(self) -> list[str]:
        """Make the tables and indexes that are missing; say in sentences what could not be made, and the remedy."""

    def damage(self) -> list[str]:
        """Read everything where the store is a file; say what is damaged, if anything is."""

    def close(self) -> None:
        """Give back connections. The store is not used again."""

    def now(self) -> datetime:
        """Ask the store's clock."""

    def within(self, seconds: float) -> AbstractContextManager[None]:
        """Let what this thread asks in that block raise StoreTooSlow, or StoreUnavailable, once it takes so long."""

    def watch(self, seconds: float) -> bool:
        """Wait up to `seconds` for a run that somebody queued; tell whether the store can tell at all.

        A store that cannot returns False at once.
        """

    def stop_watching(self) -> None:
        """End a `watch` that is under way, where it costs the store something for each run that is written."""
