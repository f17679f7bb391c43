"""Where exactly does a daemon die, stand still or wait: right before or after the nth call of a method of its store.

A point is written "ACTION before|after METHOD N". Actions: `kill` and `stop` send that signal to this process; `hold`
says that it was reached and waits to be let go; `lose` lets the call raise StoreUnavailable though it was made. An
empty claim does not count as a claim, nor does a tick before the first one that was worth a run. `create_index` stands
for each index that MongoDB is asked for.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, cast

from pymongo.collection import Collection

from cronlite.errors import StoreUnavailable
from cronlite.store.contract import Store

log = logging.getLogger("tests.faults")

# Five seconds for an operation, as many for the one that looks whether it was made, and what a loaded machine takes.
LONGEST_CALL_SECONDS = 20.0
UNLIMITED = ("prepare", "watch", "close")
_OF_TICKS = ("claim_tick", "candidates", "finish_tick")


class Point(NamedTuple):
    action: str
    when: str
    method: str
    number: int

    @classmethod
    def read(cls, text: str) -> Point:
        action, when, method, number = text.split()
        return cls(action, when, method, int(number))

    @property
    def name(self) -> str:
        return f"{self.when}-{self.method}-{self.number}"


class Points:
    """The points of this process; in `folder` a file `NAME.reached` tells of a hold, and `NAME.go` ends it."""

    def __init__(self, texts: Iterable[str], folder: Path) -> None:
        self._points = [Point.read(text) for text in texts]
        self._folder = folder
        self._passed: Counter[tuple[str, str]] = Counter()
        self._lock = threading.Lock()

    def pass_by(self, when: str, method: str, answer: Any = None) -> None:
        """Come past a place, and do what was asked for it."""
        if when == "after" and method == "claim_runs" and not answer:
            return
        with self._lock:
            if method in _OF_TICKS and not (self._passed["before", "add_runs"] and _is_ticking()):
                return
            self._passed[when, method] += 1
            here = (when, method, self._passed[when, method])
        for point in self._points:
            if here == (point.when, point.method, point.number):
                self._act(point)

    def _act(self, point: Point) -> None:
        if point.action in ("kill", "stop"):
            os.kill(os.getpid(), signal.SIGKILL if point.action == "kill" else signal.SIGSTOP)
        elif point.action == "hold":
            (self._folder / f"{point.name}.reached").touch()
            while not (self._folder / f"{point.name}.go").exists():
                time.sleep(0.01)
        elif point.action == "lose":
            raise StoreUnavailable(f"the answer to {point.method} was lost")
        else:
            raise ValueError(point.action)


def _is_ticking() -> bool:
    """Tell whether this is the thread of ticks: that of alarms reads what is due, too, when a tick is late."""
    return threading.current_thread().name == "cronlite-tick"


class _Pointed:
    def __init__(self, store: Store, points: Points) -> None:
        self._store, self._points = store, points

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._store, name)
        if not callable(found):
            return found

        def call(*args: Any, **kwargs: Any) -> Any:
            self._points.pass_by("before", name)
            began = time.monotonic()
            try:
                answer = found(*args, **kwargs)
                if isinstance(answer, Iterator):
                    answer = iter(list(answer))  # the query itself is to be within the call
            finally:
                took = time.monotonic() - began
                if took > LONGEST_CALL_SECONDS and name not in UNLIMITED:
                    log.error("SLOW CALL: %s took %.1f s", name, took)
            self._points.pass_by("after", name, answer)
            return answer

        return call


def pointed(store: Store, points: Points) -> Store:
    """Return the store with the points in it; a call that takes longer than its limit is logged as SLOW CALL."""
    create_index = Collection.create_index

    def create(self: Any, *args: Any, **kwargs: Any) -> Any:
        points.pass_by("before", "create_index")
        answer = create_index(self, *args, **kwargs)
        points.pass_by("after", "create_index")
        return answer

    Collection.create_index = create  # type: ignore[method-assign]
    return cast("Store", _Pointed(store, points))
