"""How does each loop of a daemon get a thread of its own, go on after an error, and come to its end?"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from cronlite.daemon.rounds import Rounds
from cronlite.logger import logger

log = logger("cronlite.daemon")

AGAIN_SECONDS = 1.0
JOIN_SECONDS = 6.0  # a little more than the limit of one store call


@dataclass(frozen=True, slots=True)
class Loop:
    """Work that is done again and again until an event comes; `work` returns the seconds to wait, which `wake` ends."""

    name: str
    work: Callable[[], float]
    until: threading.Event
    wake: threading.Event | None = None
    is_awaited: bool = True
    """Whether somebody waits for what it does, so that a round without an end is worth telling."""


class Threads:
    """Keeps loops in threads. An error in a round is told to `rounds` and to `failed`, and ends no loop.

    `fell` hears the name of a thread that ended before its event had come. After `stopping`, no loop begins.
    """

    def __init__(
        self,
        rounds: Rounds,
        stopping: threading.Event,
        *,
        failed: Callable[[str, Exception], None],
        fell: Callable[[str], None],
    ) -> None:
        self._rounds, self._stopping, self._failed, self._fell = rounds, stopping, failed, fell
        self._threads: dict[str, threading.Thread] = {}

    def keep(self, loop: Loop) -> None:
        """Begin a loop in a thread of its own, as soon as the system grants one."""
        begin = partial(self.start, loop.name, partial(self.run, loop), loop.until)
        while not self._stopping.is_set() and (seconds := self.guarded(loop.name, begin)):
            self._stopping.wait(seconds)

    def run(self, loop: Loop) -> None:
        """Do the rounds of a loop in this thread."""
        if loop.is_awaited:
            self._rounds.begin(loop.name)
        while not loop.until.is_set():
            seconds = self.guarded(loop.name, loop.work)
            if seconds > 0 and (loop.wake or loop.until).wait(seconds) and loop.wake:
                loop.wake.clear()
        self._rounds.end(loop.name)

    def guarded(self, name: str, work: Callable[[], float | int | None]) -> float:
        """Do some work and return the seconds to wait afterwards; what it raises is told, and tried again soon."""
        try:
            seconds = work() or 0
        except Exception as error:  # noqa: BLE001 - a fault in one round must not end the loop
            self._rounds.failed(name, error)
            self._failed(name, error)
            return AGAIN_SECONDS
        self._rounds.went_well(name)
        return seconds

    def start(self, name: str, work: Callable[[], None], until: threading.Event) -> None:
        """Start a thread that should not end before an event has come."""

        def kept() -> None:
            try:
                work()
            except BaseException:
                log.exception("the %s loop has ended", name)
            if not until.is_set():
                self._fell(name)

        thread = threading.Thread(target=kept, name=f"cronlite-{name}", daemon=True)
        thread.start()
        self._threads[name] = thread

    def join(self, *names: str) -> None:
        """Wait until these threads have ended, those of them that began, for some seconds each."""
        for name in names:
            if name in self._threads:
                self._threads[name].join(JOIN_SECONDS)
