"""What must a store do with limits?"""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from cronlite.documents.limits import Limit


class Limits(Protocol):
    """How many runs of a name may be at work at once. A claim takes a slot below the limit, and no two the same."""

    def set_limit(self, limit: Limit) -> None:
        """Store a limit, in the place of the one of its name if there is one. It counts from the next claim on."""

    def remove_limit(self, name: str) -> bool:
        """Delete a limit, so that its name restricts nothing; tell whether it was there."""

    def limits(self, names: Collection[str] | None = None) -> list[Limit]:
        """List the limits, or those with these names, by name; one edited into nonsense is left out, and counts as not
        set.
        """

    def count_limited(self, names: Collection[str]) -> dict[str, int]:
        """Count the runs that are running under each of these names."""

    def count_waiting(self, name: str, limit: int) -> int:
        """Count the queued runs under a name, no further than `limit`."""

    def queued_limits(self) -> set[str]:
        """Name the limits, set or not, under which runs are queued."""
