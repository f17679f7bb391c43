"""How do queued runs get to a broker: their ids are sent, confirmed and noted, and sent again where they were lost?"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from importlib import import_module
from types import ModuleType
from typing import Any

from cronlite.daemon.store_clock import StoreClock, steady
from cronlite.documents.runs import Run
from cronlite.errors import BrokerUnavailable, extra_missing
from cronlite.logger import logger
from cronlite.store.contract import Store, UnsentQuery

log = logger("cronlite.amqp")

SEND_POLL_SECONDS = 0.5
BATCH = 500
LOST_AFTER = timedelta(seconds=60)
LOOK_FOR_LOST_SECONDS = 10.0
LONGEST_BACKOFF_SECONDS = 10.0
MAX_PARAMS = 128 * 1024


class Trouble:
    """What a broker's failures come to: one line when they begin, one when they are over, and longer waits."""

    def __init__(self) -> None:
        self.told = ""
        self._wait = 0.0

    def begins(self, broken: BrokerUnavailable) -> float:
        """Note a failure; return the seconds to wait before the next try."""
        if not self.told:
            log.error("the broker %s; trying again", broken)
        self.told = f"the broker {broken}"
        self._wait = min(max(0.5, 2 * self._wait), LONGEST_BACKOFF_SECONDS)
        return self._wait

    def ends(self) -> None:
        """Note a success."""
        if self.told:
            log.warning("the broker takes part again")
        self.told, self._wait = "", 0.0


class Sending:
    """Tells workers of queued runs through a broker; `send` is the round of a loop that the daemon keeps.

    A run counts as sent when the broker has confirmed it. Sent twice does no harm: the second message loses its claim.
    """

    def __init__(self, store: Store, clock: StoreClock, uri: str) -> None:
        self.trouble = Trouble()
        self._store, self._clock = store, clock
        self._amqp = load_amqp()
        self._publisher = self._amqp.Publisher(uri)
        self._lost_at = steady() + LOOK_FOR_LOST_SECONDS

    def send(self) -> float:
        """Send what was queued since the last round; return the seconds to wait until the next."""
        try:
            self._publisher.beat()
            now = self._clock.now()
            new = self._store.unsent_runs(UnsentQuery(now, BATCH))
            self._send(new, now)
            if steady() >= self._lost_at:
                self._send(list(self._lost(now)), now)
                self._lost_at = steady() + LOOK_FOR_LOST_SECONDS
        except BrokerUnavailable as broken:
            return self.trouble.begins(broken)
        self.trouble.ends()
        return 0 if len(new) == BATCH else SEND_POLL_SECONDS

    def close(self) -> None:
        """Part from the broker."""
        self._publisher.close()

    def _send(self, runs: Sequence[Run], now: datetime) -> None:
        if runs:
            self._publisher.send_raw([self._raw(run) for run in runs])
            self._store.change_runs([(run, {"sent_at": now}) for run in runs])  # those claimed already keep their claim

    def _raw(self, run: Run) -> Any:
        headers = {} if run.traceparent is None else {"traceparent": run.traceparent}
        return self._amqp.Raw(run.queue, json.dumps(message(run)).encode(), headers=headers)

    def _lost(self, now: datetime) -> Iterator[Run]:
        """Yield runs that were sent long ago, are queued still, and are not among their queue's messages any more."""
        waiting: dict[str, int] = defaultdict(int)
        for run in self._store.unsent_runs(UnsentQuery(now, BATCH, sent_before=now - LOST_AFTER)):
            if run.queue not in waiting:
                waiting[run.queue] = self._publisher.waiting(run.queue)
            if not waiting[run.queue]:
                yield run


def load_amqp() -> ModuleType:
    """Import what talks to a broker. Raises ConfigurationError where kombu is missing, which few installations need."""
    try:
        return import_module("cronlite.dispatch.amqp")
    except ImportError as missing:
        raise extra_missing("a broker needs", "amqp", missing) from None


def message(run: Run) -> dict[str, Any]:
    """Return what is sent of a run. The id is what counts; the rest is for readers in other languages.

    `params` is left out where it is large: whoever needs it reads the run in the store.
    """
    body = {
        "run": run.id,
        "handler": run.handler,
        "params": dict(run.params),
        "queue": run.queue,
        "due_at": run.due_at.isoformat(),
        "deadline_at": run.deadline_at and run.deadline_at.isoformat(),
        "user": run.user,
        "attempt": run.attempt + 1,
    }
    try:
        fits = len(json.dumps(body["params"])) <= MAX_PARAMS
    except (TypeError, ValueError):  # BSON has more kinds of values than JSON, and others write documents too
        fits = False
    if not fits:
        del body["params"]
    return body
