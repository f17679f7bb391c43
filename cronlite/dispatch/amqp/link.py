"""How does one talk to an AMQP broker and never wait for it without end?"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from types import TracebackType
from typing import Any, TypeVar
from urllib.parse import unquote

import kombu
from amqp.exceptions import PreconditionFailed
from kombu.transport import pyamqp

from cronlite.dispatch.amqp.frames import cutting
from cronlite.documents.checks import SET_ASIDE
from cronlite.errors import BrokerUnavailable, ConfigurationError, shown
from cronlite.logger import logger

log = logger("cronlite.amqp")

STEP_SECONDS = 10.0
"""How long any one step over the network may take."""
HEARTBEAT_SECONDS = 10
JSON = "application/json"
_QUORUM = {"x-queue-type": "quorum"}
# Anybody who may send can fill it, and nobody empties it: the oldest make room for the newest.
_BOUNDED = {"x-max-length": 10_000, "x-max-length-bytes": 64 * 1024 * 1024, "x-message-ttl": 30 * 86_400_000}
_SHORTEST_SECRET = 4

S = TypeVar("S", bound="Link")


def queue_of(name: str) -> str:
    """Return what the broker calls a queue."""
    return f"cronlite.{name}"


class _Limited(pyamqp.Connection):  # type: ignore[misc]
    """A connection on which no answer is waited for beyond `give_up_at`.

    The socket's own limit is not enough: each heartbeat of a broker that answers nothing else begins it anew.
    """

    give_up_at = math.inf

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options | {"frame_handler": cutting})

    def blocking_read(self, timeout: float | None = None) -> Any:
        if time.monotonic() > self.give_up_at:
            raise TimeoutError(f"no answer within {STEP_SECONDS:g} s")
        return super().blocking_read(timeout)


class Link:
    """One connection with one channel, made when it is needed and given up at the first trouble.

    Nothing in here waits longer than STEP_SECONDS for the network. Everything that goes wrong there raises
    BrokerUnavailable, and the next call begins with a new connection. For one thread.
    """

    def __init__(self, uri: str) -> None:
        self.address = address(uri)
        self._uri, self._secrets = uri, list(_secrets(uri))
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
            why = f"the broker blocks publishers: {self._blocked}" if self._blocked else self._told(broken)
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
        self._begin_channel()

    def _begin_channel(self) -> None:
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
        name, arguments = queue_of(queue), _QUORUM | (_BOUNDED if queue == SET_ASIDE else {})
        try:
            declared = self._channel.queue_declare(name, durable=True, auto_delete=False, arguments=arguments)
        except PreconditionFailed:
            if queue != SET_ASIDE:
                raise
            log.warning("the queue %s was made without bounds: delete it, and it is made again with them", name)
            self._begin_channel()  # the refusal has closed the one before
            declared = self._channel.queue_declare(name, passive=True)
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

    def _told(self, broken: Exception) -> str:
        text = str(broken) or type(broken).__name__
        for secret in self._secrets:
            text = text.replace(secret, "…")
        return shown(text, 200).strip("'\"")


def address(uri: str) -> str:
    """Return a broker's URI without its secrets. Raises ConfigurationError for what is none.

    A user is shown only beside a password: one alone may be a token.
    """
    if not uri.startswith(("amqp://", "amqps://")):
        # Whatever follows may hold a password, so it is not repeated.
        raise ConfigurationError("the broker's URI does not begin with amqp:// or amqps://; give amqp://user@host//")
    try:
        kombu.Connection(uri).as_uri()
    except Exception:  # noqa: BLE001 - whatever reading it brings
        raise ConfigurationError("the broker's URI cannot be read; give amqp://user:password@host:5672//") from None
    return ";".join(map(_masked, uri.split(";")))


def _masked(uri: str) -> str:
    scheme, _, rest = uri.partition("://")
    authority, slash, path = rest.partition("?")[0].partition("/")
    userinfo, at, hosts = authority.rpartition("@")
    user, colon, _ = userinfo.partition(":")
    path = "…" if "@" in path else path  # then what stands before it may be a password with a / in it
    if "@" in rest and not at:
        hosts = "…"
    return f"{scheme}://{f'{user}:' if colon else ''}{'…' if at else ''}{at}{hosts}{slash}{path}"


def _secrets(uri: str) -> Iterator[str]:
    """Yield what may not be repeated of a URI: passwords, and users that have none."""
    for each in uri.split(";"):
        userinfo = each.partition("://")[2].partition("/")[0].rpartition("@")[0]
        user, _, password = userinfo.partition(":")
        secret = password or user
        yield from (text for text in {secret, unquote(secret)} if len(text) >= _SHORTEST_SECRET)
