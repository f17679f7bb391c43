"""What does the store say when it is asked for a scrape, which waits a second for it and no longer?"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from math import inf

from cronlite.documents.runs import SUCCEEDED
from cronlite.errors import StoreError, StoreUnavailable
from cronlite.logger import logger
from cronlite.metrics.labels import MAX_QUEUES, MAX_WATCHED, OTHER, clean
from cronlite.store.contract import RunQuery, ScheduleQuery, Store

log = logger("cronlite.metrics")

WAIT_SECONDS = 0.9  # the rest of the second is for whatever else a scrape takes
KEPT_SECONDS = 60.0
"""For how long an answer counts that came too late for the scrape that asked."""
PAUSE = 10
"""How many times as long as the store took to answer it is left alone afterwards, however many scrape: it had work."""
LEAST_PAUSE_SECONDS = 0.5
WATCHED = "watched"
"""The tag of the schedules whose last success is a figure of its own."""


@dataclass(slots=True)
class Answer:
    """What only the store knows; None is what it did not tell."""

    daemons: Mapping[str, int] | None = None
    queues: Mapping[str, tuple[int, float]] | None = None
    """How many runs are queued in each, and for how many seconds the longest of those that may start has waited."""
    schedules: Mapping[str, int] | None = None
    successes: Mapping[str, float] | None = None
    """When each of the watched schedules last succeeded, in seconds since 1970; 0 if no such run is kept."""


class Asked:
    """Asks a store in a thread of its own, one question at a time; `failed` hears when there was no answer."""

    def __init__(self, store: Store, failed: Callable[[], None]) -> None:
        self._store, self._failed = store, failed
        self._lock = threading.Lock()
        self._question: _Question | None = None
        self._answer, self._answered_at, self._again_at = Answer(), -inf, -inf

    def answer(self) -> Answer:
        """Return what the store says, or said within the last minute; an empty answer where it does not."""
        asked_at = time.monotonic()
        with self._lock:
            if asked_at < self._again_at:
                return self._latest()
            question = self._question = self._question or self._begun(asked_at)
        if question:
            # Of a question that is as old as a scrape may take, this one expects nothing.
            question.answered.wait(max(0.0, question.asked_at + WAIT_SECONDS - asked_at))
        with self._lock:
            return self._latest()

    def _latest(self) -> Answer:
        return self._answer if time.monotonic() - self._answered_at <= KEPT_SECONDS else Answer()

    def _begun(self, now: float) -> _Question | None:
        question = _Question(now)
        try:
            threading.Thread(target=self._ask, args=(question,), name="cronlite-figures", daemon=True).start()
        except RuntimeError:  # the system grants no thread
            return None
        return question

    def _ask(self, question: _Question) -> None:
        answer, is_whole, has_worked = Answer(), False, False
        try:
            is_whole, has_worked = _fill(answer, self._store), True
        except Exception as error:
            log.debug("the store did not answer a scrape", exc_info=error)
        if not is_whole:
            self._failed()
        now = time.monotonic()
        pause = PAUSE * (now - question.asked_at) if has_worked else 0
        with self._lock:
            self._question, self._answer, self._answered_at = None, answer, now
            self._again_at = now + max(LEAST_PAUSE_SECONDS, pause)
        question.answered.set()


@dataclass(frozen=True, slots=True)
class _Question:
    asked_at: float
    answered: threading.Event = field(default_factory=threading.Event)


def _fill(answer: Answer, store: Store) -> bool:
    """Ask one thing after the other, and tell whether all was answered: where one takes too long, others may not.

    Raises StoreUnavailable, with what was answered before.
    """
    now, is_whole = store.now(), True
    for ask in (_daemons, _queues, _schedules, _successes):
        try:
            ask(answer, store, now)
        except StoreUnavailable:
            raise
        except StoreError:
            is_whole = False
    return is_whole


def _daemons(answer: Answer, store: Store, now: datetime) -> None:
    counted: Counter[str] = Counter({"alive": 0, "worker": 0, "dead": 0})
    for daemon in store.daemons():
        counted[("alive" if daemon.ticks else "worker") if daemon.is_alive(now) else "dead"] += 1
    answer.daemons = counted


def _queues(answer: Answer, store: Store, now: datetime) -> None:
    ranked = sorted(store.backlog().items(), key=lambda item: (-item[1].runs, item[0]))
    queues: dict[str, tuple[int, float]] = {}
    for place, (queue, waiting) in enumerate(ranked):
        label = clean(queue) if place < MAX_QUEUES else OTHER
        runs, oldest = queues.get(label, (0, 0.0))
        since = waiting.since and (now - waiting.since).total_seconds()
        queues[label] = runs + waiting.runs, max(oldest, since or 0.0)
    answer.queues = queues or {"default": (0, 0.0)}


def _schedules(answer: Answer, store: Store, now: datetime) -> None:
    paused, all_of_them = store.count_paused(now)
    answer.schedules = {"enabled": max(0, all_of_them - paused), "paused": paused}


def _successes(answer: Answer, store: Store, now: datetime) -> None:  # noqa: ARG001 - one of several alike
    answer.successes = dict(_last_successes(store))


def _last_successes(store: Store) -> Iterator[tuple[str, float]]:
    seen: set[str] = set()
    for document in store.schedules(ScheduleQuery(tag=WATCHED, limit=MAX_WATCHED)):
        id_, name = str(document.get("_id")), document.get("name")
        label = clean(name) if isinstance(name, str) and name else clean(id_)
        label = label if label not in seen else clean(f"{id_} {label}")
        if label in seen:
            continue
        seen.add(label)
        last = next(iter(store.runs(RunQuery(schedule=id_, states=[SUCCEEDED], limit=1))), None)
        yield label, last.finished_at.timestamp() if last and last.finished_at else 0.0
