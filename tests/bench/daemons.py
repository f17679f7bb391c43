"""How does a daemon in a process of its own fare: how fast, how late, how big?"""

from __future__ import annotations

import sys
import threading
import time
from array import array
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from datetime import datetime, timedelta
from typing import Any

from cronlite import current_run
from cronlite.daemon.loops import Daemon
from cronlite.daemon.options import Options
from cronlite.daemon.service import seldom_collecting
from cronlite.daemon.store_clock import StoreClock, steady
from cronlite.documents.runs import FINAL, Changes, Run
from cronlite.handlers.output import capture_logs
from cronlite.handlers.registry import Registry
from cronlite.store import Store, open_store
from tests.bench import children, machine
from tests.bench.staged import StagedClock
from tests.bench.stages import Stages

SLOW_SECONDS = 0.05
LEAD_SECONDS = 0.5
AFTER_MINUTE = timedelta(seconds=1)
READY_SECONDS = 60.0


class Calls:
    """The handlers: each counts its calls, and does next to nothing else unless it is its purpose."""

    def __init__(self, clock: StoreClock) -> None:
        self._clock = clock
        self._called_at = array("d")  # appended to by many threads at once, and none of it is lost
        self.delays: list[float] = []

    def registry(self) -> Registry:
        registry = Registry()
        for function in (self.noop, self.slow, self.punctual, self.asked):
            registry.add(function.__name__, function)
        return registry

    @property
    def count(self) -> int:
        return len(self._called_at)

    @property
    def last_at(self) -> float:
        return max(self._called_at, default=0.0)

    def noop(self, params: Mapping[str, Any]) -> None:
        self._called_at.append(steady())

    def slow(self, params: Mapping[str, Any]) -> None:
        time.sleep(SLOW_SECONDS)
        self.noop(params)

    def punctual(self, params: Mapping[str, Any]) -> None:
        """Note how long after the first second of its minute it starts."""
        self.delays.append(-self._clock.seconds_until(current_run().due_at + AFTER_MINUTE))
        self.noop(params)

    def asked(self, params: Mapping[str, Any]) -> None:
        """Note how long after the asking it starts."""
        self.delays.append(steady() - params["asked"])
        self.noop(params)


class Outcomes:
    """Counts the outcomes that the store has acknowledged, and sets an event at the last one."""

    def __init__(self, store: Store, expected: int | None, over: threading.Event) -> None:
        self._change_runs = store.change_runs
        self._expected, self._over = expected, over
        self.count, self.last_at = 0, 0.0
        store.change_runs = self.change_runs  # type: ignore[method-assign]

    def change_runs(self, changes: Sequence[tuple[Run, Changes]]) -> set[str]:
        lost = self._change_runs(changes)
        ended = sum(change.get("state") in FINAL and run.id not in lost for run, change in changes)
        if ended:
            self.count, self.last_at = self.count + ended, steady()
        if self._expected is not None and self.count >= self._expected:
            self._over.set()
        return lost


def work(
    uri: str,
    *,
    tick: str | None = None,
    minute_seconds: float = 60.0,
    together: bool = False,
    expected: int | None = None,
    seats: int = 20,
    limit_seconds: float = 300.0,
    stages: bool = False,
) -> dict[str, Any]:
    """Run a daemon until `expected` outcomes are stored, or stdin ends; tell what it did, in seconds and MB.

    With `tick`, that minute comes once it is ready: when a line on stdin says, for several `together`, or in a moment.
    Without, real time goes on.
    """
    over = threading.Event()
    store = open_store(uri)
    clock = StagedClock(datetime.fromisoformat(tick), minute_seconds) if tick else StoreClock()
    calls, outcomes = Calls(clock), Outcomes(store, expected, over)
    daemon = Daemon(store, calls.registry(), Options(seats=seats), clock=clock)
    with ExitStack() as stack:
        stack.enter_context(capture_logs())
        stack.enter_context(seldom_collecting())
        timed = stack.enter_context(Stages(store)) if stages else None
        daemon.start()
        if not daemon.wait_ready(READY_SECONDS):
            raise RuntimeError("the daemon did not get ready")
        print("ready", flush=True)
        at = float(sys.stdin.readline()) if together else steady() + LEAD_SECONDS
        children.set_at_end_of_stdin(over)
        if isinstance(clock, StagedClock):
            clock.set_off(at)
        measured = _measured(over, limit_seconds)
    wake = at + AFTER_MINUTE.total_seconds()
    return measured | {
        "calls": calls.count,
        "called_seconds": calls.last_at - wake,
        "stored": outcomes.count,
        "stored_seconds": outcomes.last_at - wake,
        "delays": calls.delays,
        "stages": timed.told() if timed else None,
    }


def _measured(over: threading.Event, limit_seconds: float) -> dict[str, float]:
    machine.forget_peak()
    idle, cpu = machine.resident_mb(), machine.cpu_seconds()
    over.wait(limit_seconds)
    return {"idle_mb": idle, "peak_mb": machine.resident_mb("VmHWM"), "cpu_seconds": machine.cpu_seconds() - cpu}
