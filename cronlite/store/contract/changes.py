"""What must a store do with the history of schedules, and how is a schedule written together with its change?"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol

from cronlite.documents.changes import Change
from cronlite.documents.schedules import Document

Refusal = Literal["stale", "name", "_id"]
"""Why a write was not made: somebody was faster, or the name or the id is another schedule's."""


@dataclass(frozen=True, slots=True)
class Write:
    """A write of one schedule, and what its history is to say of it.

    A change that adds or restores inserts `document`; one that changes sets its fields (None removes one); one that
    removes needs none. It is made only where the schedule's `updated_at` still is `found_at`, whatever that is.
    """

    change: Change
    document: Document | None = None
    found_at: Any = None

    @classmethod
    def of(cls, change: Change, before: Document, fields: Document | None = None) -> Write:
        """Make one to a schedule as it was found: of its fields, or its removal."""
        return cls(change, fields, before.get("updated_at"))


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeQuery:
    """Which changes to list, the newest first; None does not restrict."""

    schedule: str | None = None
    schedules: Collection[str] | None = None
    """Of any of these schedules."""
    kind: str | None = None
    name: str | None = None
    """Of schedules that were called so."""
    behind: tuple[datetime, str] | None = None
    """Behind the one of this instant and id, in the order of the list."""
    limit: int | None = None


class Changes(Protocol):
    """The history of schedules."""

    def write_schedules(self, writes: Sequence[Write]) -> dict[str, Refusal]:
        """Write schedules, no two of them the same, each together with its change; return those that were refused.

        Whatever ends this process, no change is left of which `history.happened` says so though its write never came.
        """

    def changes(self, query: ChangeQuery) -> list[Change]:
        """List changes, the newest first, also those of writes that never came."""

    def prune_changes(self, now: datetime) -> int:
        """Delete changes whose `expires_at` has come, where the store does not do so by itself; return how many."""
