"""How do ended attempts become outcomes in the store, many with one write, and none of them lost?"""

from __future__ import annotations

import queue
import random
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime

from cronlite.daemon.durations import Durations
from cronlite.daemon.store_clock import StoreClock, steady
from cronlite.documents import runs, transitions
from cronlite.documents.runs import Changes, Outcome, Run
from cronlite.errors import StoreError, StoreUnavailable, shown
from cronlite.logger import logger
from cronlite.metrics.figures import NOBODY, Figures
from cronlite.store.contract import Store

log = logger("cronlite.run")

RECORDERS = 2
AT_ONCE = 1_000
MOST_HELD = 8_000
HELD_SECONDS = 0.5
"""How long ends may wait while a tick's runs are written and begun: for these somebody waits, for the ends nobody."""
HELD_LOOK_SECONDS = 0.01

Ended = queue.SimpleQueue["tuple[Run, Outcome | None, datetime] | None"]
"""Attempts that ended, and when; None as the outcome of one that was not started, for want of a lease or of time. A
None in place of all is a nudge."""
Recorded = Callable[[list[tuple[Run, Changes]], set[str]], None]


class Pace:
    """How many runs a second end: in the last second, or since there was nothing to do."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._since = float("-inf")
        self._ended: deque[tuple[float, int]] = deque()  # when, and how many

    def begin(self) -> None:
        """Note that there is something to do again."""
        self._since = steady()

    def note(self, ended: int) -> None:
        """Note how many have just ended."""
        if ended:
            with self._lock:
                self._forget_before(steady() - 1)
                self._ended.append((steady(), ended))

    def per_second(self) -> float:
        """Return the pace."""
        now = steady()
        since = max(now - 1, self._since)
        with self._lock:
            self._forget_before(since)
            return sum(count for _, count in self._ended) / max(now - since, 0.001)

    def _forget_before(self, instant: float) -> None:
        while self._ended and self._ended[0][0] < instant:
            self._ended.popleft()


class Outcomes:
    """What has ended, on its way into the store: one queue, and the recorders that share it.

    `recorded` hears of each write, as that of a Recorder; while `starts_first` says so, writes are few and large. The
    daemon keeps a loop for each of the `recorders`.
    """

    def __init__(
        self,
        store: Store,
        clock: StoreClock,
        recorded: Recorded,
        figures: Figures = NOBODY,
        starts_first: Callable[[], bool] = lambda: False,
    ) -> None:
        self._clock = clock
        self._ended: Ended = queue.SimpleQueue()
        self.pace, self.durations = Pace(), Durations(store)
        shared = self._ended, self.pace, self.durations, recorded, figures, starts_first
        self.recorders = [Recorder(store, *shared) for _ in range(RECORDERS)]

    @property
    def unrecorded(self) -> int:
        """Count the outcomes that are not in the store yet."""
        return self._ended.qsize() + sum(recorder.unrecorded for recorder in self.recorders)

    def add(self, run: Run, outcome: Outcome | None) -> None:
        """Take up how an attempt has just ended; never blocks."""
        self._ended.put((run, outcome, self._clock.now()))

    def record_all(self) -> None:
        """Write down every outcome that there is."""
        for recorder in self.recorders:
            recorder.record_all()

    def end_waits(self) -> None:
        """End the waits of the recorders."""
        for _ in self.recorders:
            self._ended.put(None)


class Recorder:
    """Writes ended attempts to the store; for one thread of several that share what has ended.

    `recorded` hears of each write: the changes, and the ids of the runs that were another's by then.
    """

    def __init__(
        self,
        store: Store,
        ended: Ended,
        pace: Pace,
        durations: Durations,
        recorded: Recorded,
        figures: Figures = NOBODY,
        starts_first: Callable[[], bool] = lambda: False,
    ) -> None:
        self._store, self._ended, self._recorded, self._figures = store, ended, recorded, figures
        self._starts_first = starts_first
        self._pace, self._durations = pace, durations
        self._unrecorded: list[tuple[Run, Changes]] = []
        self._chance = random.Random()

    @property
    def unrecorded(self) -> int:
        """Count the outcomes that it has taken up and not written yet."""
        return len(self._unrecorded)

    def record(self, seconds: float) -> int:
        """Wait up to `seconds` for outcomes and write them down together; those that cannot be written are kept.

        Return how many it wrote.
        """
        self._gather(seconds)
        changes = self._unrecorded
        if changes:
            lost = self._written(changes)
            self._unrecorded = []
            for run, change in changes:
                _tell(run, change, was_lost=run.id in lost)
                if run.id not in lost:
                    self._figures.closed(run, change["state"])
            self._recorded(changes, lost)
        return len(changes)

    def record_all(self) -> None:
        """Write down everything that there is."""
        while self._ended.qsize() or self._unrecorded:
            self.record(0)

    def _gather(self, seconds: float) -> None:
        before = len(self._unrecorded)
        self._take(0 if before else seconds)
        if self._unrecorded:
            until = steady() + HELD_SECONDS
            while self._starts_first() and self._ended.qsize() < MOST_HELD and steady() < until:
                # Not in a wait for the next end: each of them would wake this thread before another begins.
                time.sleep(HELD_LOOK_SECONDS)
            self._take(0)
        self._pace.note(len(self._unrecorded) - before)

    def _take(self, seconds: float) -> None:
        """Take up what has ended, until that is enough for a write; wait up to `seconds` for the first."""
        with suppress(queue.Empty):
            while len(self._unrecorded) < AT_ONCE:
                ended = self._ended.get(timeout=seconds)
                if ended is None:
                    return  # one nudge ends the wait of one recorder; the next is for another
                self._settle(*ended)
                seconds = 0

    def _settle(self, run: Run, outcome: Outcome | None, at: datetime) -> None:
        # Settled once, however often it takes to write it: the store tells by the change whether it was made before.
        if outcome is None:
            change = transitions.too_late(run, at) or transitions.queued_again(run.run_at or at)
        else:
            change = {"started_at": run.started_at} | transitions.settled(run, outcome, at, self._chance)
            seconds = (at - (run.started_at or at)).total_seconds()
            self._durations.note(run.handler, seconds)
            self._figures.attempted(run, seconds)
        self._unrecorded.append((run, change))

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


def _bare(change: Changes, why: str) -> Changes:
    """Return a change without what the handler brought, in the hope that the store takes that."""
    result, error = change.get("result"), change.get("error")
    return {name: value for name, value in change.items() if name != "earlier_attempts"} | {
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
