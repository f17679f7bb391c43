"""Which time is it for a daemon whose minutes last a second, in the same way in every process?"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from cronlite.daemon.store_clock import StoreClock


class FastClock(StoreClock):
    """The store's clock, `speed` times as fast since the instant `base`; `offset` in seconds is read at each answer.

    The offset stands for a server whose clock is wrong: like one, it shows only in what the store answers.
    """

    def __init__(self, base: datetime, speed: float, offset: Callable[[], float] = lambda: 0.0) -> None:
        self._base, self._speed, self._offset = base, speed, offset
        self._off = timedelta(0)
        super().__init__()

    def set(self, answered: datetime) -> None:
        super().set(answered)
        self._off = timedelta(seconds=self._offset())

    def now(self) -> datetime:
        return self._base + (super().now() - self._base) * self._speed + self._off

    def seconds_until(self, instant: datetime) -> float:
        return super().seconds_until(instant) / self._speed
