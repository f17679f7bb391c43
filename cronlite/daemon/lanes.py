"""Which lanes are busy, and when is the store told which are free again, now that the runs in them have ended?"""

from __future__ import annotations

import threading
from collections.abc import Iterable

from cronlite.daemon.store_clock import StoreClock, steady
from cronlite.documents.runs import Run
from cronlite.store.contract import Store

RELEASE_SECONDS = 0.2


def busy_lanes(store: Store, new: Iterable[Run]) -> set[str | None]:
    """Return those lanes of some runs in which another run is at work."""
    lanes = {run.lane for run in new if run.lane}
    return {run.lane for run in store.at_work(lanes)} if lanes else set()


class FreedLanes:
    """Collects the lanes of ended runs, to release many of them with one write. Safe to share between threads."""

    def __init__(self, store: Store, clock: StoreClock) -> None:
        self._store, self._clock = store, clock
        self._lock, self._freed = threading.Lock(), set[str]()
        self._released_at = float("-inf")

    def add(self, lanes: Iterable[str], *, more_will_follow: bool) -> bool:
        """Release lanes, now or together with those that follow soon; tell whether a run is ready to be claimed now."""
        with self._lock:
            self._freed.update(lanes)
            if more_will_follow and steady() <= self._released_at + RELEASE_SECONDS:
                return False
            released, self._freed = self._freed, set()
            if released:
                self._released_at = steady()
        return bool(released) and bool(self._store.release_lanes(self._clock.now(), released))
