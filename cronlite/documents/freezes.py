"""In which stretch of time are which schedules not run, and who said so?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta, timezone
from typing import Any, Literal, Protocol, get_args

from cronlite.documents import checks
from cronlite.documents.schedules import Document
from cronlite.errors import Fault, InvalidInput
from cronlite.when.clock import utc_second

Then = Literal["skip", "run"]
KEPT = timedelta(days=30)
"""How long it is told of after its end: as long as the runs that it held back."""
NEVER = datetime(9999, 12, 31, tzinfo=timezone.utc)
"""When what is held starts, where nobody has said when that ends."""
PICKS = ("tag", "user", "handler", "queue")


class Picked(Protocol):
    """What a freeze may pick: a schedule, or what is known of a run's."""

    @property
    def tags(self) -> Sequence[str]: ...
    @property
    def user(self) -> str: ...
    @property
    def handler(self) -> str: ...
    @property
    def queue(self) -> str: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Freeze:
    """A stretch of time, from `from_at` on and before `until_at`, in which the schedules that it picks are not run.

    It picks those that have all of the tag, user, handler and queue that are named, or else all schedules. What comes
    due is recorded as skipped; with `afterwards` "run" the last of that is run when it ends. With `hold`, queued runs
    that it picks wait for the end as well. Raises InvalidInput, with all faults at once.
    """

    id: str
    from_at: datetime
    until_at: datetime | None = None
    tag: str | None = None
    user: str | None = None
    handler: str | None = None
    queue: str | None = None
    reason: str = ""
    afterwards: Then = "skip"
    hold: bool = False
    actor: str = ""
    way: str = "api"
    created_at: datetime | None = None
    thawed_by: str | None = None
    done_at: datetime | None = None
    """When a daemon had made up for it, and let go of what it held, after its end."""
    expires_at: datetime | None = None

    def __post_init__(self) -> None:
        faults = [
            Fault(name, getattr(self, name), *complaint)
            for name, check in _CHECKS.items()
            if (complaint := check(getattr(self, name)))
        ]
        if not faults and self.until_at is not None and self.until_at < self.from_at:
            faults.append(Fault("until", utc_second(self.until_at), "is before its beginning", "give a later instant"))
        if faults:
            raise InvalidInput(*faults)

    def covers(self, instant: datetime) -> bool:
        """Tell whether an instant is in it."""
        return self.from_at <= instant and (self.until_at is None or instant < self.until_at)

    def has_ended(self, now: datetime) -> bool:
        """Tell whether it is over."""
        return self.until_at is not None and self.until_at <= now

    def fits(self, picked: Picked) -> bool:
        """Tell whether it picks a schedule."""
        return (
            (self.tag is None or self.tag in picked.tags)
            and (self.user is None or self.user == picked.user)
            and (self.handler is None or self.handler == picked.handler)
            and (self.queue is None or self.queue == picked.queue)
        )

    def picks(self) -> str:
        """Say what it picks, such as `tag billing, user eve`."""
        named = (f"{name} {getattr(self, name)}" for name in PICKS if getattr(self, name) is not None)
        return ", ".join(named) or "all schedules"

    def told(self) -> str:
        """Say that something is frozen, until when, by whom, and why."""
        until = f" until {utc_second(self.until_at)}" if self.until_at else ""
        by = f" by {self.actor}" if self.actor else ""
        return f"frozen{until}{by}{f': {self.reason}' if self.reason else ''} (freeze {self.id})"

    def document(self) -> Document:
        """Return the document to store: `_id` and every field that has a value."""
        values = {name: value for name in FIELDS if (value := getattr(self, name)) is not None}
        return {"_id": values.pop("id"), **values}


FIELDS = tuple(f.name for f in fields(Freeze))


def read(document: Mapping[str, Any]) -> Freeze | None:
    """Read a stored freeze; None where somebody edited it into nonsense."""
    values = {name: document[name] for name in FIELDS if document.get(name) is not None}
    try:
        return Freeze(**{**values, "id": document["_id"]})
    except (InvalidInput, TypeError):
        return None


class Frozen:
    """Some freezes, asked which of them hold something back."""

    def __init__(self, freezes: Iterable[Freeze]) -> None:
        self.freezes = list(freezes)

    def __bool__(self) -> bool:
        return bool(self.freezes)

    def covering(self, instant: datetime, picked: Picked) -> list[Freeze]:
        """List those that hold a schedule back at an instant."""
        return [freeze for freeze in self.freezes if freeze.covers(instant) and freeze.fits(picked)]

    def holding(self, instant: datetime, picked: Picked) -> Freeze | None:
        """Return the one that holds a schedule back at an instant: of several, one that makes up for it, then the last
        to end.
        """
        return max(self.covering(instant, picked), key=_precedence, default=None)


NOTHING = Frozen(())


def _precedence(freeze: Freeze) -> tuple[bool, bool, float]:
    end = freeze.until_at
    return freeze.afterwards == "run", end is None, end.timestamp() if end else 0.0


def in_force(freezes: Iterable[Freeze], now: datetime) -> Iterator[Freeze]:
    """Yield those that an instant is in."""
    return (freeze for freeze in freezes if freeze.covers(now))


def to_end(freezes: Iterable[Freeze], now: datetime) -> list[Freeze]:
    """List those that have ended, and of which no daemon has made up yet for what they held back."""
    return [freeze for freeze in freezes if freeze.has_ended(now) and freeze.done_at is None]


def ids(freezes: Iterable[Freeze]) -> frozenset[str]:
    """Return the ids of freezes."""
    return frozenset(freeze.id for freeze in freezes)


def _if_any(check: checks.Check) -> checks.Check:
    return lambda value: None if value is None else check(value)


def _needed(value: object) -> checks.Complaint:
    return ("is missing", "say from when on") if value is None else checks.instant(value)


_CHECKS: dict[str, checks.Check] = {
    "id": checks.line(100),
    "from_at": _needed,
    "until_at": checks.instant,
    "tag": _if_any(checks.line(100)),
    "user": _if_any(checks.label(200)),
    "handler": _if_any(checks.handler_name),
    "queue": _if_any(checks.queue_name),
    "reason": checks.label(1_000),
    "afterwards": checks.one_of(*get_args(Then)),
    "hold": checks.boolean,
    "actor": checks.label(200),
    "way": checks.label(20),
    "created_at": checks.instant,
    "thawed_by": _if_any(checks.label(200)),
    "done_at": checks.instant,
    "expires_at": checks.instant,
}
