"""What is a schedule? Its document, its policies, and which documents are refused."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import MISSING, InitVar, dataclass, field, fields, replace
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from itertools import islice, takewhile
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from cronlite.documents import checks as values
from cronlite.documents import ids, limits, timing
from cronlite.documents.options import CatchUp, OnCrash, Overlap
from cronlite.documents.timing import Spelling
from cronlite.documents.words import word_of_schedules
from cronlite.errors import Conflict, Fault, InvalidInput, shown
from cronlite.when import clock, interval
from cronlite.when import pattern as cron
from cronlite.when.timetable import Timetable

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from cronlite.documents.options import ScheduleFields

Document = dict[str, Any]

_YEAR_SECONDS = 366 * 86_400


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """A handler, its params, and when: a stored document with every default filled in.

    `cron` takes a whole line in the place of the five fields. Instants are aware UTC. Raises InvalidInput, with all
    faults at once, where a value is not allowed.
    """

    id: str = ""
    name: str | None = None
    user: str = ""
    handler: str = "default"
    queue: str = "default"
    params: Mapping[str, Any] = field(default_factory=dict)
    minute: Spelling = "*"
    hour: Spelling = "*"
    day: Spelling = "*"
    month: Spelling = "*"
    weekday: Spelling = "*"
    every: str | None = None
    """An interval such as "10s" or "90m", in the place of the five fields."""
    either_day: bool = False
    tz: str = "UTC"
    enabled: bool = True
    paused_until: datetime | None = None
    """Where it is not enabled: from when on it may be due again, without anybody's doing."""
    pause_reason: str = ""
    active_from: datetime | None = None
    active_until: datetime | None = None
    overlap: Overlap = "skip"
    catch_up: CatchUp = "skip"
    retries: int = 0
    retry_delay_seconds: float = 60
    timeout_seconds: float | None = None
    deadline_seconds: float | None = None
    on_crash: OnCrash = "retry"
    late_after_seconds: float | None = None
    """How long after a due minute its run has to begin, before somebody hears that it is overdue."""
    ping_url: str | None = None
    """What is called at a run's start, success and failure, as Healthchecks' ping API has it."""
    limit: str | None = None
    """The name of the limit that its runs share with others."""
    priority: int = limits.DEFAULT_PRIORITY
    """0 to 9: the higher come first out of the queue."""
    tags: tuple[str, ...] = ()
    note: str = ""
    owner: str | None = None
    origin: Mapping[str, Any] | None = None
    """The line of a crontab that it was imported from: `source`, `line` (its number then), `key` (of its command)."""
    created_at: datetime | None = None
    updated_at: datetime | None = None
    timetable: Timetable = field(init=False, repr=False, compare=False)
    cron: InitVar[str | None] = None

    if TYPE_CHECKING:

        def __init__(self, **fields: Unpack[ScheduleFields]) -> None: ...

    def __post_init__(self, cron: str | None) -> None:
        if cron is not None:
            self.__dict__.update(timing.from_line(cron, self.__dict__))
        faults = _complaints(_OWN_CHECKS, self.__dict__)
        shared = _shared(self)
        try:
            timetable, respelled = _read_shared(*shared)
        except InvalidInput as refused:
            faults.extend(refused.faults)
        except TypeError:  # an array or an object is no key of a cache
            try:
                timetable, respelled = _read_shared.__wrapped__(*shared)
            except InvalidInput as refused:
                faults.extend(refused.faults)
        if faults:
            raise InvalidInput(*faults)
        # Frozen for everybody else; these are the canonical forms.
        self.__dict__.update(timetable=timetable, tags=tuple(self.tags), **respelled)

    def matches(self, instant: datetime) -> bool:
        """Tell whether the time fields fit the minute of an aware instant, with the DST rule of Debian's cron."""
        return self.timetable.due(clock.floor_minute(instant))

    def is_due(self, tick: datetime) -> bool:
        """Tell whether a daemon has to run this schedule at a tick: not paused, active, and the time fits."""
        return not self.is_paused(tick) and self.is_active(tick) and self.timetable.due(tick)

    def is_paused(self, instant: datetime) -> bool:
        """Tell whether it is paused at an instant: not enabled, and not before the end of that, if it has one."""
        return not self.enabled and (self.paused_until is None or instant < self.paused_until)

    def is_active(self, tick: datetime) -> bool:
        """Tell whether a tick is neither before `active_from` nor after `active_until`."""
        begun = self.active_from is None or tick >= self.active_from
        return begun and (self.active_until is None or tick <= self.active_until)

    def instants(self, tick: datetime) -> Iterator[datetime]:
        """Yield the instants of a tick at which it is due: the tick itself, or, below a minute, all in its minute."""
        return filter(self.is_active, self.timetable.instants(tick))

    def next_runs(self, after: datetime | None = None, count: int = 5) -> list[datetime]:
        """List the next ticks strictly after an aware instant (default: now), at most `count`, in UTC."""
        after = datetime.now(timezone.utc) if after is None else clock.utc(after)
        if complaint := _COUNT(count):
            raise InvalidInput(Fault("count", count, *complaint))
        return list(islice(self.ticks(after), count))

    def ticks(self, after: datetime) -> Iterator[datetime]:
        """Yield the ticks strictly after an aware instant for as long as it is active.

        Of a paused one they begin where the pause ends; of one whose pause has no end, they are as if it were not.
        """
        for first in (self.active_from, None if self.enabled else self.paused_until):
            if first is not None:
                if self.timetable.by_the_second:  # a minute counts as a whole
                    first = clock.ceil_minute(first)
                after = max(after, first - timedelta(microseconds=1))
        return takewhile(self.is_active, self.timetable.next_ticks(after))

    def describe(self) -> str:
        """Say in plain English when it is due."""
        if self.every is not None:
            every = interval.parse(self.every)
            words, on_a_clock = every.described(), every.days > 0
        else:
            words, on_a_clock = cron.describe(self.timetable.pattern), True
        return f"{words} ({self.tz})" if on_a_clock and self.tz != "UTC" else words

    def changed(self, **changes: Unpack[ScheduleFields]) -> Schedule:
        """Return a copy with some fields changed, validated as a whole."""
        wanted: dict[str, Any] = {**changes}
        if (line := wanted.pop("cron", None)) is not None:
            wanted |= timing.from_line(line, wanted)
        refuse_unknown(wanted)
        return replace(self, **timing.completed(self.every, wanted))

    def document(self) -> Document:
        """Return the document to store: `_id` and every field that has a value."""
        stored = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in ("id", "timetable")}
        stored["params"], stored["tags"] = dict(self.params), list(self.tags)
        stored["origin"] = dict(self.origin) if self.origin else None
        if self.priority == limits.DEFAULT_PRIORITY:
            del stored["priority"]
        return {"_id": self.id} | {name: value for name, value in stored.items() if value is not None}


