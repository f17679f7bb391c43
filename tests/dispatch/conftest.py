"""A pool whose outcomes are kept, and runs for it."""

import itertools
import queue
import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from typing import Any

import pytest

from cronlite.dispatch.pool import Pool
from cronlite.documents.runs import Outcome, Run
from cronlite.handlers.registry import Registry
from tests.dispatch import acting

DUE = datetime(2026, 11, 21, 2, 30, tzinfo=timezone.utc)
numbers = itertools.count()


def make_run(action: str = "ok", *, handler: str = "act", timeout_seconds: float | None = None, **params: Any) -> Run:
    """Make a claimed run that lets the acting handler do something."""
    return Run(
        id=f"r{next(numbers)}",
        handler=handler,
        params={"action": action, **params},
        due_at=DUE,
        queued_at=DUE,
        schedule="nightly",
        user="alice",
        attempt=2,
        timeout_seconds=timeout_seconds,
    )


def yes(run: Run) -> bool:
    """Agree."""
    return True


def no(run: Run) -> bool:
    """Refuse."""
    return False


class Watched:
    """A pool, and what it said: outcomes in order of arrival."""

    def __init__(self, seats: int) -> None:
        registry = Registry()
        registry.add("act", acting.act)
        registry.add("act_async", acting.act_async)
        registry.add("act_apart", acting.act, isolation="process")
        self.may_start: Callable[[Run], bool] = yes
        self.mine: Callable[[Run], bool] = yes
        self.told: queue.SimpleQueue[tuple[Run, Outcome | None]] = queue.SimpleQueue()
        self.pool = Pool(
            registry,
            seats,
            done=lambda run, outcome: self.told.put((run, outcome)),
            may_start=lambda run: self.may_start(run),
            still_mine=lambda run: self.mine(run),
        )

    def next(self, limit_seconds: float = 20) -> tuple[Run, Outcome | None]:
        """Wait for the next outcome."""
        try:
            return self.told.get(timeout=limit_seconds)
        except queue.Empty:
            raise AssertionError(f"no outcome within {limit_seconds} s; executing: {self.pool.executing()}") from None

    def outcome(self, run: Run) -> Outcome:
        """Submit a run and wait for its outcome, which is to be the next."""
        self.pool.submit([run])
        told, outcome = self.next()
        assert told is run
        assert outcome is not None
        return outcome

    def silent(self) -> bool:
        """Tell whether every outcome has been looked at."""
        return self.told.empty()


@pytest.fixture
def make_pool() -> Iterator[Callable[[int], Watched]]:
    """A function that makes a pool with so many seats."""
    made: list[Watched] = []

    def make(seats: int) -> Watched:
        made.append(Watched(seats))
        return made[-1]

    yield make
    for gate in acting.gates.values():
        gate.set()
    for watched in made:
        watched.pool.close()
    acting.gates.clear()


@pytest.fixture
def watched(make_pool: Callable[[int], Watched]) -> Watched:
    """A pool of two seats."""
    return make_pool(2)


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """The gate named "gate", opened at the end at the latest."""
    event = acting.gates["gate"] = threading.Event()
    yield event
    event.set()
