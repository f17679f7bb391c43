"""Which runs does a daemon claim, and which of them does it begin?"""

from __future__ import annotations

import queue
import random
import threading
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta

from cronlite.daemon.handover import Handover
from cronlite.daemon.liveness import Membership
from cronlite.daemon.outcomes import Durations, Ended, Pace, Recorder
from cronlite.daemon.store_clock import StoreClock, steady
from cronlite.daemon.turns import Turns
from cronlite.dispatch.pool import Pool
from cronlite.documents import runs
from cronlite.documents.runs import Changes, Outcome, Run
from cronlite.errors import InvalidInput, StoreError
from cronlite.handlers.registry import Home, Registry
from cronlite.logger import logger
from cronlite.store.contract import RunQuery, Store

log = logger("cronlite.run")

# Enough to keep the seats busy while more is claimed; the rest is for whoever has a free seat first.
AHEAD_SECONDS = 0.25
# More for a tick's own: what it has to leave to the queue costs one more write.
TICK_AHEAD_SECONDS = 0.5
MAX_AHEAD, TICK_MAX_AHEAD = 2_000, 4_000
MAX_WAIT_SECONDS = 1.0
MAX_UNRECORDED = 5_000
RECORDERS = 2
RELEASE_SECONDS = 0.2
LATER_SECONDS = 60.0
# Child processes die at once when they are killed; a cancelled coroutine has a second to tidy up.
CLOSING_SECONDS = 3.0
# A claim that went without an answer may still reach the server for as long as something on its way stood still.
DOUBT_SECONDS = 60.0