FIELDS = tuple(f.name for f in fields(Schedule) if f.init)
_SETTABLE = frozenset(FIELDS) - {"id"}
_DEFAULTS = {f.name: f.default for f in fields(Schedule) if f.name in _SETTABLE and f.default is not MISSING}
CODE = "code"  # the owner of what `@cronlite.handler(cron=…)` declares


def read(document: Mapping[str, Any]) -> Schedule:
    """Read a stored document, whoever wrote it; null is the same as missing.

    A field that begins with an underscore is its writer's own business; any other unknown one is refused, because it
    may be a restriction misspelt. Raises InvalidInput for a document that has to be set aside.
    """
    id_ = document.get("_id")
    if type(id_) is not str or not id_:
        raise InvalidInput(Fault("_id", id_, "is no id", "give an ObjectId, or a string that does not look like one"))
    if None in document.values():
        document = {name: value for name, value in document.items() if value is not None}
    filled = {**_DEFAULTS, "params": {}, **document}
    del filled["_id"]
    if len(filled) > len(_SETTABLE):
        filled = {name: value for name, value in filled.items() if not name.startswith("_")}
        refuse_unknown(filled)
    filled["id"] = id_
    if filled["active_from"] is None:
        filled["active_from"] = ids.made_at(id_)
    # As Schedule(**filled) does, in a fifth of the time: of a frozen dataclass it sets each field by a call.
    schedule = object.__new__(Schedule)
    schedule.__dict__.update(filled)
    schedule.__post_init__(None)
    return schedule


def read_or_none(document: Mapping[str, Any]) -> Schedule | None:
    """Read a document; return None for one that is set aside."""
    try:
        return read(document)
    except InvalidInput:
        return None


def readable(documents: Iterable[Mapping[str, Any]]) -> tuple[list[Schedule], list[str]]:
    """Read documents; return the schedules, and what people call those that cannot be read."""
    schedules, broken = [], []
    for document in documents:
        try:
            schedules.append(read(document))
        except InvalidInput:
            broken.append(label(document))
    return schedules, broken


