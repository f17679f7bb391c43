"""How are messages received, as many as there is room for, and what becomes of those that cannot be read?"""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from cronlite.dispatch.amqp.frames import MAX_BODY
from cronlite.dispatch.amqp.link import HEARTBEAT_SECONDS, JSON, Link, queue_of
from cronlite.dispatch.amqp.publisher import Publisher, Raw
from cronlite.documents.checks import SET_ASIDE
from cronlite.errors import shown

LOOK_SECONDS = 1.0
GATHER_SECONDS = 0.003
"""How long to wait for one more message when some have come."""
ASIDE_BODY = 64 * 1024
"""How much is kept of the body of a message that is set aside, in bytes."""
REASON = "cronlite-reason"


@dataclass(frozen=True, slots=True)
class Message:
    """A message as it came: `raw` is its body, `tag` how the broker knows it on this channel.

    Of a body longer than MAX_BODY, `raw` holds one byte more than that, and the rest is lost.

    `again` tells whether it was delivered before, here or elsewhere.
    """

    queue: str
    raw: bytes
    content_type: str | None
    tag: int
    channel: Any = field(repr=False, compare=False)
    again: bool = False

    def read(self) -> dict[str, Any]:
        """Return the JSON object that it holds. Raises ValueError, which says why it holds none."""
        if len(self.raw) > MAX_BODY:
            raise ValueError(f"it is more than {MAX_BODY} bytes long")
        if self.content_type != JSON:
            raise ValueError(f"its content type is {shown(self.content_type)}, not {JSON}")
        try:
            body = json.loads(self.raw)
        except (ValueError, RecursionError) as broken:
            raise ValueError(f"it is no JSON: {shown(str(broken))}") from None
        if not isinstance(body, dict):
            raise ValueError("it is no JSON object")
        return body