class Claimer:
    """Claims runs for one daemon, lets the pool call their handlers, and has the outcomes written down.

    `claim` and the `record` of each of the `recorders` are the rounds of loops that the daemon keeps; each returns how
    many runs it moved. `add` is for the ticks.
    """

    def __init__(
        self,
        store: Store,
        clock: StoreClock,
        membership: Membership,
        handover: Handover,
        registry: Registry,
        seats: int,
        queues: Collection[str] | None = None,
        home: Home | None = None,
        *,
        fair_users: bool = True,
    ) -> None:
        self.pool = Pool(
            registry, seats, done=self._done, may_start=self._may_start, still_mine=self._still_mine, home=home
        )
        self.claim_soon = threading.Event()
        self._store, self._clock, self._membership, self._handover = store, clock, membership, handover
        self._registry, self._seats, self._queues = registry, seats, queues
        self._held: set[tuple[str, int]] = set()  # runs and attempts, from the claim until the outcome is in the store
        self._doubtful_until = float("-inf")
        self._stopping = False
        self._ended: Ended = queue.SimpleQueue()
        self._pace, self._durations = Pace(), Durations()
        self.recorders = [
            Recorder(store, self._ended, self._pace, self._durations, self._recorded) for _ in range(RECORDERS)
        ]
        self._choosing, self._on_the_way = threading.Lock(), 0
        self._freeing, self._lanes_freed = threading.Lock(), set[str]()
        self._released_at = float("-inf")
        self._backlog, self._by_the_seat = False, False
        self._suspect: tuple[str, int] | None = None
        self._chance = random.Random()
        self._all_stuck = False
        self._turns = Turns(store) if fair_users else None

    @property
    def unrecorded(self) -> int:
        """Count the outcomes that are not in the store yet."""
        return self._ended.qsize() + sum(recorder.unrecorded for recorder in self.recorders)

    def add(self, new: Sequence[Run]) -> set[str]:
        """Write the runs of a tick, as many as this daemon can start now as claimed already; return the ids refused.

        That saves most runs the way through the queue.
        """
        owner, now = self._membership.id, self._clock.now()
        with self._choosing:
            born = self._startable(new)
            self._on_the_way += len(born)
        for run in born:
            runs.claim(run, owner, now)
        self._hold(born)  # before the store has them, or they would look unanswered
        try:
            refused = self._store.add_runs(new)
            blocked = [run for run in born if run.id in refused]
            self._let_go(blocked)
            for run in blocked:  # by another run of its lane, unless it is there already
                runs.unclaim(run)
            if blocked:
                refused = refused.difference(run.id for run in blocked) | self._store.add_runs(blocked)
            self._begin([run for run in born if run.daemon])
        except StoreError:
            self._let_go(born)
            self._doubtful_until = steady() + DOUBT_SECONDS
            raise
        finally:
            with self._choosing:
                self._on_the_way -= len(born)
        if len(born) < len(new):
            self.claim_soon.set()
        return refused

    def claim(self) -> int:
        """Claim what this daemon can start before long, and hand it to the pool."""
        if not self._membership.holds_lease():
            return 0
        if self.pool.longest_wait > MAX_WAIT_SECONDS:
            self._give_back_waiting()
        return self._claim(self._clock.now(), self._ahead())

    def room(self) -> int:
        """Count the free seats of a worker that could claim something now; a seat that gets free sets `claim_soon`."""
        self._backlog = True
        if self._stopping or self._all_seats_stuck() or not self._membership.holds_lease():
            return 0
        return self.pool.free

    def claim_named(self, ids: Collection[str], now: datetime) -> bool:
        """Claim those of these runs that are queued, no more than there is room; tell whether that was settled."""
        if self._stopping or not self._membership.holds_lease():
            return False
        self._claim(now, len(ids), ids)
        self._backlog = True
        return True

    def record_all(self) -> None:
        """Write down every outcome that there is."""
        for recorder in self.recorders:
            recorder.record_all()

    def record_soon(self) -> None:
        """End the waits of the recorders."""
        for _ in self.recorders:
            self._ended.put(None)

    def withdraw(self) -> list[Run]:
        """Take back what the pool has not started."""
        withdrawn = self.pool.withdraw()
        self._let_go(withdrawn)
        return withdrawn

    def stop_claiming(self) -> None:
        """Give back at once what a claim that is under way still brings."""
        self._stopping = True

    def close(self) -> tuple[list[Run], list[Run]]:
        """Close the pool; return the runs that were at work, and those of them that go on: they are in threads."""
        left = self.pool.executing()
        self.pool.close()
        self.pool.wait_closed(CLOSING_SECONDS)
        going_on = {id(run) for run in self.pool.executing()}
        return left, [run for run in left if id(run) in going_on]

    def _claim(self, now: datetime, limit: int, ids: Collection[str] | None = None) -> int:
        try:
            if steady() < self._doubtful_until:
                self._give_back_unanswered()
            if limit <= 0:
                return 0
            owner, known, seats = self._membership.id, self._registry.names(), _Seats(self.pool.free)
            # Only behind a full claim is there anybody to wait for a turn.
            turns = self._turns if self._backlog and ids is None else None
            users = turns.users() if turns else ()
            claimed = self._store.claim_runs(
                owner, known, now, limit, queues=self._queues, ids=ids, users=users, count=seats.count
            )
            if turns:
                turns.served(claimed)
            self._by_the_seat = seats.are_needed
            self._backlog = len(claimed) == limit or seats.are_needed
            if seats.are_needed:
                claimed = self._without_suspects(claimed, now)
        except StoreError:
            self._doubtful_until = steady() + DOUBT_SECONDS
            raise
        self._hold(claimed)
        self._begin(claimed)
        return len(claimed)

    def _without_suspects(self, claimed: list[Run], now: datetime) -> list[Run]:
        """Give back, until some moment of the next minute, all but one of those with one crash left; return the rest.

        No other is begun before its outcome is in the store, so that none pays for another that kills daemons.
        """
        later = [run for run in claimed if run.one_crash_left]
        if later and self._suspect not in self._held:
            begun = later.pop(0)
            self._suspect = (begun.id, begun.attempt)
        for run in later:
            run.run_at = now + timedelta(seconds=self._chance.uniform(1, LATER_SECONDS))
        self._handover.give_back(later)
        return [run for run in claimed if run not in later]

    def _begin(self, claimed: list[Run]) -> None:
        if self._stopping:
            self._let_go(claimed)
            self._handover.give_back(claimed)
        else:
            self.pool.submit(claimed)

    def _startable(self, new: Sequence[Run]) -> list[Run]:
        """Pick as many of the runs of a tick as this daemon can start now."""
        # One seat runs things in order: what is due now must not overtake what is queued.
        if self._seats < 2 or self._stopping or not self._membership.holds_lease():
            return []
        known, queues = self._registry.names(), self._queues
        fitting = [
            run
            for run in new
            if (run.state == runs.QUEUED and run.run_at and run.may_wait)
            and (run.handler in known and (not queues or run.queue in queues))
        ]
        return fitting[: self._room_for(fitting)] if fitting else []

    def _room_for(self, fitting: Sequence[Run]) -> int:
        """Say how many of some runs the seats that are not taken for long could start before long."""
        if self._is_behind():
            return 0
        a_second_ago = self._clock.now() - timedelta(seconds=1)
        taken = sum(run.started_at is not None and run.started_at < a_second_ago for run in self.pool.executing())
        mean = max(self._durations.mean([run.handler for run in fitting]), 0.001)
        ahead = max(self.pool.free, round((self._seats - taken) * TICK_AHEAD_SECONDS / mean))
        return max(0, min(ahead, TICK_MAX_AHEAD) - self.pool.waiting - self._on_the_way)

    def _hold(self, claimed: Sequence[Run]) -> None:
        if claimed and not self._held:
            self._pace.begin()
        self._held.update((run.id, run.attempt) for run in claimed)

    def _let_go(self, held: Iterable[Run]) -> None:
        self._held.difference_update([(run.id, run.attempt) for run in held])

    def _give_back_waiting(self) -> None:
        """Put runs back whose handlers keep the seats for longer than they used to: another daemon may be free."""
        try:
            self._handover.give_back(self.withdraw())
        except StoreError:
            self._doubtful_until = steady() + DOUBT_SECONDS
            raise

    def _give_back_unanswered(self) -> None:
        """Put runs back that the store has as claimed by this daemon, which never heard so.

        Only the thread that claims may look: nothing but what a tick adds becomes this daemon's meanwhile.
        """
        held = self._held.copy()  # before the store is asked, or what ends in between would look lost
        self._store.abandon_unreadable(self._membership.id, self._clock.now())
        found = list(self._store.runs(RunQuery(daemon=self._membership.id, states=[runs.RUNNING])))
        held |= self._held  # and what a tick begins in between, too
        unanswered = [run for run in found if (run.id, run.attempt) not in held]
        for run in unanswered:
            log.warning("run %s was claimed without an answer, and is given back", run.id)
        self._handover.give_back(unanswered)

    def _all_seats_stuck(self) -> bool:
        stuck = self.pool.stuck >= self._seats > 0
        if stuck and not self._all_stuck:
            log.error("as many stuck threads as seats (%d): no runs are claimed until one ends", self._seats)
        self._all_stuck = stuck
        return stuck

    def _is_behind(self) -> bool:
        """Tell whether nothing more is to be claimed for now, be there free seats or not."""
        return self._all_seats_stuck() or self.pool.is_short or self.unrecorded > MAX_UNRECORDED

    def _ahead(self) -> int:
        """Say how many more runs this daemon could start before long."""
        if self._is_behind():
            return 0
        ahead = self.pool.free
        if not self._on_the_way and not self._by_the_seat:
            ahead += int(self._pace.per_second() * AHEAD_SECONDS)
        return min(ahead - self.pool.waiting - self._on_the_way, MAX_AHEAD)

    def _may_start(self, run: Run) -> bool:
        if run.daemon != self._membership.id or not self._membership.holds_lease():
            return False
        now = self._clock.now()
        if runs.too_late(run, now):
            return False
        run.started_at = now
        return True

    def _still_mine(self, run: Run) -> bool:
        """Ask the store whether a run still is under the fence of this attempt."""
        try:
            stored = self._store.run(run.id)
        except InvalidInput:  # edited into nonsense
            return False
        return stored is not None and runs.fence(stored) == {**runs.fence(run), "state": runs.RUNNING}

    def _done(self, run: Run, outcome: Outcome | None) -> None:
        self._ended.put((run, outcome, self._clock.now()))
        if self._backlog:
            self.claim_soon.set()

    def _recorded(self, changes: list[tuple[Run, Changes]], lost: set[str]) -> None:
        self._let_go(run for run, _ in changes)
        if lost:
            self._doubtful_until = steady() + DOUBT_SECONDS  # perhaps somebody edited them, and nobody owns them now
        if self._backlog:
            self.claim_soon.set()
        with self._freeing:
            self._lanes_freed.update(run.lane for run, _ in changes if run.lane)
            soon = self.unrecorded and steady() <= self._released_at + RELEASE_SECONDS  # then with others, at one go
            lanes = set() if soon else self._lanes_freed
            if lanes:
                self._lanes_freed, self._released_at = set(), steady()
        if lanes and self._store.release_lanes(self._clock.now(), lanes):
            self.claim_soon.set()


class _Seats:
    """Keeps seats for those of the runs to claim that may not wait for one."""

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
