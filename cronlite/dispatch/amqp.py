"""How do messages get through an AMQP broker: sent until confirmed, received as seats are free, and set aside?

Imported only where a broker is used: it needs kombu, the extra `amqp`. An application may use `Publisher` and
`Consumer` for messages of its own, on queues of its own.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from types import MappingProxyType, TracebackType
from typing import Any, NamedTuple, TypeVar

import amqp
import kombu
from kombu.transport import pyamqp

from cronlite.errors import BrokerUnavailable, ConfigurationError, shown
from cronlite.values import SET_ASIDE

STEP_SECONDS = 10.0
"""How long any one step over the network may take."""
HEARTBEAT_SECONDS = 10
GATHER_SECONDS = 0.02
MAX_BODY = 1024 * 1024
REASON = "cronlite-reason"
JSON = "application/json"
_QUORUM = {"x-queue-type": "quorum"}
_PERSISTENT = 2

S = TypeVar("S", bound="_Link")


def queue_of(name: str) -> str:
    """Return what the broker calls a queue."""
    return f"cronlite.{name}"


class Raw(NamedTuple):
    """A message to send as it is."""

    queue: str
    body: bytes
    content_type: str | None = JSON
    headers: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Message:
    """A message as it came: `raw` is its body, `tag` how the broker knows it on this channel."""

    queue: str
    raw: bytes
    content_type: str | None
    tag: int
    channel: Any = field(repr=False, compare=False)

    def read(self) -> dict[str, Any]:
        """Return the JSON object that it holds. Raises ValueError, which says why it holds none."""
        if len(self.raw) > MAX_BODY:
            raise ValueError(f"it is {len(self.raw)} bytes long, more than {MAX_BODY}")
        if self.content_type != JSON:
            raise ValueError(f"its content type is {shown(self.content_type)}, not {JSON}")
        try:
            found = json.loads(self.raw)
        except (ValueError, RecursionError) as broken:
            raise ValueError(f"it is no JSON: {shown(str(broken))}") from None
        if not isinstance(found, dict):
            raise ValueError("it is no JSON object")
        return found


class _Limited(pyamqp.Connection):  # type: ignore[misc]
    """A connection on which no answer is waited for beyond `give_up_at`.

    The socket's own limit is not enough: each heartbeat of a broker that answers nothing else begins it anew.
    """

    give_up_at = math.inf

    def blocking_read(self, timeout: float | None = None) -> Any:
        if time.monotonic() > self.give_up_at:
            raise TimeoutError(f"no answer within {STEP_SECONDS:g} s")
        return super().blocking_read(timeout)


class _Link:
    """One connection with one channel, made when it is needed and given up at the first trouble.

    Nothing in here waits longer than STEP_SECONDS for the network. Everything that goes wrong there raises
    BrokerUnavailable, and the next call begins with a new connection. For one thread.
    """

    def __init__(self, uri: str) -> None:
        self.address = address(uri)
        self._uri = uri
        self._connection: Any = None
        self._channel: Any = None
        self._blocked = ""

    def __enter__(self: S) -> S:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Part from the broker; what was received and not settled goes back to its queue."""
        connection, self._connection, self._channel = self._connection, None, None
        if connection is not None:
            connection.give_up_at = time.monotonic() + STEP_SECONDS
            with suppress(Exception):
                connection.close()

    def beat(self) -> None:
        """Read and send heartbeats. To be called every few seconds while nothing else is."""
        if self._connection is not None:
            self._guarded(self._beat)

    def waiting(self, queue: str) -> int:
        """Count the messages that wait in a queue, which is made if it is not there."""
        return int(self._guarded(lambda: self._declare(queue)))

    def _beat(self) -> None:
        self._drain(0.001)
        self._connection.heartbeat_tick()

    def _guarded(self, step: Callable[[], Any]) -> Any:
        try:
            if self._connection is None:
                self._connect()
            self._connection.give_up_at = time.monotonic() + STEP_SECONDS
            return step()
        except Exception as broken:  # a socket, TLS, or one of the many errors of the protocol
            self._give_up()
            why = f"the broker blocks publishers: {self._blocked}" if self._blocked else _told(broken)
            self._blocked = ""
            raise BrokerUnavailable(f"{self.address}: {why}") from broken

    def _connect(self) -> None:
        options = {"on_blocked": self._note_blocked, "on_unblocked": self._note_unblocked}
        broker = kombu.Connection(
            self._uri, connect_timeout=STEP_SECONDS, heartbeat=HEARTBEAT_SECONDS, transport_options=options
        )
        broker.transport.Connection = _Limited
        self._connection = broker.transport.establish_connection()
        self._connection.give_up_at = time.monotonic() + STEP_SECONDS
        self._connection.transport.sock.settimeout(STEP_SECONDS)  # for every step that names no time of its own
        self._channel = self._connection.channel()
        self._channel.auto_decode = False  # of what others sent
        self._prepare()

    def _prepare(self) -> None:
        """Set a new channel up."""

    def _give_up(self) -> None:
        connection, self._connection, self._channel = self._connection, None, None
        if connection is not None:
            with suppress(Exception):
                connection.collect()  # closes the socket without a word: the other side may not be listening

    def _declare(self, queue: str) -> int:
        declared = self._channel.queue_declare(queue_of(queue), durable=True, auto_delete=False, arguments=_QUORUM)
        return int(declared.message_count)

    def _drain(self, seconds: float) -> bool:
        """Take in what comes within a time; tell whether anything came."""
        self._connection.give_up_at = time.monotonic() + seconds + STEP_SECONDS
        try:
            self._connection.drain_events(timeout=seconds)
        except (TimeoutError, BlockingIOError):
            return False
        return True

    def _note_blocked(self, reason: str) -> None:
        self._blocked = reason

    def _note_unblocked(self) -> None:
        self._blocked = ""


