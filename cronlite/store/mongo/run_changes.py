"""How are changes of many runs written with few operations, and how is one known that was made before?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bson import decode, encode
from pymongo import UpdateMany, UpdateOne

from cronlite.documents.runs import Changes, Run, fence
from cronlite.documents.schedules import Document
from cronlite.store.grouping import SharedChange, after, batches
from cronlite.store.mongo.connection import NAIVE
from cronlite.store.mongo.documents import update

# Left to choose, MongoDB tries other indexes, too, for each batch of ends: up to twice the work.
BY_ID = "_id_"


# To MongoDB, each operation is as much work as the writing of two runs. One that looks up the values of each run spares
# that, and makes each of them a third dearer: so it is for runs that share their values with fewer others than this.
_FEW = 6
_AT_ONCE = 30  # an operation may be 16 MB, and what a run ends with half a MB: 64 kB of JSON are 400 of BSON


def written_at_once(changes: Sequence[SharedChange]) -> Iterator[UpdateMany | UpdateOne]:
    """Yield the operations that make changes: one for each that many runs share, one for up to 30 runs that differ."""
    differing: dict[tuple[str, ...], list[SharedChange]] = {}
    for change in changes:
        if len(change.ids) >= _FEW:
            yield _written(change)
        else:
            removed = (name for name, value in change.changes.items() if value is None)
            differing.setdefault((repr(change.fence), *removed), []).append(change)
    for alike in differing.values():
        singly = [each for change in alike for each in change.singly]
        if len(singly) < _FEW:
            yield from map(_written, alike)
        else:
            yield from map(_looked_up, batches(singly, _AT_ONCE))


def _written(change: SharedChange) -> UpdateMany | UpdateOne:
    """Return the one operation that makes a change. To MongoDB, null in a fence equals missing."""
    kind, ids = (UpdateOne, change.ids[0]) if len(change.ids) == 1 else (UpdateMany, {"$in": change.ids})
    return kind({"_id": ids, **change.fence}, update(change.changes), hint=BY_ID)


def _looked_up(singly: Sequence[SharedChange]) -> UpdateMany:
    """Return the one operation that makes a change of its own to each run; the fence and what is removed are alike."""
    ids = [change.ids[0] for change in singly]
    updates = [update(change.changes) for change in singly]
    # All that is anybody's text stands behind $literal: MongoDB evaluates nothing in it.
    place = {"$indexOfArray": [{"$literal": ids}, "$_id"]}
    own = {"$arrayElemAt": [{"$literal": [each.get("$set", {}) for each in updates]}, place]}
    stages: list[Document] = [{"$replaceWith": {"$mergeObjects": ["$$ROOT", own]}}]
    if removed := updates[0].get("$unset"):
        stages.append({"$unset": list(removed)})
    return UpdateMany({"_id": {"$in": ids}, **singly[0].fence}, stages, hint=BY_ID)


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