def label(document: Mapping[str, Any]) -> str:
    """Say what people call a stored schedule, be it readable or not: its name, or else its id."""
    name = document.get("name")
    return name if isinstance(name, str) else shown(document.get("_id")).strip("'")


def taken(field: str, value: object) -> Conflict:
    """Return the error for a schedule whose `_id` or `name` another one has."""
    return Conflict(f"there already is a schedule with the {field} {shown(value)}; choose another, or change that one")


def refuse_unknown(fields: Mapping[str, Any]) -> None:
    """Raise InvalidInput for each name that is no field of a schedule, with the name that was meant."""
    unknown = [name for name in fields if name not in _SETTABLE]
    if unknown:
        problem = "is no field of a schedule"
        raise InvalidInput(
            *(Fault(name, fields[name], problem, word_of_schedules(name, _SETTABLE)) for name in unknown)
        )


def new(*, now: datetime, **wanted: Any) -> Schedule:
    """Make a schedule with a fresh id, created and active from `now`."""
    refuse_unknown(wanted)
    dated = {"created_at": now, "updated_at": now, "active_from": now}
    return Schedule(**{"id": ids.new_id()} | dated | wanted)


# Many schedules differ only in whose they are, so what they share is checked once. The cache is typed, because True and
# 1 would otherwise be the same key, and True is no minute.
@lru_cache(maxsize=8192, typed=True)
def _read_shared(*shared: Any) -> tuple[Timetable, dict[str, Spelling]]:
    """Check what many schedules share. Return what `timing.read` does."""
    by_name = dict(zip(_SHARED, shared, strict=True))
    faults = _complaints(_SHARED_CHECKS, by_name)
    try:
        timetable, respelled = timing.read(by_name)
    except InvalidInput as refused:
        faults.extend(refused.faults)
    if faults:
        raise InvalidInput(*faults)
    return timetable, respelled


def _complaints(checks: Mapping[str, values.Check], fields: Mapping[str, Any]) -> list[Fault]:
    return [
        Fault(name, value, *complaint)
        for name, check in checks.items()
        if (value := fields[name]) is not _DEFAULTS.get(name, MISSING) and (complaint := check(value))
    ]


_line = values.line(200)


def _owner(value: object) -> values.Complaint:
    return None if value is None else _line(value)


def _name(value: object) -> values.Complaint:
    if value is None:
        return None
    if isinstance(value, str) and ids.is_object_id(value):
        return "looks like an id", "choose a name that is not 24 hexadecimal digits"
    return values.line(200)(value)


def _origin(value: object) -> values.Complaint:
    parts = value if isinstance(value, Mapping) else {}
    checks = {"source": values.line(300), "line": values.number(1, 2**31, whole=True), "key": values.line(100)}
    if value is None or (parts.keys() == checks.keys() and not any(checks[name](parts[name]) for name in checks)):
        return None
    return "is no line of a crontab", "give source, line (its number) and key, or leave it out"


_COUNT = values.number(0, 1_000_000, whole=True)
_SHARED_CHECKS: dict[str, values.Check] = {
    "handler": values.handler_name,
    "queue": values.queue_name,
    "either_day": values.boolean,
    "enabled": values.boolean,
    "overlap": values.one_of("skip", "wait", "allow"),
    "catch_up": values.one_of("skip", "latest", "all"),
    "retries": values.number(0, 1_000, whole=True),
    "retry_delay_seconds": values.number(0, _YEAR_SECONDS),
    "timeout_seconds": values.number(0.001, _YEAR_SECONDS, none=True),
    "deadline_seconds": values.number(0.001, _YEAR_SECONDS, none=True),
    "on_crash": values.one_of("retry", "abandon"),
    "late_after_seconds": values.number(1, _YEAR_SECONDS, none=True),
    "limit": limits.check_name_or_none,
    "priority": limits.check_priority,
}
_OWN_CHECKS: dict[str, values.Check] = {
    "id": values.label(200),
    "name": _name,
    "user": values.label(200),
    "params": values.params,
    "paused_until": values.instant,
    "pause_reason": values.label(1_000),
    "active_from": values.instant,
    "active_until": values.instant,
    "ping_url": values.web_address,
    "tags": values.tags,
    "note": values.text(10_000),
    "origin": _origin,
    "owner": _owner,
    "created_at": values.instant,
    "updated_at": values.instant,
}
CHECKS = _SHARED_CHECKS | _OWN_CHECKS
_SHARED = (*cron.FIELDS, "every", "tz", *_SHARED_CHECKS)
_shared = attrgetter(*_SHARED)
