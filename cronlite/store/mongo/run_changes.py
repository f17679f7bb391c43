"""How is a change written that many runs have in common, and how is one known that was made before?"""

from __future__ import annotations

from bson import decode, encode
from pymongo import UpdateMany, UpdateOne

from cronlite.documents.runs import Changes, Run, fence
from cronlite.documents.schedules import Document
from cronlite.store.grouping import SharedChange, after
from cronlite.store.mongo.connection import NAIVE
from cronlite.store.mongo.documents import update

# Left to choose, MongoDB tries other indexes, too, for each batch of ends: up to twice the work.
BY_ID = "_id_"


def written_at_once(change: SharedChange) -> UpdateMany | UpdateOne:
    """Return the one operation that makes a change. To MongoDB, null in a fence equals missing."""
    kind, ids = (UpdateOne, change.ids[0]) if len(change.ids) == 1 else (UpdateMany, {"$in": change.ids})
    return kind({"_id": ids, **change.fence}, update(change.changes), hint=BY_ID)


def written_singly(change: SharedChange) -> list[UpdateOne]:
    """Return an operation for each of the runs."""
    changes = update(change.changes)
    return [UpdateOne({"_id": id, **change.fence}, changes, hint=BY_ID) for id in change.ids]


def shows(stored: Document | None, run: Run, change: Changes) -> bool:
    """Tell whether a run looks as the change leaves it."""
    if stored is None:
        return False
    made = decode(encode(after(fence(run), change)), NAIVE)  # instants to their milliseconds
    return all(stored.get(name) == value for name, value in made.items())
