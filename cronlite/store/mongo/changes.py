"""How are the changes of many runs written with few updates, and how is one known that was made before?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable
from typing import NamedTuple

from bson import decode, encode
from pymongo import UpdateMany, UpdateOne

from cronlite.runs import Changes, Run
from cronlite.schedules import Document
from cronlite.store.mongo.connection import CODEC
from cronlite.store.mongo.documents import update

# What tells one change of a run from another; the rest of it follows from these.
TELLING = ("state", "daemon", "attempt", "run_at", "finished_at")


class Update(NamedTuple):
    """A change to make to the one run that a filter finds. Those of a kind differ in nothing but the filter's `_id`."""

    kind: Hashable
    filter: Document
    changes: Changes


def kind(run: Run, change: Changes) -> Hashable:
    """Return what two changes share that differ in nothing but the id; None where that is too hard to tell."""
    values = tuple(change.values())
    # With the types, because 1, 1.0 and True are equal here, and not there.
    shared = (run.state, run.daemon, run.attempt, *change, *values, *map(type, values))
    try:
        hash(shared)
    except TypeError:  # a result or an error
        return None
    return shared


def together(updates: Iterable[Update]) -> list[UpdateMany | UpdateOne]:
    """Join the updates of a kind."""
    kinds: dict[Hashable, list[Update]] = defaultdict(list)
    for one in updates:
        kinds[one.kind].append(one)
    single = kinds.pop(None, [])
    joined: list[UpdateMany | UpdateOne] = []
    for first, *others in kinds.values():
        if others:
            ids = {"_id": {"$in": [first.filter["_id"], *(one.filter["_id"] for one in others)]}}
            joined.append(UpdateMany({**first.filter, **ids}, update(first.changes)))
        else:
            single.append(first)
    return joined + [UpdateOne(one.filter, update(one.changes)) for one in single]


def shows(stored: Document | None, run: Run, change: Changes) -> bool:
    """Tell whether a run looks as the change leaves it."""
    if stored is None:
        return False
    before = {"state": run.state, "daemon": run.daemon, "attempt": run.attempt}
    after = before | {name: change[name] for name in TELLING if name in change}
    after = decode(encode(after), CODEC)  # instants to their milliseconds
    return all(stored.get(name) == value for name, value in after.items())
