"""How does a daemon run?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, TypedDict

from cronlite.alarms.channels import Channel, channels_of
from cronlite.documents import checks
from cronlite.documents.daemons import LONGEST_SILENCE_SECONDS, SILENCE_SECONDS
from cronlite.errors import Fault, InvalidInput, suggestion
from cronlite.metrics import address


class DaemonOptions(TypedDict, total=False):
    """The keyword arguments that make Options, for type checkers."""

    seats: int
    drain_seconds: float
    grace_seconds: float
    catch_up_window_seconds: float
    silence_seconds: float
    dispatch: str | None
    queues: tuple[str, ...] | None
    fair_users: bool
    metrics: str | None
    alarms: Sequence[Mapping[str, Any]]
    late_after_seconds: float | None
    heartbeat_url: str | None
    allow_private_pings: bool


SEATS = 20
DRAIN_SECONDS = 30
GRACE_SECONDS = 300
CATCH_UP_WINDOW_SECONDS = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How a daemon runs; times are in seconds. Raises InvalidInput, with all faults at once."""

    seats: int = SEATS
    drain_seconds: float = DRAIN_SECONDS
    grace_seconds: float = GRACE_SECONDS
    catch_up_window_seconds: float = CATCH_UP_WINDOW_SECONDS
    silence_seconds: float = SILENCE_SECONDS
    dispatch: str | None = field(default=None, repr=False)
    """The URI of the broker that tells workers of queued runs."""
    queues: tuple[str, ...] | None = None
    """Whose runs it claims itself; None means all."""
    fair_users: bool = True
    """Whether users take turns when more is queued than there are seats for."""
    metrics: str | None = None
    """Where the figures for Prometheus are served: "PORT" on this machine only, or "HOST:PORT"; None serves none."""
    alarms: Sequence[Channel | Mapping[str, Any]] = field(default=(), repr=False)
    """Where alarms are told: channels, or tables as [[alarms]] of a configuration file has them."""
    late_after_seconds: float | None = None
    """How long after a due minute its run has to begin, of schedules that do not say so; None is for ever."""
    heartbeat_url: str | None = field(default=None, repr=False)
    """What is called after each minute that this daemon has done."""
    allow_private_pings: bool = False
    """Whether a schedule's `ping_url` may lead to this machine or its network."""

    def __post_init__(self) -> None:
        faults = list(_queue_faults(self.queues))
        try:
            object.__setattr__(self, "alarms", channels_of(self.alarms))
        except InvalidInput as refused:
            faults += refused.faults
        if self.heartbeat_url is not None and (complaint := checks.web_address(self.heartbeat_url)):
            faults.append(Fault("heartbeat_url", "…", *complaint))
        if self.dispatch is not None and not _is_broker(self.dispatch):
            remedy = "give amqp://user:password@host:5672/vhost"  # what was given may hold a password
            faults.append(Fault("dispatch", "…", "does not begin with amqp:// or amqps://", remedy))
        faults += [
            Fault(name, getattr(self, name), *complaint)
            for name, check in _CHECKS.items()
            if (complaint := check(getattr(self, name)))
        ]
        if faults:
            raise InvalidInput(*faults)


def _queue_faults(queues: object) -> Iterator[Fault]:
    if isinstance(queues, (tuple, list)):
        yield from (Fault("queues", name, *bad) for name in queues if (bad := checks.queue_name(name)))
    elif queues is not None:
        yield Fault("queues", queues, "is no list of queues", "give a tuple of names, or None for all")


_LONGEST_URI = 10_000


def _is_broker(uri: object) -> bool:
    return isinstance(uri, str) and len(uri) <= _LONGEST_URI and uri.startswith(("amqp://", "amqps://"))


_CHECKS = {
    "seats": checks.number(0, 1_000, whole=True),
    "drain_seconds": checks.number(0, 86_400),
    "grace_seconds": checks.number(60, 86_400),
    "catch_up_window_seconds": checks.number(60, 30 * 86_400),
    "silence_seconds": checks.number(1, LONGEST_SILENCE_SECONDS),
    "fair_users": checks.boolean,
    "metrics": address.check,
    "late_after_seconds": checks.number(1, 366 * 86_400, none=True),
    "allow_private_pings": checks.boolean,
}


def read_options(asked: Mapping[str, Any]) -> Options:
    """Make Options of keyword arguments. Raises InvalidInput for one that does not exist."""
    known = [option.name for option in fields(Options)]
    faults = [
        Fault(name, value, "is no option of the daemon", suggestion(name, known))
        for name, value in asked.items()
        if name not in known
    ]
    if faults:
        raise InvalidInput(*faults)
    return Options(**asked)
