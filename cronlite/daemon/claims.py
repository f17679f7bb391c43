"""Which runs does a daemon claim, and which of them does it begin?"""

from __future__ import annotations

import random
import threading
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime, timedelta

from cronlite.daemon.handover import Handover
from cronlite.daemon.holds import Holds
from cronlite.daemon.lanes import FreedLanes
from cronlite.daemon.liveness import Membership
from cronlite.daemon.options import Options
from cronlite.daemon.outcomes import Outcomes
from cronlite.daemon.room import Room
from cronlite.daemon.store_clock import steady
from cronlite.daemon.turns import Turns
from cronlite.dispatch.pool import Pool
from cronlite.documents import runs, transitions
from cronlite.documents.runs import Changes, Outcome, Run
from cronlite.errors import InvalidInput, StoreError
from cronlite.handlers.registry import Home, Registry
from cronlite.logger import logger
from cronlite.store.contract import ClaimQuery, RunQuery

log = logger("cronlite.run")

MAX_WAIT_SECONDS = 1.0
LATER_SECONDS = 60.0
# Child processes die at once when they are killed; a cancelled coroutine has a second to tidy up.
CLOSING_SECONDS = 3.0
# A claim that went without an answer may still reach the server for as long as something on its way stood still.
DOUBT_SECONDS = 60.0
FLOOD = 500  # runs in one batch of a tick, or in one claim


