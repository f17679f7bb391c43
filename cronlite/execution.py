"""How do queued runs become outcomes: claims as capacity allows, and outcomes written by the batch."""

from __future__ import annotations

import logging
import queue
import random
import threading
from collections import deque
from collections.abc import Collection
from datetime import datetime

from cronlite import runs
from cronlite.dispatch.pool import Pool
from cronlite.errors import InvalidInput, StoreError, StoreUnavailable, shown
from cronlite.handlers import Registry
from cronlite.liveness import Membership, StoreClock, steady
from cronlite.runs import Changes, Outcome, Run
from cronlite.store.contract import RunQuery, Store

log = logging.getLogger("cronlite.run")

MAX_CLAIM = 2_000
MAX_RECORD = 1_000
# A claim that went without an answer may still reach the server for as long as something on its way stood still.
DOUBT_SECONDS = 60.0


class Execution:
    """Claims runs for one daemon, lets the pool call their handlers, and writes down how they ended.

    `claim` and `record` are rounds of two loops that the daemon keeps; each returns how many runs it moved.
    """

    def __init__(
        self,
        store: Store,
        clock: StoreClock,
        membership: Membership,
        registry: Registry,
        seats: int,
        queues: Collection[str] | None = None,
    ) -> None:
        self.pool = Pool(registry, seats, done=self._done, may_start=self._may_start, still_mine=self._still_mine)
        self.claim_soon = threading.Event()
        self._store, self._clock, self._membership = store, clock, membership
        self._registry, self._seats, self._queues = registry, seats, queues
        self._held: set[tuple[str, int]] = set()  # runs and attempts, from the claim until the outcome is in the store
        self._doubtful_until = float("-inf")
        self._stopping = False
        self._outcomes: queue.SimpleQueue[tuple[Run, Outcome | None, datetime] | None] = queue.SimpleQueue()
        self._unrecorded: list[tuple[Run, Changes]] = []
        self._finished: deque[tuple[float, int]] = deque()
        self._backlog = False
        self._all_stuck = False
        self._chance = random.Random()

    @property
    def unrecorded(self) -> int:
        """Count the outcomes that are not in the store yet."""
        return len(self._unrecorded) + self._outcomes.qsize()

    def claim(self) -> int:
        """Claim what this daemon can start within about a second, and hand it to the pool."""
        if not self._membership.holds_lease():
            return 0
        return self._claim(self._clock.now(), min(self._ahead(), MAX_CLAIM))

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

    def record(self, seconds: float) -> int:
        """Wait up to `seconds` for outcomes and write them down together; those that cannot be written are kept."""
        self._gather(seconds)
        if not self._unrecorded:
            return 0
        changes = self._unrecorded
        lost = self._written(changes)
        self._unrecorded = []
        self._held.difference_update((run.id, run.attempt) for run, _ in changes)
        self._finished.append((steady(), len(changes)))
        for run, change in changes:
            _tell(run, change, was_lost=run.id in lost)
        if lost:
            self._doubtful_until = steady() + DOUBT_SECONDS  # perhaps somebody edited them, and nobody owns them now
        if any(run.lane for run, _ in changes) and self._store.release_lanes(self._clock.now()):
            self.claim_soon.set()
        return len(changes)

    def record_all(self) -> None:
        """Write down everything that there is."""
        while self.record(0):
            pass

    def record_soon(self) -> None:
        """End the wait of a round of `record`."""
        self._outcomes.put(None)

    def take_over(self, dead: str) -> int:
        """Put the runs of a dead daemon back into the queue, or abandon them, as their policy has it."""
        self._store.abandon_unreadable(dead, self._clock.now())
        orphans = list(self._store.runs(RunQuery(daemon=dead, states=[runs.RUNNING])))
        changes = [(run, runs.after_crash(run, self._clock.now())) for run in orphans]
        lost = self._store.change_runs(changes)
        for run, change in changes:
            if run.id not in lost:
                what = "queued again" if change["state"] == runs.QUEUED else f"abandoned: {change['reason']}"
                log.warning("run %s of dead daemon %s is %s", run.id, dead, what)
        return len(changes) - len(lost)

    def withdraw(self) -> list[Run]:
        """Take back what the pool has not started."""
        withdrawn = self.pool.withdraw()
        self._held.difference_update((run.id, run.attempt) for run in withdrawn)
        return withdrawn

    def stop_claiming(self) -> None:
        """Give back at once what a claim that is under way still brings."""
        self._stopping = True

    def give_back(self, given: list[Run]) -> None:
        """Put runs back into the queue that have not started, or were cut off by a hard stop."""
        now = self._clock.now()
        changes: list[tuple[Run, Changes]] = [(run, runs.queued_again(run.run_at or now)) for run in given]
        if changes:
            self._store.change_runs(changes)
            log.info("%d claimed runs given back", len(changes))

    def cut_off(self, started: list[Run]) -> None:
        """Settle runs whose handlers a hard stop is about to end: it costs them neither a retry nor a crash."""
        now = self._clock.now()
        may_not = [run for run in started if run.on_crash == "abandon"]
        if may_not:
            ended = runs.closed(runs.ABANDONED, now, reason="cut off by a stop of its daemon, and on_crash is abandon")
            self._store.change_runs([(run, ended) for run in may_not])
        self.give_back([run for run in started if run.on_crash != "abandon"])
        for run in started:
            log.warning("run %s was cut off by the stop of its daemon", run.id)

    def _claim(self, now: datetime, limit: int, ids: Collection[str] | None = None) -> int:
        try:
            if steady() < self._doubtful_until:
                self._give_back_unanswered()
            if limit <= 0:
                return 0
            owner, known = self._membership.id, self._registry.names()
            claimed = self._store.claim_runs(owner, known, now, limit, queues=self._queues, ids=ids)
        except StoreError:
            self._doubtful_until = steady() + DOUBT_SECONDS
            raise
        if self._stopping:
            self.give_back(claimed)
            return 0
        self._backlog = len(claimed) == limit
        self._held.update((run.id, run.attempt) for run in claimed)
        self.pool.submit(claimed)
        return len(claimed)

    def _give_back_unanswered(self) -> None:
        """Put runs back that the store has as claimed by this daemon, which never heard so.

        Only the thread that claims may look: nothing becomes this daemon's meanwhile.
        """
        held = set(self._held)  # before the store is asked, or what is done in between would look lost
        self._store.abandon_unreadable(self._membership.id, self._clock.now())
        mine = RunQuery(daemon=self._membership.id, states=[runs.RUNNING])
        unanswered = [run for run in self._store.runs(mine) if (run.id, run.attempt) not in held]
        for run in unanswered:
            log.warning("run %s was claimed without an answer, and is given back", run.id)
        self.give_back(unanswered)

    def _all_seats_stuck(self) -> bool:
        stuck = self.pool.stuck >= self._seats > 0
        if stuck and not self._all_stuck:
            log.error("as many stuck threads as seats (%d): no runs are claimed until one ends", self._seats)
        self._all_stuck = stuck
        return stuck

    def _ahead(self) -> int:
        """Say how many more runs this daemon could start within about a second."""
        if self._all_seats_stuck():
            return 0
        while self._finished and self._finished[0][0] < steady() - 1:
            self._finished.popleft()
        return self.pool.free + sum(count for _, count in self._finished) - self.pool.waiting

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
        mine = (runs.RUNNING, run.daemon, run.attempt)
        return stored is not None and (stored.state, stored.daemon, stored.attempt) == mine

    def _done(self, run: Run, outcome: Outcome | None) -> None:
        self._outcomes.put((run, outcome, self._clock.now()))
        if self._backlog:
            self.claim_soon.set()

    def _written(self, changes: list[tuple[Run, Changes]]) -> set[str]:
        """Write outcomes down, and return the lost ones. One that the store refuses stops no other, nor itself."""
        try:
            return self._store.change_runs(changes)
        except StoreUnavailable:
            raise
        except StoreError as refused:
            if len(changes) > 1:
                return set().union(*(self._written([change]) for change in changes))
            (run, change), why = changes[0], f"the store refused it: {refused}"[:500]
            lost = self._store.change_runs([(run, _bare(change, why))])
            log.error("run %s attempt %d: its result and output are left out, %s", run.id, run.attempt, why)
            return lost

    def _gather(self, seconds: float) -> None:
        try:
            if not self._unrecorded:
                self._settle(self._outcomes.get(timeout=seconds))
            while len(self._unrecorded) < MAX_RECORD:
                self._settle(self._outcomes.get_nowait())
        except queue.Empty:
            pass

    def _settle(self, ended: tuple[Run, Outcome | None, datetime] | None) -> None:
        # Settled once, however often it takes to write it: the store tells by the change whether it was made before.
        if ended is None:  # a nudge
            return
        run, outcome, at = ended
        if outcome is None:  # it was not started, for want of a lease or of time
            change = runs.too_late(run, at) or runs.queued_again(run.run_at or at)
        else:
            change = {"started_at": run.started_at} | runs.settled(run, outcome, at, self._chance)
        self._unrecorded.append((run, change))


def _bare(change: Changes, why: str) -> Changes:
    """Return a change without what the handler brought, in the hope that the store takes that."""
    result, error = change.get("result"), change.get("error")
    return change | {
        "result": None if result is None else {"not_stored": why},
        "output": None if change.get("output") is None else why,
        "error": None if error is None else {"type": error["type"], "message": why, "traceback": ""},
    }


def _tell(run: Run, change: Changes, *, was_lost: bool) -> None:
    """Log a run that did not succeed, with who asked and what for."""
    if was_lost:
        log.warning("run %s attempt %d: its outcome came too late, it is another's now", run.id, run.attempt)
        return
    state, error = change["state"], change.get("error") or {}
    if state == runs.SUCCEEDED or (state == runs.QUEUED and not error):
        return
    what = f"will be retried at {change['run_at']:%H:%M:%S}Z" if state == runs.QUEUED else state
    log.warning(
        "run %s attempt %d of %s for %r with %s %s: %s: %s",
        run.id,
        run.attempt,
        run.handler,
        run.user,
        shown(dict(run.params), 200),
        what,
        error.get("type", ""),
        error.get("message") or change.get("reason", ""),
    )
