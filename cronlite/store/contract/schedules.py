"""What must a store do with schedules, and how is it asked which of them are due?"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from cronlite.documents.runs import Changes
from cronlite.documents.schedules import Document


@dataclass(frozen=True, slots=True, kw_only=True)
class Clause:
    """One alternative of the due query: some zones that read alike, and the stored values that match in each field.

    A field that is absent is not restricted, and zones are not where they are None.
    """

    zones: Sequence[str | None] | None
    either_day: bool
    values: Mapping[str, Sequence[Any]]


MAX_TEXTS = 120_000
"""How many texts of one field a store lists."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Uncommon:
    """Another alternative of the due query, for the texts of one field that are too many to be repeated in each clause.

    It is for schedules whose `field` is one of the texts, or sorts after `after`, and that fit any of the clauses.
    """

    field: str
    texts: Sequence[str] = ()
    after: str | None = None
    clauses: Sequence[Clause]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleQuery:
    """Which schedules to list, by id; None does not restrict."""

    name: str | None = None
    prefix: str | None = None
    """The first characters of the id."""
    user: str | None = None
    handler: str | None = None
    tag: str | None = None
    enabled: bool | None = None
    ids: Collection[str] | None = None
    """Those with any of these ids."""
    search: str | None = None
    """Those whose name has this in it, whatever the case of its letters; of the nameless, whose id begins so."""
    owner: str | None = None
    names: Collection[str] | None = None
    """Those with any of these names."""
    limit: int | None = None
    by_name: bool = False
    """Those that have a name first, by that."""
    after: tuple[str | None, str] | None = None
    """Only what comes, in that order, behind the one with this name (None for none) and id."""


class Schedules(Protocol):
    """Schedules as stored documents."""

    def add_schedule(self, document: Document) -> None:
        """Insert a schedule. Raises Conflict when its `_id` or `name` is taken."""

    def change_schedule(self, id: str, changes: Changes, unchanged_since: datetime | None) -> bool:
        """Set fields (None removes one) if `updated_at` still is `unchanged_since`; tell whether it was.

        Raises Conflict when the new name is taken.
        """

    def remove_schedule(self, id: str) -> bool:
        """Delete a schedule; tell whether it was there."""

    def schedule(self, id: str) -> Document | None:
        """Fetch one by its id."""

    def schedules(self, query: ScheduleQuery) -> Iterator[Document]:
        """Stream documents, foreign and broken ones among them."""

    def count_schedules(self, user: str, limit: int) -> int:
        """Count a user's schedules, no further than `limit`."""

    def count_paused(self, now: datetime) -> tuple[int, int]:
        """Count the schedules that are paused now, and all of them, those that cannot be read included.

        Those whose `paused_until` has come are not paused any more.
        """

    def expressions(self) -> dict[str, list[Any]]:
        """List the distinct texts in `tz`, `every` and each of the five time fields of schedules that are not paused.

        They are in order, at most MAX_TEXTS, and none of more than 256 characters need be among them. Those of paused
        schedules that have a `paused_until` are among them, too. Some texts of other paused schedules, and some values
        that are no texts, may be.
        """

    def candidates(
        self, clauses: Sequence[Clause], uncommon: Sequence[Uncommon] = (), lifted_at: datetime | None = None
    ) -> Iterator[Document]:
        """Stream the enabled schedules that fit any of these, each once: perhaps too many, never too few.

        Those whose `paused_until` is not after `lifted_at` are among them.
        """