class Publisher(_Link):
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
        for given in messages:
            message = amqp.Message(
                given.body,
                content_type=given.content_type,
                delivery_mode=_PERSISTENT,
                application_headers=dict(given.headers),
            )
            self._sent += 1
            self._unconfirmed.add(self._sent)
            self._channel.basic_publish(
                message, routing_key=queue_of(given.queue), mandatory=True, timeout=STEP_SECONDS
            )
        self._wait_confirmed()

    def _wait_confirmed(self) -> None:
        give_up_at = time.monotonic() + STEP_SECONDS
        while self._unconfirmed and not self._refused:
            before = len(self._unconfirmed)
            self._drain(HEARTBEAT_SECONDS / 4)
            if len(self._unconfirmed) < before:
                give_up_at = time.monotonic() + STEP_SECONDS
            elif time.monotonic() > give_up_at:
                raise TimeoutError(f"{before} messages were not confirmed within {STEP_SECONDS:g} s")
        if self._refused:
            raise ConnectionError(self._refused)

    def _confirmed(self, tag: int, multiple: bool) -> None:
        self._unconfirmed -= {one for one in self._unconfirmed if one <= tag} if multiple else {tag}

    def _nacked(self, *_: object) -> None:
        self._refused = "the broker refused a message"

    def _returned(self, *_: object) -> None:
        # The broker confirms what it could not route, and only says so here.
        self._refused = "a message found no queue"


