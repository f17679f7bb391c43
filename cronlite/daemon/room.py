"""How many more runs could a daemon start before long: in its free seats, and at the pace at which runs end?"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta

from cronlite.daemon.outcomes import Outcomes
from cronlite.dispatch.pool import Pool
from cronlite.documents.runs import Run
from cronlite.logger import logger

log = logger("cronlite.run")

# So many seconds' work keeps the seats busy while more is claimed; the rest is for whoever has a free seat first.
AHEAD_SECONDS = 0.25
# More of a tick's own runs: each one that is left to the queue costs the write of a claim.
TICK_AHEAD_SECONDS = 0.5
MAX_AHEAD, TICK_MAX_AHEAD = 2_000, 8_000
MAX_UNRECORDED = 15_000  # well above what is held, or a tick's runs would go through the queue for that
# A run that has its seat for longer than this may keep it for long.
LONG_RUNNING = timedelta(seconds=1)


class Room:
    """Counts the runs that a daemon should claim: from the queue, and of a tick's own while they are written."""

    def __init__(self, pool: Pool, outcomes: Outcomes) -> None:
        self._pool, self._outcomes = pool, outcomes
        self._lock, self._reserved, self._ticks = threading.Lock(), 0, 0
        self._by_the_seat = False
        self._were_all_stuck = False

    def for_queue(self) -> int:
        """Count the queued runs for which there is room; none, or less, where there is none."""
        if self._is_behind():
            return 0
        ahead = self._pool.free
        if not self._reserved and not self._by_the_seat:
            ahead += int(self._outcomes.pace.per_second() * AHEAD_SECONDS)
        return min(ahead - self._pool.waiting - self._reserved, MAX_AHEAD)

    def free_seats(self) -> int:
        """Count the seats that are free now; none while as many threads are stuck as there are seats."""
        return 0 if self._are_all_stuck() else self._pool.free

    def seats_to_keep(self) -> SeatsToKeep:
        """Begin a claim, in which runs that may not wait get free seats only; `claimed` ends it."""
        return SeatsToKeep(self._pool.free)

    def claimed(self, seats: SeatsToKeep) -> None:
        """Note how a claim ended: while there are runs that may not wait, no more are claimed than seats are free."""
        self._by_the_seat = seats.are_needed

    @property
    def is_kept(self) -> bool:
        """Tell whether runs of a tick are being written that are to start at once."""
        return self._ticks > 0

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Count a tick as being written, all of it: its last runs would wait behind the ends of its first ones."""
        with self._lock:
            self._ticks += 1
        try:
            yield
        finally:
            with self._lock:
                self._ticks -= 1

    def reserve(self, fitting: Sequence[Run], now: datetime) -> Sequence[Run]:
        """Keep room for the first runs of a tick, as many as could start before long; return these.

        Until `release`, nothing else gets the room: another batch of the tick may be on its way at the same time.
        """
        if self._reserved or self._pool.running:
            self._outcomes.durations.wait_for({run.handler for run in fitting})
        with self._lock:
            kept = fitting[: self._for_tick(fitting, now)] if fitting else fitting
            self._reserved += len(kept)
        return kept

    def for_wake(self, fitting: Sequence[Run], wake_at: datetime, kept: int) -> Sequence[Run]:
        """Pick the first runs of a tick to come, as many as could start soon after its wake beside those kept for it.

        No room is reserved for them: what is asked for until then starts first.
        """
        with self._lock:
            return fitting[: max(0, self._for_tick(fitting, wake_at) - kept)] if fitting else fitting

    def release(self, kept: Sequence[Run]) -> None:
        """Give up the room that `reserve` kept: these runs are in the pool now, or will not come."""
        with self._lock:
            self._reserved -= len(kept)

    def _for_tick(self, fitting: Sequence[Run], now: datetime) -> int:
        """Say how many runs the seats that are not taken for long could start before long."""
        if self._is_behind():
            return 0
        long_ago = now - LONG_RUNNING
        taken = sum(run.started_at is not None and run.started_at < long_ago for run in self._pool.executing())
        mean = max(self._outcomes.durations.mean([run.handler for run in fitting]), 0.001)
        ahead = max(self._pool.free, round((self._pool.seats - taken) * TICK_AHEAD_SECONDS / mean))
        return max(0, min(ahead, TICK_MAX_AHEAD) - self._pool.waiting - self._reserved)

    def _is_behind(self) -> bool:
        """Tell whether nothing more is to be claimed for now, even if seats are free."""
        return self._are_all_stuck() or self._pool.is_short or self._outcomes.unrecorded > MAX_UNRECORDED

    def _are_all_stuck(self) -> bool:
        are_stuck = self._pool.stuck >= self._pool.seats > 0
        if are_stuck and not self._were_all_stuck:
            log.error("as many stuck threads as seats (%d): no runs are claimed until one ends", self._pool.seats)
        self._were_all_stuck = are_stuck
        return are_stuck


class SeatsToKeep:
    """The free seats during one claim, for those of the runs that may not wait for one."""

    def __init__(self, free: int) -> None:
        self.are_needed = False
        self._free = free

    def count(self, following: Sequence[Run]) -> int:
        """Say how many of the runs that come next to claim: up to the first that may not wait and would have to."""
        for place, run in enumerate(following):
            if run.may_wait:
                continue
            self.are_needed = True
            if place >= self._free:
                return place
        self._free -= len(following)
        return len(following)
