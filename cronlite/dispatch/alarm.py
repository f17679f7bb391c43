"""Who looks at the time for a pool? One thread, which starts with the first run that needs it."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable

from cronlite.logger import logger

log = logger("cronlite.pool")


class Alarm:
    """Calls `check(now)` at the instants asked for, which are seconds of `time.monotonic`, once `start` was called.

    `check` returns the next instant of its own, or infinity.
    """

    def __init__(self, check: Callable[[float], float]) -> None:
        self._check = check
        self._next = math.inf
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closed = False

    def start(self) -> None:
        """Start the thread, if it is not there yet. Raises RuntimeError where the system grants none.

        `at` does not start it: that is called when it is too late to refuse a run.
        """
        if self._thread is not None:
            return
        with self._changed:
            if self._thread is None and not self._closed:
                thread = threading.Thread(target=self._main, name="cronlite-alarm", daemon=True)
                thread.start()
                self._thread = thread

    def at(self, instant: float) -> None:
        """Check at an instant, if not sooner."""
        if instant >= self._next:  # read without the lock: most runs have a later end than an earlier run
            return
        with self._changed:
            self._next = min(self._next, instant)
            self._changed.notify()

    def close(self) -> None:
        """Check no more."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    def _main(self) -> None:
        while self._wait():
            try:
                following = self._check(time.monotonic())
            except Exception:
                log.exception("the check of the time limits failed")
                following = time.monotonic() + 1
            self.at(following)

    def _wait(self) -> bool:
        """Wait for the next instant; tell whether to go on."""
        with self._changed:
            while not self._closed and (left := self._next - time.monotonic()) > 0:
                self._changed.wait(min(left, threading.TIMEOUT_MAX))
            self._next = math.inf
            return not self._closed
