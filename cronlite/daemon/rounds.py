"""Which of a daemon's loops do their work, which do not, since when, and why?"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import datetime

from cronlite.daemon.store_clock import StoreClock, steady
from cronlite.errors import StoreError, StoreUnavailable, shown
from cronlite.logger import logger
from cronlite.metrics.figures import NOBODY, Figures

log = logger("cronlite.daemon")

FAILING_SECONDS = 10.0
"""For how long a loop fails before that is told: a fail-over of the store takes about as long."""
HOPELESS_SECONDS = 120.0
"""For how long a loop does nothing before that is told even without an error, and a supervisor is to step in."""


@dataclass(slots=True)
class _Rounds:
    """The rounds of one loop: when the last good one ended, and what went wrong since."""

    good_at: float
    told_at: datetime
    error: Exception | None = None


class Rounds:
    """Keeps how the loops of a daemon fare; each loop says how each of its rounds ended.

    The log hears once that the store fails, and once that it is back, however many loops notice.
    """

    def __init__(self, address: str, clock: StoreClock, figures: Figures = NOBODY) -> None:
        self._address, self._clock, self._figures = address, clock, figures
        self._lock = threading.Lock()
        self._loops: dict[str, _Rounds] = {}
        self._without_store: set[str] = set()

    def begin(self, loop: str) -> None:
        """Note that a loop begins."""
        with self._lock:
            self._loops[loop] = _Rounds(steady(), self._clock.now())

    def end(self, loop: str) -> None:
        """Note that a loop has ended: nothing is expected of it any more."""
        with self._lock:
            self._loops.pop(loop, None)

    def went_well(self, loop: str) -> None:
        """Note a good round."""
        with self._lock:
            if loop in self._loops:
                self._loops[loop] = _Rounds(steady(), self._clock.now())
            is_back = loop in self._without_store
            self._without_store.discard(loop)
            is_back = is_back and not self._without_store
        if is_back:
            log.warning("the store %s answers again", self._address)

    def failed(self, loop: str, error: Exception) -> None:
        """Note a round that ended in an error, and log it."""
        if isinstance(error, StoreError):
            self._figures.store_failed()
        with self._lock:
            if loop in self._loops:
                self._loops[loop].error = error
            is_new = isinstance(error, StoreError) and not self._without_store
            if isinstance(error, StoreError):
                self._without_store.add(loop)
        if is_new:
            log.error("the store %s fails: %s; trying again every second", self._address, error)
        elif not isinstance(error, StoreError):
            log.error("a fault of cronlite itself in the %s loop, which goes on", loop, exc_info=error)

    def trouble(self) -> str:
        """Say in a sentence which loops do not do their work, since when, and why; nothing when all do."""
        now = steady()
        with self._lock:
            loops = list(self._loops.items())
        return "; ".join(_told(name, loop) for name, loop in loops if _is_in_trouble(loop, now))

    def is_hopeless(self) -> bool:
        """Tell whether a loop has done nothing for so long that a new process may do better.

        It would not where the store cannot be reached: another process would wait, too.
        """
        now = steady()
        with self._lock:
            loops = list(self._loops.values())
        return any(
            now - loop.good_at >= HOPELESS_SECONDS and not isinstance(loop.error, StoreUnavailable) for loop in loops
        )


def _is_in_trouble(loop: _Rounds, now: float) -> bool:
    return now - loop.good_at >= (FAILING_SECONDS if loop.error else HOPELESS_SECONDS)


def _told(name: str, loop: _Rounds) -> str:
    what = "it has not ticked" if name == "tick" else f"its {name.partition('-')[0]} loop has done nothing"
    why = "a round has not come to its end" if loop.error is None else _in_words(loop.error)
    return f"{what} since {loop.told_at:%Y-%m-%d %H:%M:%S}Z: {why}"


def _in_words(error: Exception) -> str:
    kind = "" if isinstance(error, StoreError) else f"{type(error).__name__}: "
    return kind + shown(str(error), 300).strip("'\"")
