"""What did this daemon do since it started, added up as it happens?"""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import datetime
from functools import partial
from typing import TypeVar

from cronlite.documents.runs import CANCELLED, DEFAULT_QUEUE, FINAL, Run
from cronlite.handlers.registry import Registry
from cronlite.metrics.figures import Figures
from cronlite.metrics.labels import MAX_HANDLERS, MAX_QUEUES, OTHER, Bounded

T = TypeVar("T")

# Upper bounds in seconds, the last one of each is infinity. A tick is a second after its minute, so what is due then
# starts between 1 and 2.
DURATIONS = (0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 900, 3_600)
DELAYS = (0.05, 0.1, 0.25, 0.5, 1, 1.1, 1.25, 1.5, 2, 3, 5, 10, 30, 60, 300, 3_600)
TICKS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)

AT_ONCE = 1_000
"""How much is noted before it is added up."""
ENDS = tuple(state for state in FINAL if state != CANCELLED)  # whoever cancels a run is no daemon


class Histogram:
    """How often a number of seconds was no greater than each of some bounds, and their sum."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds, self._counts, self.sum = bounds, [0] * (len(bounds) + 1), 0.0

    def observe(self, seconds: Iterable[float]) -> None:
        """Add some."""
        ordered, below = sorted(seconds), 0
        for place, bound in enumerate(self._bounds):  # sorting is quicker than to look each of them up
            up_to = bisect_right(ordered, bound)
            self._counts[place] += up_to - below
            below = up_to
        self._counts[-1] += len(ordered) - below
        self.sum += sum(ordered)

    @property
    def buckets(self) -> Iterator[tuple[str, int]]:
        """Each bound, and how many were no greater."""
        total = 0
        for bound, count in zip((*map(_spelt, self._bounds), "+Inf"), self._counts, strict=True):
            total += count
            yield bound, total


class Counts(Figures):
    """Counts what it hears. Labels are handlers of the registry, and few queues, whatever schedules may name.

    Seats and recorders only note what happens, in lists whose single operations Python makes atomic: at each run a
    lock and a look into each histogram took four times as long. Whoever reads holds the `lock`, and calls `complete`
    first.
    """

    def __init__(self, registry: Registry, queues: Collection[str] = ()) -> None:
        self.lock = threading.Lock()
        self.runs: Counter[tuple[str, str]] = Counter()
        self.durations: defaultdict[str, Histogram] = defaultdict(partial(Histogram, DURATIONS))
        self.delays: defaultdict[str, Histogram] = defaultdict(partial(Histogram, DELAYS))
        self.ticks = Histogram(TICKS)
        self.minutes_missed = self.store_errors = self.leases_lost = 0
        self._registry = registry
        self._handlers = Bounded(MAX_HANDLERS)
        self._queues = Bounded(MAX_QUEUES, [DEFAULT_QUEUE, *queues])
        self._started: list[tuple[str, datetime, datetime]] = []
        self._attempted: list[tuple[str, float]] = []
        self._closed: list[tuple[str, str]] = []

    def started(self, run: Run) -> None:
        # At a later attempt, it is the one after which the run was to be tried again. No run is kept: it may be large.
        since = run.due_at if run.attempt <= 1 else run.run_at or run.due_at
        self._started.append((run.queue, since, run.started_at or since))

    def attempted(self, run: Run, seconds: float) -> None:
        self._attempted.append((run.handler, seconds))
        if len(self._attempted) >= AT_ONCE:
            self._take_up_soon()

    def closed(self, run: Run, state: str) -> None:
        if state in FINAL:
            self._closed.append((run.handler, state))
            if len(self._closed) >= AT_ONCE:
                self._take_up_soon()

    def ticked(self, seconds: float) -> None:
        with self.lock:
            self.ticks.observe([seconds])

    def missed(self, minutes: int) -> None:
        with self.lock:
            self.minutes_missed += minutes

    def store_failed(self) -> None:
        with self.lock:
            self.store_errors += 1

    def lease_lost(self) -> None:
        with self.lock:
            self.leases_lost += 1

    def complete(self) -> None:
        """Take up what was noted meanwhile, and add the zeros of what can be told before it happens.

        To Prometheus, a series that is new with its first failure has not risen. The caller holds the lock.
        """
        self._take_up()
        for label in {self._handler(name) for name in self._registry.names()}:
            _ = self.durations[label]
            for state in ENDS:
                self.runs.setdefault((label, state), 0)
        for label in self._queues.kept:
            _ = self.delays[label]

    def _take_up_soon(self) -> None:
        if self.lock.acquire(blocking=False):  # or else somebody does so at this moment
            try:
                self._take_up()
            finally:
                self.lock.release()

    def _take_up(self) -> None:
        for (handler, state), number in Counter(_taken(self._closed)).items():
            self.runs[self._handler(handler), state] += number
        for handler, durations in _grouped(_taken(self._attempted)).items():
            self.durations[self._handler(handler)].observe(durations)
        delays = [(queue, (at - since).total_seconds()) for queue, since, at in _taken(self._started)]
        for queue, late in _grouped(delays).items():
            # A clock that was set back is no reason for a sum that falls.
            self.delays[self._queues.of(queue)].observe(max(0.0, seconds) for seconds in late)

    def _handler(self, name: str) -> str:
        # What a schedule names need not exist: of that, somebody could store any number.
        return self._handlers.of(name) if self._registry.get(name) else OTHER


def _taken(noted: list[T]) -> list[T]:
    """Take what is there out of a list to which others append."""
    taken = noted[:]
    del noted[: len(taken)]
    return taken


def _grouped(pairs: Iterable[tuple[str, float]]) -> dict[str, list[float]]:
    groups: defaultdict[str, list[float]] = defaultdict(list)
    for key, seconds in pairs:
        groups[key].append(seconds)
    return groups


def _spelt(bound: float) -> str:
    return str(float(bound))
