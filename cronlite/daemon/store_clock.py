"""What time is it by the store's clock, which is the one that counts, and how long did something take?"""

from __future__ import annotations

import time
from datetime import datetime, timezone

from cronlite.when.clock import MILLISECOND, whole_milliseconds


def steady() -> float:
    """Read a clock in seconds that never steps and, where the system has one, counts suspend time."""
    return time.clock_gettime(_STEADY)


_STEADY: int = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class StoreClock:
    """The store's clock in whole milliseconds, carried on between its answers by the host's steady clock; it is never
    early.
    """

    def __init__(self) -> None:
        self._answered = whole_milliseconds(datetime.now(timezone.utc)), steady()

    def set(self, answered: datetime) -> None:
        """Take the store's time from an answer that has just come."""
        self._answered = answered, steady()

    def now(self) -> datetime:
        """Return the store's time as an aware UTC instant."""
        instant, at = self._answered
        return instant + MILLISECOND * int((steady() - at) * 1_000)

    def seconds_until(self, instant: datetime) -> float:
        """Say how long to wait until an instant; negative when it is past."""
        return (instant - self.now()).total_seconds()
