"""How do documents look in MongoDB, and how on this side of the seam?

An id of 24 hexadecimal digits is an ObjectId there; whatever else may be an `_id` comes through so that the readers
refuse it. Values of other kinds pass both ways untouched.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import datetime, timezone
from functools import lru_cache
from typing import Any

from bson import ObjectId

from cronlite.documents import ids
from cronlite.documents.runs import DEFAULT_QUEUE, Changes, Run
from cronlite.documents.schedules import Document

# The last code point there is, and no character: nothing that begins with a prefix sorts behind it.
_LAST_CHARACTER = "\U0010ffff"


class ForeignId(str):
    """An `_id` that is stored as a string, but looks like an ObjectId; `schedules.read` refuses all but plain str."""

    __slots__ = ()


@lru_cache(maxsize=4096)  # the ids of a batch are written several times, as schedule, as lane and to ask for it
def id_to_store(id: str) -> ObjectId | str:
    """Return an id as MongoDB holds it."""
    return ObjectId(bytes.fromhex(id)) if ids.is_object_id(id) else id


def id_from_store(value: Any) -> Any:
    """Return a stored `_id` as it crosses the seam."""
    if isinstance(value, ObjectId):
        return str(value)
    if isinstance(value, str) and ids.is_object_id(value):
        return ForeignId(value)
    return value


def schedule_to_store(document: Document) -> Document:
    return {**document, "_id": id_to_store(document["_id"])}


def schedule_from_store(document: Document) -> Document:
    _set_utc(document)
    document["_id"] = id_from_store(document["_id"])
    return document


def run_to_store(run: Run) -> Document:
    """Return a run's document; its own id is always a string, its schedule and lane are a schedule's ids."""
    return _with_schedule_ids(run.document(), id_to_store)


def run_from_store(document: Document) -> Document:
    _set_utc(document)
    return _with_schedule_ids(document, lambda value: str(value) if isinstance(value, ObjectId) else value)


def update(changes: Changes) -> Document:
    """Return the update that sets fields, and removes those that are None."""
    stored = _with_schedule_ids(dict(changes), id_to_store)
    present = {name: value for name, value in stored.items() if value is not None}
    removed = {name: "" for name, value in stored.items() if value is None}
    # An empty operator is an error to MongoDB before 5.0.
    return {operator: fields for operator, fields in (("$set", present), ("$unset", removed)) if fields}


def id_prefix(prefix: str) -> Document:
    """Return the filter for the ids, ObjectIds among them, that begin with these characters."""
    strings = string_prefix(prefix)
    low, high = prefix.ljust(24, "0"), prefix.ljust(24, "f")
    if not ids.is_object_id(low):
        return {"_id": strings}
    return {"$or": [{"_id": {"$gte": ObjectId(low), "$lte": ObjectId(high)}}, {"_id": strings}]}


def string_prefix(prefix: str) -> Document:
    """Return the condition for strings that begin with these characters; no pattern is made of a user's text."""
    return {"$gte": prefix, "$lt": prefix + _LAST_CHARACTER}


def of_queues(queues: Collection[str] | None) -> Document:
    """Return the filter for the runs of some queues, or of all."""
    if queues is None:
        return {}
    # A run from elsewhere may leave its queue out.
    return {"queue": {"$in": [*queues, *([None] if DEFAULT_QUEUE in queues else [])]}}


def _set_utc(held: Any) -> None:
    """Say of every instant in a document or an array, however deep, that it is UTC."""
    for place, value in held.items() if type(held) is dict else enumerate(held):
        kind = type(value)
        if kind is datetime:
            held[place] = datetime.combine(value, value.time(), timezone.utc)  # replace() takes five times as long
        elif kind is dict or kind is list:
            _set_utc(value)


def _with_schedule_ids(document: Document, turn: Callable[[Any], Any]) -> Document:
    for name in ("schedule", "lane"):
        if (id_ := document.get(name)) is not None:
            document[name] = turn(id_)
    return document