class Claimer:
    """Claims runs for one member, lets the pool call their handlers, and passes on how they ended.

    `claim` is the round of a loop that the daemon keeps, and returns how many runs it claimed. `add` is for the ticks.
    """

    def __init__(
        self,
        membership: Membership,
        handover: Handover,
        registry: Registry,
        options: Options,
        home: Home | None = None,
    ) -> None:
        self.pool = Pool(
            registry, options.seats, done=self._done, may_start=self._may_start, still_mine=self._still_mine, home=home
        )
        self._membership, self._handover, self._registry, self._options = membership, handover, registry, options
        self._store, self._clock = membership.store, membership.clock
        self.claim_soon = threading.Event()
        self._figures, self._reports = membership.figures, handover.reports
        self.outcomes = Outcomes(
            self._store, self._clock, self._recorded, self._figures, starts_first=lambda: self._room.is_kept
        )
        self._room = Room(self.pool, self.outcomes)
        self._freed_lanes = FreedLanes(self._store, self._clock)
        self._holds = Holds(self._store, handover)
        self._turns = Turns(self._store) if options.fair_users else None
        self._held: set[tuple[str, int]] = set()  # runs and attempts, from the claim until the outcome is in the store
        self._doubtful_until = float("-inf")
        self.may_have_left_some = False
        """Whether the queue may hold more than the last claim took."""
        self.is_flooded = False
        """Whether so many runs came at once that there was no room for others, as far as `has_ebbed` has looked."""
        self.slot_is_free = False
        """Whether a run that has a limit has ended since a worker last claimed such."""
        self._suspect: tuple[str, int] | None = None
        self._chance = random.Random()
        self._stopping = False

    def add(self, new: Sequence[Run]) -> set[str]:
        """Write the runs of a tick, as many as this daemon can start now as claimed already; return the ids refused.

        That saves most runs the way through the queue.
        """
        self._flood(len(new))
        now = self._clock.now()
        claimed = self._room.reserve(self._startable(new, now), now)
        try:
            with self._doubting(claimed):
                refused = self._write(new, claimed, now)
                if blocked := [run for run in claimed if not run.daemon]:
                    refused = refused.difference(run.id for run in blocked) | self._store.add_runs(blocked)
                self.begin([run for run in claimed if run.daemon])
        finally:
            self._room.release(claimed)
        if len(claimed) < len(new):
            self.claim_soon.set()
        return refused

    def add_early(self, new: Sequence[Run], wake_at: datetime, kept: int) -> list[Run]:
        """Write those runs of a tick that this daemon can start soon after its wake, beside so many kept for that.

        Return what was written: it is to be begun, or given back.
        """
        claimed = self._room.for_wake(self._startable(new, wake_at), wake_at, kept)
        if claimed:
            with self._doubting(claimed):
                self._write(claimed, claimed, wake_at)
        return [run for run in claimed if run.daemon]

    def begin(self, claimed: Sequence[Run]) -> None:
        """Hand claimed runs to the pool; when this daemon stops, give them back."""
        if self._stopping:
            self.give_back(claimed)
        else:
            self.pool.submit(claimed)

    def give_back(self, claimed: Sequence[Run]) -> None:
        """Put claimed runs that have not started back into the queue."""
        self._let_go(claimed)
        with self._doubting():
            self._handover.give_back(claimed)

    def give_back_waiting(self) -> None:
        """Put claimed runs back into the queue that wait for a seat: another daemon may be free."""
        self.give_back(self.pool.withdraw())

    def has_ebbed(self) -> bool:
        """Tell whether there is no flood of runs, or no more: then it is worth hearing of others."""
        if self.is_flooded and not (self._room.is_kept or self.pool.waiting or self.outcomes.unrecorded):
            self.is_flooded = False
        return not self.is_flooded

    def adding(self) -> AbstractContextManager[None]:
        """Let the ends of runs wait, for a moment, while a tick is added batch by batch."""
        return self._room.kept()

    def claim(self) -> int:
        """Claim what this daemon can start before long, and hand it to the pool."""
        if not self._membership.holds_lease():
            return 0
        if self.pool.longest_wait > MAX_WAIT_SECONDS:
            self.give_back_waiting()
        return self._claim(self._clock.now(), self._room.for_queue())

    def free_seats(self) -> int:
        """Count the free seats of a worker that could claim something now; a seat that gets free sets `claim_soon`."""
        self.may_have_left_some = True
        if self._stopping or not self._membership.holds_lease():
            return 0
        return self._room.free_seats()

    def claim_named(self, ids: Collection[str], now: datetime) -> bool:
        """Claim those of these runs that are queued, no more than there is room; tell whether that was settled."""
        if self._stopping or not self._membership.holds_lease():
            return False
        self._claim(now, len(ids), ids)
        self.may_have_left_some = True
        return True

    def claim_limited(self, room: int) -> int:
        """Claim runs that have a limit, for a worker, which no message tells of them; return how many."""
        if self._stopping or not self._membership.holds_lease():
            return 0
        self.slot_is_free = False
        return self._claim(self._clock.now(), room, limited=True)

    @property
    def has_limited(self) -> bool:
        """Tell whether a run that has a limit is at work here: at its end, another may start."""
        return self.slot_is_free or any(run.limit for run in self.pool.executing())

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
        at_work = self.pool.executing()
        self.pool.close()
        self.pool.wait_closed(CLOSING_SECONDS)
        going_on = {id(run) for run in self.pool.executing()}
        return at_work, [run for run in at_work if id(run) in going_on]

    def _flood(self, runs: int) -> None:
        """Hear of no others while many runs are at hand: for MongoDB, each write that is watched is twice the work."""
        if runs >= FLOOD and not self.is_flooded:
            self.is_flooded = True
            self._store.stop_watching()

    def _claim(self, now: datetime, limit: int, ids: Collection[str] | None = None, *, limited: bool = False) -> int:
        with self._doubting():
            if steady() < self._doubtful_until:
                self._give_back_unanswered()
            if limit <= 0:
                return 0
            claimed = self._claimed(now, limit, ids, limited)
        self._hold(claimed)
        self.begin(claimed)
        self._flood(len(claimed))
        return len(claimed)

    def _claimed(self, now: datetime, limit: int, ids: Collection[str] | None, limited: bool) -> list[Run]:
        """Claim up to `limit` runs in the store, in turns between users; return those to begin."""
        owner, handlers, seats = self._membership.id, self._registry.names(), self._room.seats_to_keep()
        # Nobody waits for a turn unless the claim before left something in the queue.
        turns = self._turns if self.may_have_left_some and ids is None else None
        users = turns.users() if turns else ()
        queues = self._options.queues
        query = ClaimQuery(
            handlers, now, limit, queues=queues, ids=ids, limited=limited, users=users, count=seats.count
        )
        claimed = self._store.claim_runs(owner, query)
        if turns:
            turns.served(claimed)
        self._room.claimed(seats)
        self.may_have_left_some = len(claimed) == limit or seats.are_needed
        claimed = self._holds.keep_back(claimed, now)
        return self._without_suspects(claimed, now) if seats.are_needed else claimed

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

    def _startable(self, new: Sequence[Run], now: datetime) -> list[Run]:
        """Pick those of the runs of a tick that this daemon may start now."""
        # One seat runs things in order: what is due now must not overtake what is queued.
        if self._options.seats < 2 or self._stopping or not self._membership.holds_lease():
            return []
        handlers, queues = self._registry.names(), self._options.queues
        return [
            run
            for run in new
            if (run.state == runs.QUEUED and run.run_at and run.run_at <= now and run.may_wait and not run.ahead)
            and run.lot is None  # the others have their place in the queue
            and (run.handler in handlers and (not queues or run.queue in queues))
        ]

    def _write(self, new: Sequence[Run], claimed: Sequence[Run], now: datetime) -> set[str]:
        """Write the runs of a tick, some as claimed; return the ids refused. What is refused is claimed no more."""
        for run in claimed:
            transitions.claim(run, self._membership.id, now)
        self._hold(claimed)  # before the store has them, or they would look like claims without an answer
        refused = self._store.add_runs(new)
        blocked = [run for run in claimed if run.id in refused]
        self._let_go(blocked)
        for run in blocked:  # another run of its lane is at work, unless this one is in the store already
            transitions.unclaim(run)
        return refused

    def _hold(self, claimed: Sequence[Run]) -> None:
        if claimed and not self._held:
            self.outcomes.pace.begin()
        self._held.update((run.id, run.attempt) for run in claimed)

    def _let_go(self, held: Iterable[Run]) -> None:
        self._held.difference_update([(run.id, run.attempt) for run in held])

    @contextmanager
    def _doubting(self, claimed: Iterable[Run] = ()) -> Iterator[None]:
        """Where the store fails, let go of these runs, and doubt what it has."""
        try:
            yield
        except StoreError:
            self._let_go(claimed)
            self._doubt()
            raise

    def _doubt(self) -> None:
        """Look, for some time from now on, for runs that the store has as this daemon's and this daemon has not."""
        self._doubtful_until = steady() + DOUBT_SECONDS

    def _give_back_unanswered(self) -> None:
        """Put runs back that the store has as claimed by this daemon, which never heard so.

        Only the thread that claims may look: only what a tick adds becomes this daemon's meanwhile.
        """
        held = self._held.copy()  # before the store is asked, or what ends in between would look lost
        self._store.abandon_unreadable(self._membership.id, self._clock.now())
        claimed = list(self._store.runs(RunQuery(daemon=self._membership.id, states=[runs.RUNNING])))
        held |= self._held  # what a tick begins in between, too
        unanswered = [run for run in claimed if (run.id, run.attempt) not in held]
        for run in unanswered:
            log.warning("run %s was claimed without an answer, and is given back", run.id)
        self._handover.give_back(unanswered)

    def _may_start(self, run: Run) -> bool:
        if run.daemon != self._membership.id or not self._membership.holds_lease():
            return False
        now = self._clock.now()
        if transitions.too_late(run, now):
            return False
        run.started_at = now
        self._figures.started(run)
        self._reports.began(run)
        return True

    def _still_mine(self, run: Run) -> bool:
        """Ask the store whether a run still is under the fence of this attempt."""
        try:
            stored = self._store.run(run.id)
        except InvalidInput:  # edited into nonsense
            return False
        return stored is not None and runs.fence(stored) == {**runs.fence(run), "state": runs.RUNNING}

    def _done(self, run: Run, outcome: Outcome | None) -> None:
        self.outcomes.add(run, outcome)
        if self.may_have_left_some:
            self.claim_soon.set()

    def _recorded(self, changes: list[tuple[Run, Changes]], lost: set[str]) -> None:
        self._let_go(run for run, _ in changes)
        if any(run.limit for run, _ in changes):  # whoever waits for the slot takes turns
            self.slot_is_free = self.may_have_left_some = True
        if lost:
            self._doubt()  # somebody may have edited them, and now they are this daemon's without its knowing
        self._reports.ended(changes, lost)
        if self.may_have_left_some:
            self.claim_soon.set()
        lanes = (run.lane for run, _ in changes if run.lane)
        if self._freed_lanes.add(lanes, more_will_follow=self.outcomes.unrecorded > 0):
            self.claim_soon.set()
