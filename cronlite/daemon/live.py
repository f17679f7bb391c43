"""How does the output of handlers that are still at work reach those who follow it?"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import timedelta

from cronlite.daemon.store_clock import StoreClock
from cronlite.documents.runs import Changes, Run
from cronlite.handlers.output import Tail
from cronlite.store.contract import Store

SECONDS = 1.0
"""How often it looks; and what is over sooner is not followed, or a burst of short runs would be asked about."""


class LiveOutput:
    """Stores what running handlers have printed, of the runs that somebody follows, once a second.

    `tails` lists the runs at work, with what each has printed. While there are none, the store is not asked; while
    nobody follows one, it is asked one question, by ids.
    """

    def __init__(self, store: Store, clock: StoreClock, tails: Callable[[], Iterable[tuple[Run, Tail]]]) -> None:
        self._store, self._clock, self._tails = store, clock, tails
        self._stored: dict[tuple[str, int], str | None] = {}

    def show(self) -> float:
        """Do one round; return the seconds until the next."""
        now = self._clock.now()
        begun = now - timedelta(seconds=SECONDS)
        at_work = {run.id: (run, tail) for run, tail in self._tails() if run.started_at and run.started_at <= begun}
        watched = self._store.watched(at_work, now) if at_work else set()
        printed = {(id, at_work[id][0].attempt): at_work[id][1].text() for id in watched}
        # Even nothing is stored, the first time: what is there may be of an earlier attempt.
        changes: list[tuple[Run, Changes]] = [
            (at_work[id][0], {"output": text, "output_attempt": attempt})
            for (id, attempt), text in printed.items()
            if (id, attempt) not in self._stored or self._stored[id, attempt] != text
        ]
        if changes:
            self._store.change_runs(changes)
        self._stored = printed
        return SECONDS
