"""The application that a measured `cronlite run` serves: it counts its calls, sets the clock, and tells at the end.

`cronlite -A tests.bench.application:cron run` is the command that users run. What it is to measure stands in the
environment (`daemons.py` writes it); a line on stdin begins the measuring, and the last line on stdout is the answer.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from array import array
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from cronlite import Cronlite, current_run
from cronlite.daemon import loops
from cronlite.daemon.store_clock import StoreClock, steady
from cronlite.documents.runs import FINAL, Changes, Run
from cronlite.handlers.registry import Registry
from cronlite.store.contract import Store
from tests.bench import careless, children, machine
from tests.bench.staged import StagedClock
from tests.bench.stages import Stages

VARIABLE = "BENCH_DAEMON"
SLOW_SECONDS = 0.05
AFTER_MINUTE = timedelta(seconds=1)


class Calls:
    """The handlers: each counts its calls, and does next to nothing else unless it is its purpose."""

    def __init__(self, clock: StoreClock) -> None:
        self._clock = clock
        self._called_at = array("d")  # appended to by many threads at once, and none of it is lost
        self.delays: list[float] = []

    def registry(self) -> Registry:
        registry = Registry()
        for function in (self.noop, self.answering, self.slow, self.computing, self.punctual, self.asked):
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

    def answering(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Return what no other call does."""
        self.noop(params)
        return {"call": self.count, "at": steady()}

    def slow(self, params: Mapping[str, Any]) -> None:
        time.sleep(SLOW_SECONDS)
        self.noop(params)

    def computing(self, params: Mapping[str, Any]) -> None:
        """Take as much of a core's time as `slow` takes of a seat's."""
        until = time.thread_time() + SLOW_SECONDS
        while time.thread_time() < until:
            sum(range(1_000))
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


class Measuring:
    """What one daemon is to do, and what it did."""

    def __init__(
        self,
        uri: str,
        *,
        tick: str | None = None,
        minute_seconds: float = 60.0,
        expected: int | None = None,
        limit_seconds: float = 300.0,
        stages: bool = False,
        without: Sequence[str] = (),
    ) -> None:
        careless.leave_out(without)
        self._over, self._limit_seconds = threading.Event(), limit_seconds
        self._clock = StagedClock(datetime.fromisoformat(tick), minute_seconds) if tick else StoreClock()
        self._calls = Calls(self._clock)
        self.cron = Cronlite(uri, registry=self._calls.registry())
        self._outcomes = Outcomes(self.cron.store, expected, self._over)
        self._stages = Stages(self.cron.store) if stages else None
        vars(loops)["StoreClock"] = lambda: self._clock

    def start(self) -> None:
        """Measure from the line on stdin on, and end the process with the answer."""
        threading.Thread(target=self._measure, name="bench", daemon=True).start()

    def _measure(self) -> None:
        at = float(sys.stdin.readline() or "nan")
        children.set_at_end_of_stdin(self._over)
        if self._stages:
            self._stages.__enter__()
        machine.forget_peak()
        idle, cpu = machine.resident_mb(), machine.cpu_seconds()
        if isinstance(self._clock, StagedClock):
            self._clock.set_off(at)
        self._over.wait(self._limit_seconds)
        answer = {
            "idle_mb": idle,
            "peak_mb": machine.resident_mb("VmHWM"),
            "cpu_seconds": machine.cpu_seconds() - cpu,
            **self._done(at + AFTER_MINUTE.total_seconds()),
        }
        print(json.dumps(answer), file=sys.__stdout__, flush=True)
        os._exit(0)

    def _done(self, wake: float) -> dict[str, Any]:
        return {
            "calls": self._calls.count,
            "called_seconds": self._calls.last_at - wake,
            "stored": self._outcomes.count,
            "stored_seconds": self._outcomes.last_at - wake,
            "delays": self._calls.delays,
            "stages": self._stages.told() if self._stages else None,
        }


if told := os.environ.get(VARIABLE):
    measuring = Measuring(**json.loads(told))
    measuring.start()
    cron = measuring.cron
