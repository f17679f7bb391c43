"""Which indexes does the store need, and what is in the way of those that cannot be built?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pymongo
from pymongo.collection import Collection
from pymongo.errors import OperationFailure

from cronlite.documents.runs import QUEUED, RUNNING
from cronlite.documents.schedules import Document
from cronlite.errors import shown
from cronlite.store.mongo import failures
from cronlite.store.mongo.documents import id_from_store
from cronlite.when.pattern import FIELDS

# The time limit of ordinary operations does not fit: a large collection takes minutes.
BUILD_SECONDS = 3_600.0


@dataclass(frozen=True, slots=True)
class Index:
    """An index, and what is lost while it is missing."""

    collection: str
    name: str
    keys: Sequence[tuple[str, int]]
    without: str
    options: Mapping[str, Any] = field(default_factory=dict)


def _up(*names: str) -> list[tuple[str, int]]:
    return [(name, pymongo.ASCENDING) for name in names]


_SLOW = "operations that read by it are slower"

# What lists of schedules are restricted to; the pages list the few of 100,000 while somebody waits.
_LISTED_BY = ("user", "handler", "tags")

# This order did best of those measured: 5 ms for 819 due of 1,000,000 schedules in four zones.
DUE = Index(
    "schedules",
    "cronlite_due_every",
    _up("enabled", "either_day", "every", "tz", "month", "minute", "hour", "day", "weekday"),
    "each tick reads all schedules",
)
EXPRESSIONS = ("tz", "every", *FIELDS)
OF_ENABLED = {
    name: Index("schedules", f"cronlite_enabled_{name}", _up("enabled", name), "a tick may read all schedules")
    for name in EXPRESSIONS
}
PAUSED = Index(
    "schedules",
    "cronlite_paused",
    [*DUE.keys, *_up("paused_until")],
    "each tick reads all schedules that are paused",
    {"partialFilterExpression": {"paused_until": {"$exists": True}}},
)
# The state comes first, though it is the same in all of an index, so that counting needs no document; then the lot,
# so that nobody reads past the runs that wait for a limit. Those that wait for their lane are in it under null.
CLAIM = Index(
    "runs",
    "cronlite_claim_lots",
    _up("state", "lot", "handler", "run_at", "_id"),
    _SLOW,
    {"partialFilterExpression": {"state": QUEUED}},
)
TURNS = Index(
    "runs",
    "cronlite_turns_lots",
    _up("state", "user", "lot", "handler", "run_at", "_id"),
    _SLOW,
    {"partialFilterExpression": {"state": QUEUED}},
)
# Two indexes never share their keys: MongoDB before 5.0 allows that not even to partial ones.
INDEXES = (
    DUE,
    PAUSED,
    Index(
        "schedules",
        "cronlite_name",
        _up("name"),
        "two schedules may get the same name",
        {"unique": True, "partialFilterExpression": {"name": {"$type": "string"}}},
    ),
    *(Index("schedules", f"cronlite_{name}", _up(name, "_id"), _SLOW) for name in _LISTED_BY),
    Index("schedules", "cronlite_beginning", _up("active_from"), _SLOW),
    Index("schedules", "cronlite_ending", _up("active_until"), _SLOW, {"sparse": True}),
    # With these the distinct values of a field are found by skipping through the index: with the first ones of all
    # schedules, with the others of those that are not paused.
    *(Index("schedules", f"cronlite_{name}", _up(name), "each tick reads all schedules") for name in EXPRESSIONS),
    *OF_ENABLED.values(),
    CLAIM,
    TURNS,
    Index(
        "runs",
        "cronlite_lane",
        _up("lane"),
        "two runs of a schedule may be at work at once",
        {"unique": True, "partialFilterExpression": {"state": RUNNING, "lane": {"$exists": True}}},
    ),
    Index(
        "runs",
        "cronlite_slot",
        _up("limit", "slot"),
        "more runs than a limit allows may be at work at once",
        {"unique": True, "partialFilterExpression": {"state": RUNNING, "slot": {"$exists": True}}},
    ),
    # Behind the lane, so that in this order the last of those that wait is the first of a lane, and in the other order
    # the last of those that may start, or else the first of those that wait.
    Index(
        "runs",
        "cronlite_lane_heads",
        [*_up("state", "lane", "run_at"), ("due_at", pymongo.DESCENDING)],
        _SLOW,
        {"partialFilterExpression": {"state": QUEUED, "lane": {"$exists": True}}},
    ),
    Index(
        "runs",
        "cronlite_key",
        _up("key"),
        "two runs may be queued with the same key",
        {"unique": True, "partialFilterExpression": {"state": QUEUED, "attempt": 0, "key": {"$exists": True}}},
    ),
    # Without sent_at behind the state, a daemon that sends to a broker would read its whole backlog every time.
    Index(
        "runs",
        "cronlite_unsent_lots",
        _up("state", "lot", "sent_at", "run_at"),
        _SLOW,
        {"partialFilterExpression": {"state": QUEUED}},
    ),
    # Only those that are to begin in time, and have not.
    Index(
        "runs",
        "cronlite_late",
        _up("state", "late_at"),
        _SLOW,
        {"partialFilterExpression": {"state": QUEUED, "late_at": {"$exists": True}}},
    ),
    # The last run of each schedule that a freeze held back is the first of its schedule here.
    Index(
        "runs",
        "cronlite_freeze",
        [*_up("freeze", "schedule"), ("due_at", pymongo.DESCENDING)],
        _SLOW,
        {"partialFilterExpression": {"freeze": {"$exists": True}}},
    ),
    Index(
        "runs",
        "cronlite_held",
        _up("state", "freeze"),
        _SLOW,
        {"partialFilterExpression": {"state": QUEUED, "freeze": {"$exists": True}}},
    ),
    Index(
        "runs",
        "cronlite_backfill",
        _up("backfill", "state"),
        _SLOW,
        {"partialFilterExpression": {"backfill": {"$exists": True}}},
    ),
    Index(
        "runs",
        "cronlite_expiry",
        _up("expires_at"),
        "finished runs are kept for ever",
        {"expireAfterSeconds": 0, "sparse": True},
    ),
    Index(
        "runs", "cronlite_retries", _up("retry_of"), _SLOW, {"partialFilterExpression": {"retry_of": {"$exists": True}}}
    ),
    # Lists are wanted newest first, and few of millions. That of all runs is merged from those of the states. There,
    # the daemon is for those that run, which are few: an index of their own would be changed by each claim and end.
    Index("runs", "cronlite_of_state_and_daemon", _up("state", "queued_at", "daemon"), _SLOW),
    *(Index("runs", f"cronlite_of_{name}", _up(name, "queued_at"), _SLOW) for name in ("schedule", "user", "handler")),
    Index("schedules", "cronlite_owner", _up("owner"), _SLOW, {"sparse": True}),
    Index("alarms", "cronlite_cleared", _up("cleared_at", "raised_at"), _SLOW),
    Index("changes", "cronlite_change_of_schedule", _up("schedule", "at", "_id"), _SLOW),
    Index("changes", "cronlite_change_of_kind", _up("kind", "at", "_id"), _SLOW),
    Index("changes", "cronlite_change_at", _up("at", "_id"), _SLOW),
    Index(
        "changes",
        "cronlite_change_expires",
        _up("expires_at"),
        "changes are kept for ever",
        {"expireAfterSeconds": 0, "sparse": True},
    ),
)
# Of versions before this one; the name and the collection of each.
OBSOLETE = {
    **dict.fromkeys(
        (
            "cronlite_newest",
            "cronlite_lane_queued",
            "cronlite_claim",
            "cronlite_turns",
            "cronlite_unsent",
            "cronlite_limited",
            "cronlite_running",
            "cronlite_of_state",
        ),
        "runs",
    ),
    "cronlite_due": "schedules",
}


def leftovers(collection: str, present: Iterable[Mapping[str, Any]]) -> list[str]:
    """Say of each index that an older cronlite needed how to drop it; the least of roles may not do so itself."""
    names = [index["name"] for index in present if OBSOLETE.get(index["name"]) == collection]
    return [f"The index {name} serves no query any more: db.{collection}.dropIndex({name!r})." for name in names]


def build(index: Index, collection: Collection[Document]) -> str | None:
    """Build an index unless it is there; return a sentence if it cannot be built. Lacking rights raise as usual."""
    try:
        with pymongo.timeout(BUILD_SECONDS):
            collection.create_index(index.keys, name=index.name, **index.options)
    except OperationFailure as refused:
        if refused.code in (failures.UNAUTHORIZED, failures.AUTHENTICATION_FAILED):
            raise
        reason = _reason(refused, index, collection)
        return f"The index {index.name} of {index.collection} cannot be built: {reason}. Until then {index.without}."
    return None


def built_as(index: Index, present: Iterable[Mapping[str, Any]]) -> str | None:
    """Return the name under which an index is among a collection's, if it is."""
    for built in present:
        if list(built["key"].items()) == list(index.keys) and _options(built) == dict(index.options):
            name: str = built["name"]
            return name
    return None


