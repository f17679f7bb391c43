"""Where does the time of a run go: the tick, the claim, the call, the outcome? A stopwatch at the product's seams."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from functools import wraps
from types import TracebackType
from typing import Any
from unittest.mock import patch

from cronlite.daemon.room import Room
from cronlite.dispatch.handling import Handling
from cronlite.documents import new_runs, runs, schedules, transitions
from cronlite.store import Store

SEAMS: list[tuple[str, object, str]] = [
    ("read schedule", schedules, "read"),
    ("is it due", schedules.Schedule, "is_due"),
    ("make run", new_runs, "of_schedule"),
    ("run document", runs.Run, "document"),
    ("read run", runs, "read"),
    ("call, whole", Handling, "run"),
    ("call, handler", Handling, "_run"),
    ("settle", transitions, "settled"),
    ("room", Room, "for_queue"),
]
_OF_STORE = ("expressions", "at_work", "add_runs", "claim_runs", "change_runs", "release_lanes", "finish_tick")


class Stages(AbstractContextManager["Stages"]):
    """Times the seams in all threads while it is entered: how often, CPU seconds, seconds with waits.

    What one seam calls counts for both. A call costs a microsecond more under the stopwatch.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._spent: dict[str, list[tuple[float, float]]] = defaultdict(list)
        self._end = ExitStack()

    def __enter__(self) -> Stages:
        for told, owner, name in SEAMS:
            self._end.enter_context(patch.object(owner, name, self._timed(told, getattr(owner, name))))
        for name in _OF_STORE:
            timed = self._timed(f"store.{name}", getattr(self._store, name))
            self._end.enter_context(patch.object(self._store, name, timed))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.close()

    def told(self) -> dict[str, dict[str, float]]:
        return {
            name: {"calls": len(spent), "cpu_seconds": sum(s[0] for s in spent), "seconds": sum(s[1] for s in spent)}
            for name, spent in self._spent.items()
        }

    def _timed(self, told: str, function: Callable[..., Any]) -> Callable[..., Any]:
        spent = self._spent[told].append

        @wraps(function)
        def timed(*args: Any, **kwargs: Any) -> Any:
            cpu, begun = time.thread_time(), time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                spent((time.thread_time() - cpu, time.perf_counter() - begun))

        return timed
