"""How is a change written that many runs have in common, and how is one known that was made before?"""

from __future__ import annotations

from collections.abc import Iterator

from bson import decode, encode
from pymongo import UpdateMany, UpdateOne

from cronlite.documents.runs import Changes, Run
from cronlite.documents.schedules import Document
from cronlite.store.alike import Alike
from cronlite.store.mongo.connection import NAIVE
from cronlite.store.mongo.documents import update

# What tells one change of a run from another; the rest of it follows from these.
TELLING = ("state", "daemon", "attempt", "run_at", "finished_at")


def at_once(one: Alike) -> UpdateMany | UpdateOne:
    """Return the one operation that makes a change. To MongoDB, null in a fence equals missing."""
    kind, ids = (UpdateOne, one.ids[0]) if len(one.ids) == 1 else (UpdateMany, {"$in": one.ids})
    return kind({"_id": ids, **one.fence}, update(one.changes))


def one_by_one(one: Alike) -> Iterator[UpdateOne]:
    """Yield an operation for each of the runs."""
    changes = update(one.changes)
    return (UpdateOne({"_id": id_, **one.fence}, changes) for id_ in one.ids)


def shows(stored: Document | None, run: Run, change: Changes) -> bool:
    """Tell whether a run looks as the change leaves it."""
    if stored is None:
        return False
    before = {"state": run.state, "daemon": run.daemon, "attempt": run.attempt}
    after = before | {name: change[name] for name in TELLING if name in change}
    after = decode(encode(after), NAIVE)  # instants to their milliseconds
    return all(stored.get(name) == value for name, value in after.items())
