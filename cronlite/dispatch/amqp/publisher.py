"""How are messages sent until the broker has confirmed that it keeps them?"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import amqp

from cronlite.dispatch.amqp import link

_PERSISTENT = 2


class Raw(NamedTuple):
    """A message to send as it is."""

    queue: str
    body: bytes
    content_type: str | None = link.JSON
    headers: Mapping[str, str] = MappingProxyType({})


class Publisher(link.Link):
    """Sends JSON messages to durable queues, and returns when the broker has confirmed that it keeps them.

    >>> with Publisher("amqp://guest:guest@localhost//") as publisher:
    ...     publisher.send([("reports", {"dataset": "sales"})])

    What `send` raised for may have arrived all the same: send it again, and let the receiver see to doubles.
    """

    def send(self, messages: Iterable[tuple[str, Mapping[str, Any]]]) -> None:
        """Send pairs of queue and object, and wait for the broker's confirmation of all of them."""
        self.send_raw([Raw(queue, json.dumps(body).encode()) for queue, body in messages])

    def send_raw(self, messages: Sequence[Raw]) -> None:
        """Send bodies as they are."""
        self._guarded(lambda: self._send(messages))

    def _prepare(self) -> None:
        self._sent, self._unconfirmed = 0, set[int]()
        self._refused = ""
        self._channel.confirm_select()
        self._channel.events["basic_ack"].add(self._confirmed)
        self._channel.events["basic_nack"].add(self._nacked)
        self._channel.events["basic_return"].add(self._returned)

    def _send(self, messages: Sequence[Raw]) -> None:
        for queue in {message.queue for message in messages}:  # each time: somebody may have deleted it
            self._declare(queue)
        for raw in messages:
            message = amqp.Message(
                raw.body,
                content_type=raw.content_type,
                delivery_mode=_PERSISTENT,
                application_headers=dict(raw.headers),
            )
            self._sent += 1
            self._unconfirmed.add(self._sent)
            self._channel.basic_publish(
                message, routing_key=link.queue_of(raw.queue), mandatory=True, timeout=link.STEP_SECONDS
            )
        self._wait_confirmed()

    def _wait_confirmed(self) -> None:
        give_up_at = time.monotonic() + link.STEP_SECONDS
        while self._unconfirmed and not self._refused:
            before = len(self._unconfirmed)
            self._drain(link.HEARTBEAT_SECONDS / 4)
            if len(self._unconfirmed) < before:
                give_up_at = time.monotonic() + link.STEP_SECONDS
            elif time.monotonic() > give_up_at:
                raise TimeoutError(f"{before} messages were not confirmed within {link.STEP_SECONDS:g} s")
        if self._refused:
            raise ConnectionError(self._refused)

    def _confirmed(self, tag: int, multiple: bool) -> None:
        self._unconfirmed -= {each for each in self._unconfirmed if each <= tag} if multiple else {tag}

    def _nacked(self, *_: object) -> None:
        self._refused = "the broker refused a message"

    def _returned(self, *_: object) -> None:
        # The broker confirms what it could not route, and only says so here.
        self._refused = "a message found no queue"
