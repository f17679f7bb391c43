"""When does a daemon do its next minute, and when does it prepare one?"""

from __future__ import annotations

from datetime import datetime

from cronlite.daemon.store_clock import StoreClock
from cronlite.daemon.ticking import Ticker
from cronlite.when import clock

LONGEST_WAIT_SECONDS = 5.0
PREPARE_SECONDS = 0.75
"""How long before its wake a minute is prepared: what was asked for before it began has a moment to reach the store."""


class Minutes:
    """Wakes a ticker a second after each minute. Without one, it keeps the time only, as a worker does."""

    def __init__(self, ticker: Ticker | None, store_clock: StoreClock) -> None:
        self._ticker, self._clock = ticker, store_clock
        self.ticked_at = self._wake_at = store_clock.now()

    def begin(self) -> None:
        """Begin with the minute that has begun."""
        now = self._clock.now()
        self.ticked_at, self._wake_at = now, clock.next_wake(clock.floor_minute(now))

    def hurry(self, now: datetime) -> None:
        """Wake in the next round: a daemon died, and its minutes may be left to do."""
        self._wake_at = now

    @property
    def next_wake(self) -> str:
        """Tell people when it wakes next."""
        return f"next wake {self._wake_at:%H:%M:%S}Z"

    def step(self, now: datetime) -> int:
        """Do every minute that is left to do at `now`; return how many runs it queued."""
        queued = self._ticker.step(now) if self._ticker else 0
        self.ticked_at = now
        return queued

    def tick_if_due(self) -> int:
        """Do a step if the wake has come; return how many runs it queued."""
        now = self._clock.now()
        # The store's clock may have been set back, and then the next minute is nearer than the one waited for.
        self._wake_at = min(self._wake_at, clock.next_wake(now))
        if now < self._wake_at:
            return 0
        queued = self.step(now) if self._ticker else 0
        self._wake_at = clock.next_wake(now)
        return queued

    def prepare_if_due(self) -> float:
        """Prepare the next minute shortly before its wake; return the seconds to wait until the next round."""
        wake_at = self._wake_at
        minute_in, wake_in = map(self._clock.seconds_until, (clock.floor_minute(wake_at), wake_at))
        wait = max(minute_in, wake_in - PREPARE_SECONDS)
        if wait <= 0:
            if self._ticker:
                self._ticker.prepare(self._clock.now(), wake_at)
            wait = self._clock.seconds_until(wake_at)
        return min(wait, LONGEST_WAIT_SECONDS)