def _options(present: Mapping[str, Any]) -> dict[str, Any]:
    aside = ("v", "key", "name", "ns", "background")
    return {name: value for name, value in present.items() if name not in aside}


def _reason(refused: OperationFailure, index: Index, collection: Collection[Document]) -> str:
    if refused.code in (failures.INDEX_OPTIONS_CONFLICT, failures.INDEX_KEY_SPECS_CONFLICT):
        names = [other["name"] for other in collection.list_indexes() if _in_the_way(index, other)]
        drop = " and ".join(f"db.{index.collection}.dropIndex({name!r})" for name in names) or "drop it"
        return f"another one is in its place; {drop}, and start again"
    if refused.code == failures.CANNOT_INDEX_PARALLEL_ARRAYS:
        culprits = ", ".join(shown(id_from_store(_id)) for _id in _with_two_arrays(collection))
        return f"documents hold arrays in two fields ({culprits}); write one of them as a string, such as '1,15'"
    if refused.code == failures.DUPLICATE_KEY:
        twice = shown((refused.details or {}).get("keyValue", {}))
        return f"several documents hold {twice}; change all but one of them"
    return failures.one_line(refused)


def _in_the_way(index: Index, present: Mapping[str, Any]) -> bool:
    return present["name"] == index.name or list(present["key"].items()) == list(index.keys)


def _with_two_arrays(collection: Collection[Document]) -> Iterator[Any]:
    names = [name for name, _ in DUE.keys]
    holds_array = {"$or": [{name: {"$type": "array"}} for name in names]}
    found = 0
    for document in collection.find(holds_array, dict.fromkeys(names, 1)):
        if sum(isinstance(document.get(name), list) for name in names) > 1:
            yield document["_id"]
            found += 1
            if found == 3:
                return
