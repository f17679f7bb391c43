"""Which queued runs wait for the end of a freeze, and how are they kept out of the way of the others?

Their `run_at` is the end of the freeze, so that the queries for what may start do not come across them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import TypeVar

from cronlite.daemon.handover import Handover
from cronlite.daemon.store_clock import steady
from cronlite.documents import schedules
from cronlite.documents.freezes import NEVER, Freeze, Frozen
from cronlite.documents.runs import Run
from cronlite.store.contract import ScheduleQuery, Store
from cronlite.store.contract.freezes import HELD_AT_ONCE

T = TypeVar("T")

ASKED_EVERY_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class _OfRun:
    """What a freeze picks a run by: the run's own fields, and the tags that its schedule has now."""

    run: Run
    tags: Sequence[str]

    @property
    def user(self) -> str:
        return self.run.user

    @property
    def handler(self) -> str:
        return self.run.handler

    @property
    def queue(self) -> str:
        return self.run.queue


class Holds:
    """Keeps claimed runs back that a freeze with a hold picks: they were queued after it had begun."""

    def __init__(self, store: Store, handover: Handover, asked_every_seconds: float = ASKED_EVERY_SECONDS) -> None:
        self._store, self._handover, self._every = store, handover, asked_every_seconds
        self._frozen = Frozen(())
        self._asked = float("-inf")

    def keep_back(self, claimed: list[Run], now: datetime) -> list[Run]:
        """Put those back, to wait for the end of their freeze; return the others."""
        if not claimed:
            return claimed
        if steady() - self._asked >= self._every:
            self._frozen = Frozen(freeze for freeze in self._store.freezes(now) if freeze.hold)
            self._asked = steady()
        if not self._frozen:
            return claimed
        tags = self._tags(claimed) if any(freeze.tag for freeze in self._frozen.freezes) else {}
        held, others = list[Run](), list[Run]()
        for run in claimed:
            if by := self._frozen.holding(now, _OfRun(run, tags.get(run.schedule or "", ()))):
                run.run_at, run.freeze = by.until_at or NEVER, by.id
                held.append(run)
            else:
                others.append(run)
        self._handover.give_back(held)
        return others

    def _tags(self, claimed: Sequence[Run]) -> dict[str, Sequence[str]]:
        ids = {run.schedule for run in claimed if run.schedule}
        documents = filter(None, map(self._store.schedule, ids))
        return {schedule.id: schedule.tags for document in documents if (schedule := schedules.read_or_none(document))}


def hold_queued(store: Store, freeze: Freeze, now: datetime) -> int:
    """Let the queued runs that a freeze picks wait for its end; return how many."""
    if freeze.tag is None:
        return _held(store, freeze, now, None)
    tagged = (str(document["_id"]) for document in store.schedules(ScheduleQuery(tag=freeze.tag)))
    return sum(_held(store, freeze, now, page) for page in pages(tagged, HELD_AT_ONCE))


def _held(store: Store, freeze: Freeze, now: datetime, ids: Collection[str] | None) -> int:
    total = 0
    while True:
        count = store.hold_runs(freeze, now, freeze.until_at or NEVER, ids)
        total += count
        if count < HELD_AT_ONCE:
            return total


def pages(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Cut what comes one by one into lists."""
    ongoing = iter(items)
    while page := list(islice(ongoing, size)):
        yield page
