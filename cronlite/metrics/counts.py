"""What did this daemon do since it started, added up as it happens?"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import Counter, defaultdict, deque
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from functools import partial

from cronlite.documents.runs import CANCELLED, DEFAULT_QUEUE, FINAL, Run
from cronlite.handlers.registry import Registry
from cronlite.metrics.figures import Figures
from cronlite.metrics.labels import MAX_HANDLERS, MAX_QUEUES, OTHER, Bounded

# Upper bounds in seconds, the last one of each is infinity. A tick is a second after its minute, so what is due then
# starts between 1 and 2.
DURATIONS = (0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 900, 3_600)
DELAYS = (0.05, 0.1, 0.25, 0.5, 1, 1.1, 1.25, 1.5, 2, 3, 5, 10, 30, 60, 300, 3_600)
TICKS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)

ENDS = tuple(state for state in FINAL if state != CANCELLED)  # whoever cancels a run is no daemon


class Histogram:
    """How often a number of seconds fell below each of some bounds, and their sum."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds, self._counts, self.sum = bounds, [0] * (len(bounds) + 1), 0.0

    def observe(self, seconds: float) -> None:
        """Add one."""
        self._counts[bisect_left(self._bounds, seconds)] += 1
        self.sum += seconds

    @property
    def buckets(self) -> Iterator[tuple[str, int]]:
        """Each bound, and how many were no greater."""
        total = 0
        for bound, count in zip((*map(_spelt, self._bounds), "+Inf"), self._counts, strict=True):
            total += count
            yield bound, total


class Counts(Figures):
    """Counts what it hears. Labels are handlers of the registry, and few queues, whatever schedules may name.

    Whoever reads them holds the `lock`, and calls `complete` first.
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
        # Seats do not stand in line for the lock: what they append is taken up when something ends, or is read.
        self._started: deque[Run] = deque()

    def started(self, run: Run) -> None:
        self._started.append(run)

    def attempted(self, run: Run, seconds: float) -> None:
        label = self._handler(run.handler)
        with self.lock:
            self._take_up()
            self.durations[label].observe(seconds)

    def closed(self, run: Run, state: str) -> None:
        if state in FINAL:
            label = self._handler(run.handler)
            with self.lock:
                self.runs[label, state] += 1

    def ticked(self, seconds: float) -> None:
        with self.lock:
            self.ticks.observe(seconds)

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

    def _take_up(self) -> None:
        with suppress(IndexError):
            while True:
                run = self._started.popleft()
                self.delays[self._queues.of(run.queue)].observe(_delay(run))

    def _handler(self, name: str) -> str:
        # What a schedule names need not exist: of that, somebody could store any number.
        return self._handlers.of(name) if self._registry.get(name) else OTHER


def _delay(run: Run) -> float:
    """Say how late a run started: after it was due, or at a later attempt, after it was to be tried again."""
    since = run.due_at if run.attempt <= 1 else run.run_at or run.due_at
    return max(0.0, (run.started_at - since).total_seconds()) if run.started_at else 0.0


def _spelt(bound: float) -> str:
    return str(float(bound))
