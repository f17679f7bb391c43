"""What does a worker run: the runs whose messages it gets, each claimed in the store before it is acknowledged."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING

from cronlite.daemon.claims import Claimer
from cronlite.daemon.store_clock import StoreClock, steady
from cronlite.daemon.to_broker import LOST_AFTER, Trouble, load_amqp
from cronlite.errors import BrokerUnavailable, shown
from cronlite.handlers.registry import Registry
from cronlite.logger import logger
from cronlite.store.contract import Store, UnsentQuery

if TYPE_CHECKING:
    from cronlite.dispatch.amqp import Message

log = logger("cronlite.amqp")

ROUND_SECONDS = 1.0
BUSY_ROUND_SECONDS = 0.05
LIMITED_POLL_SECONDS = 1.0
OWED_SECONDS = 10.0
STORE_POLL_SECONDS = 30.0
# The daemon that sent a message judged by its own idea of the store's time that the run may start.
AHEAD = timedelta(seconds=1)


class Feeding:
    """Claims the runs that messages tell of, as many as there are free seats; `feed` is the round of a loop.

    From its claim on, won or lost, the store alone knows of the run. Its message is acknowledged when there is room for
    another, which the broker then sends: so no more are under way than there are free seats. It is owed for seconds at
    most, and the broker's limit of 30 minutes does not matter; then nothing may come until a seat is free.

    A run whose handler this worker lacks is offered to others once, and then left in the store; a worker that has the
    handler finds it there, or gets it when a daemon sends it again, a minute or two later.

    Runs with a limit come from the store, each second or when one of them has ended here: a message cannot wait.
    """

    def __init__(
        self,
        store: Store,
        clock: StoreClock,
        claimer: Claimer,
        registry: Registry,
        uri: str,
        queues: Collection[str],
    ) -> None:
        self.trouble = Trouble()
        self._store, self._clock, self._claimer, self._registry = store, clock, claimer, registry
        self.queues = list(queues)
        self._consumer = load_amqp().Consumer(uri, queues)
        self._owed: deque[tuple[float, Message]] = deque()  # claimed at, the oldest first
        self._poll_at, self._limited_at = steady() + STORE_POLL_SECONDS, steady()
        self._unknown: set[str] = set()

    def feed(self) -> float:
        """Claim what one round of messages tells of; return the seconds to wait until the next round."""
        try:
            self._claimer.claim_named((), self._clock.now())  # this settles a claim whose answer was lost
            room = self._claimer.free_seats()
            if room > 0 and (self._claimer.slot_is_free or steady() >= self._limited_at):
                self._limited_at = steady() + LIMITED_POLL_SECONDS
                room -= self._claimer.claim_limited(room)
            self._settle(room)
            if room > 0 and steady() >= self._poll_at:
                self._poll(room)
                return 0
            self._receive(room)
        except BrokerUnavailable as broken:
            self._let_go()
            return self.trouble.begins(broken)
        except BaseException:
            self._let_go()  # no claim is possible now, and others may have what is under way
            raise
        self.trouble.ends()
        return 0 if room > 0 else ROUND_SECONDS  # or until a seat is free

    def close(self) -> None:
        """Part from the broker; messages that tell of nothing claimed go back to their queues."""
        with suppress(BrokerUnavailable):
            self._settle_all()
        self._let_go()

    def _settle(self, room: int) -> None:
        """Acknowledge as many messages as brings the room that is wanted, or all when one is owed for too long."""
        if self._owed and steady() >= self._owed[0][0] + OWED_SECONDS:
            self._settle_all()
        while self._owed and (short := room - self._consumer.coming) > 0:
            count = min(short, len(self._owed))
            self._consumer.settle([self._owed.popleft()[1] for _ in range(count)])

    def _settle_all(self) -> None:
        self._consumer.pause()
        owed, self._owed = self._owed, deque()
        if owed:
            self._consumer.settle(message for _, message in owed)

    def _receive(self, room: int) -> None:
        # A seat that gets free ends no wait for messages, and then there may be more in another queue.
        seconds = BUSY_ROUND_SECONDS if self._owed or self._claimer.has_limited else ROUND_SECONDS
        messages = self._consumer.receive(len(self._owed) + room, seconds if room > 0 else 0)
        if messages:
            self._take(messages)
        elif room <= 0:
            self._consumer.beat()

    def _take(self, messages: Sequence[Message]) -> None:
        ours = [(message, id) for message in messages if (id := self._run_of(message)) is not None]
        if self._claimer.claim_named({id for _, id in ours if id}, self._clock.now() + AHEAD):
            self._owed.extend((steady(), message) for message, _ in ours)
        else:
            self._let_go()

    def _let_go(self) -> None:
        self._owed.clear()
        self._consumer.close()

    def _run_of(self, message: Message) -> str | None:
        """Return the id of the run that a message tells of, "" for one to leave; None where it is dealt with."""
        try:
            body = message.read()
            id, handler = body.get("run"), body.get("handler")
            if not isinstance(id, str) or not 0 < len(id) <= 300 or not isinstance(handler, str):
                raise ValueError("it names no run and handler")
        except ValueError as fault:
            self._consumer.set_aside(message, str(fault))
            log.warning("a message in the queue %s is set aside: %s", message.queue, fault)
            return None
        if handler not in self._registry.names():
            self._tell_unknown(handler, message.queue)
            if message.again:
                return ""
            self._consumer.requeue([message])  # offer it once: it may come to a worker that has the handler
            return None
        return id

    def _tell_unknown(self, handler: str, queue: str) -> None:
        if handler not in self._unknown and len(self._unknown) < 1_000:
            self._unknown.add(handler)
            problem = "the queue %s has runs of the handler %s, which this worker lacks; they are left to others, late"
            log.warning(f"{problem}: give them a queue of their own", queue, shown(handler))

    def _poll(self, room: int) -> None:
        """Claim runs whose messages may have been lost."""
        self._poll_at = steady() + STORE_POLL_SECONDS
        now = self._clock.now()
        known = self._registry.names()
        query = UnsentQuery(now, 10 * room, sent_before=now - LOST_AFTER, queues=self.queues)
        lost = self._store.unsent_runs(query)
        ids = [run.id for run in lost if run.handler in known][:room]
        self._claimer.claim_named(ids, now)
