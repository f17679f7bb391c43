"""How long do handlers take, as far as this daemon or the store knows?"""

from __future__ import annotations

import threading
from collections.abc import Collection, Sequence
from statistics import fmean

from cronlite.daemon.store_clock import steady
from cronlite.documents import runs
from cronlite.errors import StoreError
from cronlite.store.contract import RunQuery, Store

UNKNOWN_SECONDS = 0.05
"""How long a handler is taken to last of which nothing is known, until its first call has ended."""
LAST_RUNS = 20
_BY_THEMSELVES = (runs.SUCCEEDED, runs.FAILED, runs.TIMED_OUT)


class Durations:
    """A mean of how long each handler takes: it follows what happens, and begins with the last runs in the store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._means: dict[str, float] = {}
        self._learned = threading.Event()
        self._waited_for: set[str] = set()
        self._looked_up: set[str] = set()

    def note(self, handler: str, seconds: float) -> None:
        """Take one more call into account."""
        mean = self._means.get(handler)
        self._means[handler] = seconds if mean is None else mean + (seconds - mean) / 8
        if mean is None:
            self._learned.set()

    def look_up(self, handlers: Collection[str]) -> None:
        """Begin with what the last runs took of handlers that this daemon has not called: it may just have started.

        Each is looked up once, among its newest runs of any state, so that no backlog is read through. That may take a
        while, and is an estimate: what a store does not tell stays unknown.
        """
        for handler in handlers:
            if handler in self._means or handler in self._looked_up:
                continue
            self._looked_up.add(handler)
            try:
                last = self._store.outlines(RunQuery(handler=handler, limit=LAST_RUNS))
            except StoreError:
                return
            took = [run.seconds for run in last if run.state in _BY_THEMSELVES and run.seconds is not None]
            if took:
                self._means.setdefault(handler, fmean(took))

    def wait_for(self, handlers: Collection[str]) -> None:
        """Wait once for the first call of each of these to end; after `UNKNOWN_SECONDS` it takes that at least."""
        new = set(handlers) - self._waited_for
        until = steady() + UNKNOWN_SECONDS
        while new - self._means.keys() and (left := until - steady()) > 0:
            self._learned.clear()
            if new - self._means.keys():
                self._learned.wait(left)
        self._waited_for |= new

    def mean(self, handlers: Sequence[str]) -> float:
        """Return the mean of some calls to come, in seconds."""
        return sum(self._means.get(handler, UNKNOWN_SECONDS) for handler in handlers) / len(handlers)
