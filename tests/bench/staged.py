"""Which time is it for a daemon that is measured? What the benchmark wants it to be, without waiting for the minute."""

from __future__ import annotations

from datetime import datetime, timedelta

from cronlite.clock import MINUTE
from cronlite.liveness import StoreClock, steady


class StagedClock(StoreClock):
    """A clock that shows the minute `begin` at the steady instant `at`, in the same way in every process.

    A minute may be cut to its first seconds: with `minute_seconds=2` time runs as it does anywhere up to two seconds
    past the minute, and then it is the next one. Only the idle rest of each minute is left out, so that waits, wakes
    and delays are what they are with whole minutes.
    """

    def __init__(self, begin: datetime, at: float, minute_seconds: float = 60.0) -> None:
        super().__init__()
        self._begin, self._at, self._length = begin, at, minute_seconds

    def set(self, answered: datetime) -> None:
        """Go on as before, whatever the store's clock shows."""

    def now(self) -> datetime:
        minutes, seconds = divmod(steady() - self._at, self._length)
        return self._begin + minutes * MINUTE + timedelta(seconds=seconds)

    def seconds_until(self, instant: datetime) -> float:
        return self.steady_at(instant) - steady()

    def steady_at(self, instant: datetime) -> float:
        """Say what the steady clock reads when this clock shows an instant."""
        minutes, seconds = divmod((instant - self._begin).total_seconds(), 60)
        return self._at + minutes * self._length + min(seconds, self._length)