class Consumer(_Link):
    """Receives from durable queues no more messages than are asked for; whatever else there is stays at the broker.

    >>> with Consumer("amqp://guest:guest@localhost//", ["reports"]) as consumer:
    ...     for message in consumer.receive(limit=5, seconds=30):
    ...         print(message.read())
    ...         consumer.settle([message])

    Unsettled messages are delivered again, perhaps to another consumer, when this one parts from the broker: after 30
    minutes at the latest (RabbitMQ's limit), or 20 seconds in which nothing was called. `beat` is enough.
    """

    def __init__(self, uri: str, queues: Collection[str]) -> None:
        super().__init__(uri)
        self.queues = list(dict.fromkeys(queues))
        self._received: list[Message] = []

    def _prepare(self) -> None:
        self._open: set[int] = set()  # delivered, and not settled

    def receive(self, limit: int, seconds: float) -> list[Message]:
        """Wait up to `seconds` for the first message; return up to `limit` of those that are there."""
        found: list[Message] = self._guarded(lambda: self._receive(limit, seconds)) if limit > 0 else []
        return found

    def settle(self, messages: Iterable[Message]) -> None:
        """Acknowledge messages: the broker forgets them. Raises BrokerUnavailable where it has taken them back."""
        self._guarded(lambda: self._settle(messages))

    def set_aside(self, message: Message, reason: str) -> None:
        """Move a message to the queue `cronlite.set_aside`, with the reason in a header."""
        headers = {REASON: reason[:500], "cronlite-queue": message.queue}
        # Not on this connection: one that publishes is blocked as a whole by a broker short of memory.
        with Publisher(self._uri) as aside:
            aside.send_raw([Raw(SET_ASIDE, message.raw, message.content_type, headers)])
        self.settle([message])

    def _receive(self, limit: int, seconds: float) -> list[Message]:
        waiting = {queue: self._declare(queue) for queue in self.queues}  # makes those again that were deleted
        # The broker limits each consumer and not all of them together: so the limit is divided among the queues, or
        # those that have something now, and none of them is always the first.
        self.queues.append(self.queues.pop(0))
        chosen = ([queue for queue in self.queues if waiting[queue]] or self.queues)[:limit]
        share = limit // len(chosen)
        self._received = []
        self._channel.basic_qos(0, share, False)
        tags = [self._channel.basic_consume(queue_of(queue), callback=partial(self._take, queue)) for queue in chosen]
        if self._received or self._drain_patiently(seconds):
            while len(self._received) < share * len(chosen) and self._drain(GATHER_SECONDS):
                pass
        # Before anything is settled: each acknowledgement would bring one more.
        for tag in tags:
            self._channel.basic_cancel(tag)
        return self._received

    def _drain_patiently(self, seconds: float) -> bool:
        """Wait for the first message, and keep up the heartbeats."""
        until = time.monotonic() + seconds
        while not self._received and (left := until - time.monotonic()) > 0:
            self._drain(min(left, HEARTBEAT_SECONDS / 4))
            self._connection.heartbeat_tick()
        return bool(self._received)

    def _settle(self, messages: Iterable[Message]) -> None:
        given = list(messages)
        if any(message.channel is not self._channel for message in given):  # on a new one, a tag may be another's
            raise ConnectionError("the connection that a message came by is gone; it will be delivered again")
        tags = {message.tag for message in given} & self._open
        self._open -= tags
        if tags and all(tag > max(tags) for tag in self._open):
            # One word for all. Of dozens of words, RabbitMQ 3.10 drops some where the connection is closed at once.
            self._channel.basic_ack(max(tags), multiple=True)
        else:
            for tag in sorted(tags):
                self._channel.basic_ack(tag)

    def _take(self, queue: str, message: Any) -> None:
        properties = message.properties
        self._open.add(message.delivery_tag)
        self._received.append(
            Message(queue, bytes(message.body), properties.get("content_type"), message.delivery_tag, self._channel)
        )


def address(uri: str) -> str:
    """Return a broker's URI without its password. Raises ConfigurationError for what is none."""
    if not uri.startswith(("amqp://", "amqps://")):
        # Whatever follows may hold a password, so it is not repeated.
        raise ConfigurationError("the broker's URI does not begin with amqp:// or amqps://; give amqp://user@host//")
    try:
        shown_uri: str = kombu.Connection(uri).as_uri(mask="…")
    except Exception:  # noqa: BLE001 - whatever reading it brings
        raise ConfigurationError("the broker's URI cannot be read; give amqp://user:password@host:5672//") from None
    return shown_uri


def _told(broken: Exception) -> str:
    return shown(str(broken) or type(broken).__name__, 200).strip("'\"")
