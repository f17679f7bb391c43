"""What is an alarm: a state that somebody has to hear of, raised once, told, cleared once?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from typing import Any, Final

from cronlite.errors import visible

FAILED: Final = "failed"
TIMED_OUT: Final = "timed_out"
ABANDONED: Final = "abandoned"
OVERDUE: Final = "overdue"
SLOW: Final = "slow"
GAP: Final = "gap"
NO_TICK: Final = "no_tick"
SET_ASIDE: Final = "set_aside"
STUCK: Final = "stuck"
BROKER: Final = "broker"
STORE: Final = "store"
KINDS: Final = (FAILED, TIMED_OUT, ABANDONED, OVERDUE, SLOW, GAP, NO_TICK, SET_ASIDE, STUCK, BROKER, STORE)
OF_RUNS: Final = (FAILED, TIMED_OUT, ABANDONED)

KEPT = timedelta(days=30)
"""How long an alarm is kept after it was cleared."""
LONGEST_TITLE, LONGEST_DETAIL = 300, 4_000
AGAIN_SECONDS = 3_600.0
LONGEST_AGAIN_SECONDS = 86_400.0

Changes = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What one channel has told of an alarm: when last, how often, and whether also that it is over."""

    told_at: datetime
    times: int = 1
    cleared: bool = False

    def document(self) -> dict[str, Any]:
        """Return what is stored."""
        return {"told_at": self.told_at, "times": self.times, "cleared": self.cleared}


@dataclass(slots=True, kw_only=True)
class Alarm:
    """An alarm. Its id is its kind and its subject, so that whoever notices the same raises no second one.

    `since_at` is when the state began, `raised_at` when it was noticed, `last_at` when it was last seen to be worse
    (the last of several failures), `times` how often. An `event` has no state that could end: it is told again only
    when it happens again, and cleared without a word. `told` has an entry for each channel, by its name.
    """

    id: str
    kind: str
    title: str
    raised_at: datetime
    since_at: datetime
    last_at: datetime
    detail: str = ""
    """What a person has to know besides: an error, the last lines of output."""
    command: str = ""
    """What shows more."""
    schedule: str | None = None
    name: str | None = None
    run: str | None = None
    user: str = ""
    handler: str | None = None
    tags: Sequence[str] = field(default_factory=list)
    times: int = 1
    event: bool = False
    cleared_at: datetime | None = None
    acked_at: datetime | None = None
    acked_by: str | None = None
    told: Mapping[str, Told] = field(default_factory=dict)

    @property
    def is_open(self) -> bool:
        """Tell whether its reason is still there."""
        return self.cleared_at is None

    @property
    def subject(self) -> str:
        """What it is about: the id of a schedule or a daemon, say."""
        return self.id.partition(":")[2]

    def document(self) -> dict[str, Any]:
        """Return the document to store: `_id` and every field that has a value."""
        stored = {name: getattr(self, name) for name in _STORED if name not in ("id", "told")}
        stored["tags"] = list(self.tags)
        stored["told"] = {channel: told.document() for channel, told in self.told.items()}
        return {"_id": self.id} | {name: value for name, value in stored.items() if value is not None}


def new(kind: str, subject: str, title: str, *, now: datetime, **more: Any) -> Alarm:
    """Make an alarm, its texts cut to what is kept, with the control characters in them written out."""
    more.setdefault("since_at", now)
    more.setdefault("last_at", now)
    more["detail"] = visible(more.get("detail", ""))[:LONGEST_DETAIL]
    line = visible(" ".join(title.split()))[:LONGEST_TITLE]
    return Alarm(id=alarm_id(kind, subject), kind=kind, title=line, raised_at=now, **more)


def alarm_id(kind: str, subject: str) -> str:
    """Name the one alarm of a kind about a subject."""
    return f"{kind}:{subject}"


def again_seconds(first: float, times: int) -> float:
    """Say how long after it was told so many times an alarm is told again: twice as long each time, up to a day."""
    return max(first, min(first * 2.0 ** min(times - 1, 20), LONGEST_AGAIN_SECONDS))


def read(document: Mapping[str, Any]) -> Alarm | None:
    """Read a stored alarm; None where somebody edited it into nonsense."""
    stored = {name: document[name] for name in _STORED if document.get(name) is not None and name != "told"}
    stored["id"] = document.get("_id")
    if not stored.keys() >= _NEEDED or not all(isinstance(value, _TYPES[name]) for name, value in stored.items()):
        return None
    return Alarm(**stored, told=_told(document.get("told")))


def _told(stored: object) -> dict[str, Told]:
    entries = stored.items() if isinstance(stored, Mapping) else ()
    return {
        channel: Told(told_at=entry["told_at"], times=entry.get("times", 1), cleared=entry.get("cleared") is True)
        for channel, entry in entries
        if isinstance(entry, Mapping)
        and isinstance(entry.get("told_at"), datetime)
        and type(entry.get("times", 1)) is int
    }


_STORED = tuple(f.name for f in fields(Alarm))
_NEEDED = {"id", "kind", "title", "raised_at", "since_at", "last_at"}
# Only that: there may be thousands, read every few seconds, and whoever shows one takes its texts for anybody's.
_TYPES: dict[str, type | tuple[type, ...]] = {
    **dict.fromkeys(("id", "kind", "title", "detail", "command", "schedule", "name", "run"), str),
    **dict.fromkeys(("user", "handler", "acked_by"), str),
    "tags": (list, tuple),
    "times": int,
    "event": bool,
    **dict.fromkeys(("raised_at", "since_at", "last_at", "cleared_at", "acked_at"), datetime),
}


WATCH: Final = "watch"
"""The duty to look for what raises and clears alarms."""


@dataclass(slots=True, kw_only=True)
class Duty:
    """What one process does for all that share a store: to watch, or to tell by a channel (whose name is its id).

    It is `daemon`'s until an instant of the store's clock, and then whoever takes it. The rest is how a channel fares.
    """

    id: str
    daemon: str
    until: datetime
    told_at: datetime | None = None
    """When it last told something."""
    error: str | None = None
    failing_since: datetime | None = None
    failures: int = 0
    next_at: datetime | None = None
    """When it is tried again."""
    looked_at: datetime | None = None
    """Up to when the watch has looked at what happened."""


def channel_duty(channel: str) -> str:
    """Name the duty to tell by a channel."""
    return f"channel:{channel}"


DUTY_FIELDS = tuple(f.name for f in fields(Duty))


def read_duty(document: Mapping[str, Any]) -> Duty | None:
    """Read a stored duty; None where somebody edited it into nonsense."""
    stored = {name: document[name] for name in DUTY_FIELDS if document.get(name) is not None}
    stored["id"] = document.get("_id")
    well_typed = all(isinstance(value, _DUTY_KINDS[name]) for name, value in stored.items())
    return Duty(**stored) if well_typed and {"daemon", "until"} <= stored.keys() else None


_DUTY_KINDS: dict[str, type] = {
    **dict.fromkeys(("id", "daemon", "error"), str),
    **dict.fromkeys(("until", "told_at", "failing_since", "next_at", "looked_at"), datetime),
    "failures": int,
}
