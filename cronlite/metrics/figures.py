"""What does a daemon say of what it does, to whoever counts it?"""

from __future__ import annotations

from dataclasses import dataclass

from cronlite.documents.runs import Run


@dataclass(frozen=True, slots=True, kw_only=True)
class Levels:
    """How a daemon stands at this moment; `ticked_at` is in seconds since 1970, None for a worker."""

    seats: int
    used: int
    stuck: int
    ticked_at: float | None


class Figures:
    """Hears of what a daemon does, from many threads at once, and forgets it: this is for daemons nobody measures."""

    def started(self, run: Run) -> None:
        """Hear that the handler of a run is about to be called; its `started_at` says when."""

    def attempted(self, run: Run, seconds: float) -> None:
        """Hear how long an attempt took, however it ended."""

    def closed(self, run: Run, state: str) -> None:
        """Hear that a run has come into a state; only those that end it count."""

    def ticked(self, seconds: float) -> None:
        """Hear that this daemon did a minute, or a gap, and how long that took."""

    def missed(self, minutes: int) -> None:
        """Hear of minutes in which no daemon ticked, longer ago than the grace."""

    def store_failed(self) -> None:
        """Hear that something could not be done for want of the store."""

    def lease_lost(self) -> None:
        """Hear that the others took this daemon for dead."""


NOBODY = Figures()