class Consumer(Link):
    """Receives from durable queues, and never has more unsettled messages than are asked for: the rest stays there.

    >>> with Consumer("amqp://guest:guest@localhost//", ["reports"]) as consumer:
    ...     for message in consumer.receive(limit=5, seconds=30):
    ...         print(message.read())
    ...         consumer.settle([message])

    Each message that is settled makes room for another, which the next `receive` returns; `pause` keeps the room empty.
    Unsettled messages are delivered again, perhaps to another consumer, when this one parts from the broker: after 30
    minutes at the latest (RabbitMQ's limit), or 20 seconds in which nothing was called. `beat` is enough.
    """

    def __init__(self, uri: str, queues: Collection[str]) -> None:
        super().__init__(uri)
        self.queues = list(dict.fromkeys(queues))
        self._prepare()

    def _prepare(self) -> None:
        self._open: set[int] = set()  # delivered, and not settled
        self._received: list[Message] = []  # of these, the ones that `receive` has not returned yet
        self._last = 0  # the tag of the last delivery; the broker counts them up
        self._served: dict[str, str] = {}  # queues, and the tags of the consumers that the broker has for them
        self._window = 0  # how many messages these may leave unsettled altogether
        self._began_after = 0  # the last delivery before these
        self._look_at = 0.0

    @property
    def coming(self) -> int:
        """Count the messages that the broker may send before something is settled."""
        return self._window - sum(tag > self._began_after for tag in self._open)

    def receive(self, limit: int, seconds: float) -> list[Message]:
        """Wait up to `seconds` for messages that fit in with the unsettled ones, `limit` of them all together."""
        messages: list[Message] = self._guarded(lambda: self._receive(limit, seconds))
        return messages

    def settle(self, messages: Iterable[Message]) -> None:
        """Acknowledge messages: the broker forgets them. Raises BrokerUnavailable where it has taken them back."""
        self._guarded(lambda: self._settle(messages))

    def requeue(self, messages: Iterable[Message]) -> None:
        """Give messages back for whoever is there, this consumer among them."""
        self._guarded(lambda: self._requeue(messages))

    def pause(self) -> None:
        """Let nothing come, whatever is settled, until the next `receive`."""
        if self._connection is not None:
            self._guarded(lambda: self._serve(0))

    def set_aside(self, message: Message, reason: str) -> None:
        """Move a message to the queue `cronlite.set_aside`, with the reason in a header.

        Of its body, the first ASIDE_BODY bytes are kept; the queue keeps the newest of such messages, for a while.
        """
        headers = {REASON: reason[:500], "cronlite-queue": message.queue}
        # Not on this connection: one that publishes is blocked as a whole by a broker short of memory.
        with Publisher(self._uri) as aside:
            aside.send_raw([Raw(SET_ASIDE, message.raw[:ASIDE_BODY], message.content_type, headers)])
        self.settle([message])

    def _receive(self, limit: int, seconds: float) -> list[Message]:
        until = time.monotonic() + seconds
        self._serve(limit)
        while not self._received and (left := until - time.monotonic()) > 0:
            self._drain(min(left, LOOK_SECONDS, HEARTBEAT_SECONDS / 4))
            self._connection.heartbeat_tick()
            self._serve(limit)
        while self._received and self.coming > 0 and self._drain(GATHER_SECONDS):
            pass
        received, self._received = self._received, []
        return received

    def _serve(self, limit: int) -> None:
        """See to it that so many messages may come that there are `limit` unsettled ones, from queues that have some.

        The consumers stand while each settled message makes the room for the next one. They begin anew where there is
        other room than that, and where other queues have something: the broker limits each consumer, not all of them
        together, so that the room is divided among them.
        """
        fits = self.coming == limit - len(self._open)
        if fits and (time.monotonic() < self._look_at or not self.coming):
            return
        chosen = self._chosen(limit)
        self._look_at = time.monotonic() + LOOK_SECONDS
        if not fits or set(chosen) != set(self._served):
            self._end()
            self._begin(chosen, limit - len(self._open))

    def _chosen(self, limit: int) -> list[str]:
        """Choose the queues that have something now, or all; where there is no room for all, others each time."""
        waiting = {queue: self._declare(queue) for queue in self.queues}  # makes those again that were deleted
        self.queues.append(self.queues.pop(0))
        return ([queue for queue in self.queues if waiting[queue]] or self.queues)[: max(limit, 0)]

    def _end(self) -> None:
        for tag in list(self._served.values()):
            self._channel.basic_cancel(tag)
        self._served, self._window, self._began_after = {}, 0, self._last

    def _begin(self, chosen: list[str], room: int) -> None:
        if room < 0:
            self._received, too_many = self._received[:room], self._received[room:]
            self._requeue(too_many)
        if room <= 0:
            return
        self._window = room
        each, more = divmod(room, len(chosen))
        for place, queue in enumerate(chosen[:room]):
            self._channel.basic_qos(0, each + (place < more), False)
            take = partial(self._take, queue)
            self._served[queue] = self._channel.basic_consume(
                queue_of(queue), callback=take, on_cancel=self._was_deleted
            )

    def _was_deleted(self, tag: str) -> None:
        self._served = {queue: mine for queue, mine in self._served.items() if mine != tag}
        self._look_at = 0.0

    def _settle(self, messages: Iterable[Message]) -> None:
        tags = self._closed(messages)
        if tags and all(tag > max(tags) for tag in self._open):
            # One word for all. Of dozens of words, RabbitMQ 3.10 drops some where the connection is closed at once.
            self._channel.basic_ack(max(tags), multiple=True)
        else:
            for tag in sorted(tags):
                self._channel.basic_ack(tag)

    def _requeue(self, messages: Iterable[Message]) -> None:
        for tag in sorted(self._closed(messages)):
            self._channel.basic_reject(tag, requeue=True)

    def _closed(self, messages: Iterable[Message]) -> set[int]:
        """Count messages as settled, and return their tags."""
        settled = list(messages)
        if any(message.channel is not self._channel for message in settled):  # on a new one, a tag may be another's
            raise ConnectionError("the connection that a message came by is gone; it will be delivered again")
        tags = {message.tag for message in settled} & self._open
        self._open -= tags
        return tags

    def _take(self, queue: str, message: Any) -> None:
        delivery, tag = message.delivery_info, message.delivery_tag
        self._last = tag
        self._open.add(tag)
        content_type = message.properties.get("content_type")
        raw = bytes(message.body or b"")  # an empty one comes as a str
        self._received.append(Message(queue, raw, content_type, tag, self._channel, bool(delivery["redelivered"])))
