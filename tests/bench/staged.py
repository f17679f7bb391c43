"""Which time is it for a daemon that is measured? What the benchmark wants it to be, without waiting for the minute."""

from __future__ import annotations

from datetime import datetime, timedelta

from cronlite.daemon.store_clock import StoreClock, steady
from cronlite.when.clock import MILLISECOND, MINUTE

_LOOK_SECONDS = 0.05


class StagedClock(StoreClock):
    """A clock that stands in the minute before `begin` until it is set off, and then is the same in every process.

    Like the real one, it shows whole milliseconds.

    A minute may be cut to its first seconds: with `minute_seconds=2` time runs as it does anywhere up to two seconds
    past the minute, and then it is the next one. Only the idle rest of each minute is left out, so that waits, wakes
    and delays are what they are with whole minutes.
    """

    def __init__(self, begin: datetime, minute_seconds: float = 60.0) -> None:
        super().__init__()
        self._begin, self._length = begin, minute_seconds
        self._at: float | None = None

    def set_off(self, at: float) -> None:
        """Show `begin` at a steady instant, and run on from there."""
        self._at = at

    def set(self, answered: datetime) -> None:
        """Go on as before, whatever the store's clock shows."""

    def now(self) -> datetime:
        if self._at is None:
            return self._begin - MINUTE + timedelta(seconds=2)
        minutes, seconds = divmod(steady() - self._at, self._length)
        return self._begin + MINUTE * int(minutes) + MILLISECOND * int(seconds * 1_000)

    def seconds_until(self, instant: datetime) -> float:
        if self._at is None:
            return _LOOK_SECONDS
        minutes, seconds = divmod((instant - self._begin).total_seconds(), 60)
        return self._at + minutes * self._length + min(seconds, self._length) - steady()
