"""What does a worker run: the runs whose messages it gets, each claimed in the store before it is acknowledged."""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from cronlite.errors import BrokerUnavailable, shown
from cronlite.execution import Execution
from cronlite.handlers import Registry
from cronlite.liveness import StoreClock, steady
from cronlite.sending import LOST_AFTER, Trouble, load_amqp
from cronlite.store.contract import Store

if TYPE_CHECKING:
    from cronlite.dispatch.amqp import Message

log = logging.getLogger("cronlite.amqp")

ROUND_SECONDS = 1.0
STORE_POLL_SECONDS = 30.0
# The daemon that sent a message judged by its own idea of the store's time that the run may start.
AHEAD = timedelta(seconds=1)


class Feeding:
    """Claims the runs that messages tell of, as many as there are free seats; `feed` is the round of a loop.

    A message is acknowledged as soon as its claim is won or lost: from then on the store alone knows of the run, and
    the broker's limit of 30 minutes does not matter. A run whose handler this worker lacks is left in the store; a
    worker that has the handler finds it there, or gets it when a daemon sends it again, a minute or two later.
    """

    def __init__(
        self,
        store: Store,
        clock: StoreClock,
        execution: Execution,
        registry: Registry,
        uri: str,
        queues: Collection[str],
    ) -> None:
        self.trouble = Trouble()
        self._store, self._clock, self._execution, self._registry = store, clock, execution, registry
        self._queues = list(queues)
        self._consumer = load_amqp().Consumer(uri, queues)
        self._poll_at = steady() + STORE_POLL_SECONDS
        self._unknown: set[str] = set()

    def feed(self) -> float:
        """Claim what one round of messages tells of; return the seconds to wait until the next round."""
        self._execution.claim_named((), self._clock.now())  # settles a claim that went without an answer
        room = self._execution.room()
        try:
            if room <= 0:
                self._consumer.beat()
                return ROUND_SECONDS  # or until a seat is free
            if steady() >= self._poll_at:
                self._poll(room)
                return 0
            messages = self._consumer.receive(room, ROUND_SECONDS)
            if messages:
                self._take(messages)
        except BrokerUnavailable as broken:
            return self.trouble.begins(broken)
        self.trouble.ends()
        return 0

    def close(self) -> None:
        """Part from the broker; unsettled messages go back to their queues."""
        self._consumer.close()

    def _take(self, messages: Sequence[Message]) -> None:
        try:
            told = {message.tag: self._run_of(message) for message in messages}
            if not self._execution.claim_named({id for id in told.values() if id}, self._clock.now() + AHEAD):
                self._consumer.close()  # no claim is possible now, and others may have them
                return
        except BaseException:
            self._consumer.close()
            raise
        self._consumer.settle(message for message in messages if told[message.tag] is not None)

    def _run_of(self, message: Message) -> str | None:
        """Return the id of the run that a message tells of; None for one that was set aside, "" for one to leave."""
        try:
            found = message.read()
            id, handler = found.get("run"), found.get("handler")
            if not isinstance(id, str) or not 0 < len(id) <= 300 or not isinstance(handler, str):
                raise ValueError("it names no run and handler")
        except ValueError as fault:
            self._consumer.set_aside(message, str(fault))
            log.warning("a message in the queue %s is set aside: %s", message.queue, fault)
            return None
        if handler not in self._registry.names():
            self._tell_unknown(handler, message.queue)
            return ""
        return id

    def _tell_unknown(self, handler: str, queue: str) -> None:
        if handler not in self._unknown and len(self._unknown) < 1_000:
            self._unknown.add(handler)
            told = "the queue %s has runs of the handler %s, which this worker lacks; they are left to others, late"
            log.warning(f"{told}: give them a queue of their own", queue, shown(handler))

    def _poll(self, room: int) -> None:
        """Claim runs whose messages may have been lost."""
        self._poll_at = steady() + STORE_POLL_SECONDS
        now = self._clock.now()
        known = self._registry.names()
        lost = self._store.unsent_runs(now, 10 * room, sent_before=now - LOST_AFTER, queues=self._queues)
        ids = [run.id for run in lost if run.handler in known][:room]
        self._execution.claim_named(ids, now)
