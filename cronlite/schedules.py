"""What is a schedule: its document, its policies, and which documents are refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from itertools import islice
from typing import Any, Literal

from cronlite import clock, cron, ids, values
from cronlite.errors import Fault, InvalidInput, suggestion
from cronlite.timetable import Timetable

Document = dict[str, Any]
Overlap = Literal["skip", "wait", "allow"]
CatchUp = Literal["skip", "latest", "all"]
OnCrash = Literal["retry", "abandon"]
Spelling = int | str

_YEAR_SECONDS = 366 * 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """A handler, its params, and when: DESIGN's document with every default filled in.

    Instants are aware UTC. Raises InvalidInput, with all faults at once, where a value is not allowed.
    """

    id: str = ""
    name: str | None = None
    user: str = ""
    handler: str = "default"
    params: Mapping[str, Any] = field(default_factory=dict)
    minute: Spelling = "*"
    hour: Spelling = "*"
    day: Spelling = "*"
    month: Spelling = "*"
    weekday: Spelling = "*"
    either_day: bool = False
    tz: str = "UTC"
    enabled: bool = True
    active_from: datetime | None = None
    overlap: Overlap = "skip"
    catch_up: CatchUp = "skip"
    retries: int = 0
    retry_delay_seconds: float = 60
    timeout_seconds: float | None = None
    on_crash: OnCrash = "retry"
    tags: tuple[str, ...] = ()
    note: str = ""
    created_at: datetime | None = None
    updated_at: datetime | None = None
    timetable: Timetable = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        faults = [
            Fault(name, value, *complaint)
            for name, check in CHECKS.items()
            if (complaint := check(value := getattr(self, name)))
        ]
        either_day = self.either_day is True
        spelled = tuple(_hashable(getattr(self, name)) for name in cron.FIELDS)
        try:
            timetable = _timetable(spelled, either_day, _hashable(self.tz))
        except InvalidInput as refused:
            faults.extend(refused.faults)
        if faults:
            raise InvalidInput(*faults)
        set_field = object.__setattr__  # the dataclass is frozen; these three are its canonical forms
        set_field(self, "timetable", timetable)
        set_field(self, "tags", tuple(self.tags))
        for name, value in timetable.pattern.expressions().items():
            set_field(self, name, value)

    def matches(self, instant: datetime) -> bool:
        """Tell whether the time fields fit the minute of an aware instant, with the DST rule of Debian's cron."""
        return self.timetable.due(clock.floor_minute(instant))

    def is_due(self, tick: datetime) -> bool:
        """Tell whether a daemon has to run this schedule at a tick: enabled, active, and the time fits."""
        return self.enabled and (self.active_from is None or tick >= self.active_from) and self.timetable.due(tick)

    def next_runs(self, after: datetime | None = None, count: int = 5) -> list[datetime]:
        """List the next ticks strictly after an aware instant (default: now), at most `count`, in UTC."""
        after = after or datetime.now(timezone.utc)
        if self.active_from is not None:
            after = max(after, self.active_from - timedelta(microseconds=1))
        return list(islice(self.timetable.next_ticks(after), count))

    def describe(self) -> str:
        """Say in plain English when it is due."""
        told = cron.describe(self.timetable.pattern)
        return told if self.tz == "UTC" else f"{told} ({self.tz})"

    def changed(self, **changes: Any) -> Schedule:
        """Return a copy with some fields changed, validated as a whole."""
        refuse_unknown(changes)
        return replace(self, **changes)

    def document(self) -> Document:
        """Return the document to store: `_id` and every field that has a value."""
        stored = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in ("id", "timetable")}
        stored["params"], stored["tags"] = dict(self.params), list(self.tags)
        return {"_id": self.id} | {name: value for name, value in stored.items() if value is not None}


FIELDS = tuple(f.name for f in fields(Schedule) if f.init)
TIME_FIELDS = (*cron.FIELDS, "either_day", "tz")


def read(document: Mapping[str, Any]) -> Schedule:
    """Read a stored document, whoever wrote it; null is the same as missing.

    A field that begins with an underscore is its writer's own business; any other unknown one is refused, because it
    may be a restriction misspelt. Raises InvalidInput for a document that has to be set aside.
    """
    given = {name: value for name, value in document.items() if value is not None and not name.startswith("_")}
    id_ = document.get("_id")
    if type(id_) is not str or not id_:
        raise InvalidInput(Fault("_id", id_, "is no id", "give an ObjectId, or a string that does not look like one"))
    refuse_unknown(given)
    if "active_from" not in given and (made_at := ids.made_at(id_)):
        given["active_from"] = made_at
    return Schedule(id=id_, **given)


def refuse_unknown(given: Mapping[str, Any]) -> None:
    """Raise InvalidInput for each name that is no field of a schedule, with the name that was meant."""
    unknown = [name for name in given if name not in _SETTABLE]
    if unknown:
        raise InvalidInput(
            *(Fault(name, given[name], "is no field of a schedule", suggestion(name, _SETTABLE)) for name in unknown)
        )


def new(*, now: datetime, **given: Any) -> Schedule:
    """Make a schedule with a fresh id, created and active from `now`."""
    refuse_unknown(given)
    dated = {"created_at": now, "updated_at": now, "active_from": now}
    return Schedule(**{"id": ids.new_id()} | dated | given)


@lru_cache(maxsize=4096)
def _timetable(spelled: tuple[object, ...], either_day: bool, tz: object) -> Timetable:
    faults: list[Fault] = []
    try:
        pattern = cron.Pattern.of(**dict(zip(cron.FIELDS, spelled, strict=True)), either_day=either_day)
    except InvalidInput as refused:
        faults.extend(refused.faults)
    try:
        zone = clock.zone(tz)
    except InvalidInput as refused:
        faults.extend(refused.faults)
    if faults:
        raise InvalidInput(*faults)
    return Timetable(pattern, zone)


def _name(value: object) -> values.Complaint:
    if value is None:
        return None
    if isinstance(value, str) and ids.is_object_id(value):
        return "looks like an id", "choose a name that is not 24 hexadecimal digits"
    return values.line(200)(value)


CHECKS: dict[str, values.Check] = {
    "id": values.text(200),
    "name": _name,
    "user": values.text(200),
    "handler": values.handler_name,
    "params": values.mapping,
    "either_day": values.boolean,
    "enabled": values.boolean,
    "active_from": values.instant,
    "overlap": values.one_of("skip", "wait", "allow"),
    "catch_up": values.one_of("skip", "latest", "all"),
    "retries": values.number(0, 1_000, whole=True),
    "retry_delay_seconds": values.number(0, _YEAR_SECONDS),
    "timeout_seconds": values.number(0.001, _YEAR_SECONDS, none=True),
    "on_crash": values.one_of("retry", "abandon"),
    "tags": values.tags,
    "note": values.text(10_000),
    "created_at": values.instant,
    "updated_at": values.instant,
}
_SETTABLE = frozenset(FIELDS) - {"id"}


class _Unhashable:
    """A value that is no spelling, made fit to be a cache's key."""

    __slots__ = ("value",)

    def __init__(self, value: object) -> None:
        self.value = value

    def __repr__(self) -> str:
        return repr(self.value)


def _hashable(value: object) -> object:
    if isinstance(value, list):
        value = tuple(value)
    try:
        hash(value)
    except TypeError:
        return _Unhashable(value)
    # to a cache, True and 1 are one key; to us, only one of them is a minute
    return _Unhashable(value) if isinstance(value, bool) else value
