"""What is kept of each write to a schedule: who made it, when, and the fields before and after?"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from typing import Any, Literal, get_args

from cronlite.documents import checks
from cronlite.documents.schedules import Document
from cronlite.errors import CONTROL, Fault, InvalidInput, shown

Way = Literal["cli", "api", "web", "file", "import"]
Kind = Literal["added", "changed", "removed", "restored"]

KEPT = timedelta(days=366)
MOST = 1_000
"""How many changes of one schedule are kept."""
LARGEST_VALUE = 1_000_000
"""How many characters of JSON a value may take to be kept."""
LONGEST_NAME = 200
# What no change tells of: the first two stay the same, and every change sets the third.
DATES = ("_id", "created_at", "updated_at")


@dataclass(frozen=True, slots=True)
class Actor:
    """Who asked for a change, and by what way. Raises InvalidInput."""

    name: str
    way: Way = "api"

    def __post_init__(self) -> None:
        faults = []
        if complaint := _NAME(self.name):
            faults.append(Fault("actor", self.name, *complaint))
        if complaint := _WAY(self.way):
            faults.append(Fault("actor's way", self.way, *complaint))
        if faults:
            raise InvalidInput(*faults)

    @classmethod
    def called(cls, name: str, way: Way) -> Actor:
        """Make one of a name that nobody checked: what no line of text has is left out of it."""
        plain = " ".join(CONTROL.sub(" ", name).split())
        return cls(plain[:LONGEST_NAME].strip() or "unknown", way)


_NAME, _WAY = checks.line(LONGEST_NAME), checks.one_of(*get_args(Way))


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One entry of a schedule's history.

    `before` and `after` hold the fields that differ; of a schedule that was added `after` is all of it, of one that was
    removed `before` is. An `actor` of None is somebody else: a program that is not cronlite, or one from before it kept
    a history. An entry that is not `certain` may not have happened: its process ended before it could tell.
    """

    id: str
    schedule: str
    kind: Kind
    at: datetime
    actor: Actor | None = None
    name: str | None = None
    """What the schedule was called."""
    user: str = ""
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None
    found_at: datetime | None = None
    """The `updated_at` of the schedule before."""
    left_at: datetime | None = None
    """The `updated_at` of the schedule after."""
    found: Mapping[str, str] = field(default_factory=dict)
    """A digest of each field before, which shows what somebody else has changed."""
    made: bool = False
    """Whether it is known to have happened without looking at the chain."""
    certain: bool = True

    @property
    def expires_at(self) -> datetime:
        """When it may be deleted."""
        return self.at + KEPT

    @property
    def fields(self) -> list[str]:
        """The names of the fields that differ."""
        return list(dict.fromkeys((*(self.before or ()), *(self.after or ()))))

    @property
    def left(self) -> dict[str, str]:
        """A digest of each field after."""
        if self.after is None:
            return {}
        kept = {name: digest for name, digest in self.found.items() if name not in self.after}
        return kept | digests(self.after)

    def document(self) -> Document:
        """Return the document to store; what holds fields is JSON, as others' keys and values may be anything."""
        stored = {name: getattr(self, name) for name in _STORED} | {"expires_at": self.expires_at}
        stored |= {name: packed(getattr(self, name)) for name in _PACKED}
        if self.actor is not None:
            stored |= {"actor": self.actor.name, "way": self.actor.way}
        return {"_id": self.id} | {name: value for name, value in stored.items() if value is not None}


_PACKED = ("before", "after", "found")
_STORED = tuple(f.name for f in fields(Change) if f.name not in ("id", "actor", "certain", *_PACKED))


def read(document: Mapping[str, Any]) -> Change | None:
    """Read a stored change; None where somebody edited it into nonsense."""
    try:
        stored = {name: document[name] for name in _STORED if document.get(name) is not None}
        actor = Actor(document["actor"], document["way"]) if "actor" in document else None
        change = Change(
            id=document["_id"],
            actor=actor,
            **{name: unpacked(document.get(name)) for name in _PACKED},
            **stored,
        )
    except (KeyError, TypeError, ValueError, RecursionError):
        return None
    texts = (change.id, change.schedule, change.kind)
    parts = (change.before, change.after)
    instants = [change.at, *(instant for instant in (change.found_at, change.left_at) if instant is not None)]
    whole = all(isinstance(each, str) for each in texts) and all(isinstance(each, datetime) for each in instants)
    whole = whole and isinstance(change.found, dict) and all(isinstance(each, (dict, type(None))) for each in parts)
    return change if whole and change.kind in get_args(Kind) else None


