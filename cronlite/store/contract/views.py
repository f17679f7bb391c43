"""What must a store do to be looked at: outlines and counts, read from indexes and within limits?"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple, Protocol

from cronlite.documents.outlines import Outline
from cronlite.documents.schedules import Document
from cronlite.store.contract.runs import RunQuery

MAX_TIMINGS = 50_000
"""How many kinds of times a store tells apart."""
LOOK_SECONDS = 2.0
"""How long a store looks: what takes longer raises StoreTooSlow."""


class Timing(NamedTuple):
    """How many enabled schedules have these time fields, `either_day`, `every` and `tz`."""

    fields: Mapping[str, Any]
    schedules: int


class Views(Protocol):
    """What is shown of schedules and runs, many at a time. All may raise StoreTooSlow."""

    def outlines(self, query: RunQuery) -> list[Outline]:
        """List runs in outline, the last queued first; those edited into nonsense are left out."""

    def last_outlines(
        self, schedules: Collection[str], count: int, states: Collection[str] | None = None
    ) -> dict[str, list[Outline]]:
        """List the last runs of each of these schedules, at most `count`, by schedule, the one queued last first.

        Of all states, or of some.
        """

    def tally(self, since: datetime, until: datetime, step: timedelta) -> dict[tuple[int, str], int]:
        """Count the runs queued since an instant and before another, by the number of the step and by state."""

    def timings(self) -> list[Timing]:
        """Count the enabled schedules by their time fields: at most MAX_TIMINGS kinds of these."""

    def not_always_active(self, now: datetime, limit: int) -> list[Document]:
        """List enabled schedules that begin after an instant or have an end, and paused ones whose pause has an end."""