def change_id(schedule: str, at: datetime) -> str:
    """Name the change that leaves a schedule at an instant: no two that leave it at the same one can be stored."""
    return f"{schedule}@{at.astimezone(timezone.utc):%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1_000:03}Z"


def of_write(actor: Actor, at: datetime, before: Document | None, after: Document | None) -> Change:
    """Describe a write of a schedule by its documents before and after it; None where there is none."""
    document: Document = after or before or {}
    kind: Kind = "changed" if before and after else "added" if after else "removed"
    old, new = differing(before, after)
    name = document.get("name")
    return Change(
        id=change_id(str(document["_id"]), at),
        schedule=str(document["_id"]),
        kind=kind,
        at=at,
        actor=actor,
        name=name if isinstance(name, str) else None,
        user=document["user"] if isinstance(document.get("user"), str) else "",
        before=old,
        after=new,
        found_at=_updated(before),
        left_at=_updated(after),
        found=digests(before or {}),
    )


def differing(before: Document | None, after: Document | None) -> tuple[Document | None, Document | None]:
    """Return the fields of two documents that differ, a missing one as None; of a single document, all its fields."""
    if before is None or after is None:
        return _kept(before), _kept(after)
    names = [name for name in dict.fromkeys((*before, *after)) if name not in DATES and not name.startswith("_")]
    differ = [name for name in names if not _same(before.get(name), after.get(name))]
    return _kept({name: before.get(name) for name in differ}), _kept({name: after.get(name) for name in differ})


def _same(value: Any, other: Any) -> bool:
    return value is other or packed(value) == packed(other)


def _kept(document: Document | None) -> Document | None:
    """Leave out what is too large to be kept."""
    if document is None:
        return None
    return {name: _or_digest(value) for name, value in document.items()}


def _or_digest(value: Any) -> Any:
    if not isinstance(value, (str, dict, list)):
        return value
    text = packed(value) or ""
    return {_LEFT_OUT: _digest(text)} if len(text) > LARGEST_VALUE else value


_LEFT_OUT = "$left_out"


def is_left_out(value: object) -> bool:
    """Tell whether a value was too large to be kept."""
    return isinstance(value, dict) and value.keys() == {_LEFT_OUT}


def _updated(document: Document | None) -> datetime | None:
    updated = document.get("updated_at") if document else None
    return updated if isinstance(updated, datetime) else None


def digests(document: Mapping[str, Any]) -> dict[str, str]:
    """Return a digest of each field that has a value: a short text, which is another one for another value."""
    return {
        name: str(value[_LEFT_OUT]) if is_left_out(value) else _digest(text)
        for name, value in document.items()
        if name not in DATES and not name.startswith("_") and (text := packed(value)) is not None
    }


def _digest(text: str) -> str:
    return _digest_of_short(text) if len(text) < _SHORT else _hashed(text)


def _hashed(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


_digest_of_short = lru_cache(maxsize=4_096)(_hashed)


# JSON with instants


def packed(value: Any) -> str | None:
    """Return a value as JSON; instants are kept as such, and what JSON cannot say as text. None is no text."""
    if value is None:
        return None
    if type(value) in (str, int, bool) and (type(value) is int or len(str(value)) < _SHORT):
        return _short(value)  # of many schedules, most fields are alike
    return _encoded(_plain(value))


_ENCODER, _SHORT = json.JSONEncoder(sort_keys=True, ensure_ascii=False), 100


def _encoded(value: Any) -> str:
    text = _ENCODER.encode(value)
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


_short = lru_cache(maxsize=4_096, typed=True)(_encoded)


def unpacked(text: str | None) -> Any:
    """Return the value of a JSON text that `packed` has made."""
    return None if text is None else json.loads(text, object_hook=_instants)


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return int(value) if value.is_integer() else value  # SQLite makes no difference between 5 and 5.0
    if isinstance(value, datetime):
        return {"$at": value.astimezone(timezone.utc).isoformat(timespec="milliseconds")}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return {"$foreign": shown(value, 400)}


def _instants(parsed: dict[str, Any]) -> Any:
    if parsed.keys() == {"$at"} and isinstance(parsed["$at"], str):
        return datetime.fromisoformat(parsed["$at"])
    return parsed
