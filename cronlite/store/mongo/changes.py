"""How are the changes of many runs written with few updates, and how is one known that was made before?"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from typing import NamedTuple

from bson import decode, encode
from pymongo import UpdateMany, UpdateOne

from cronlite.runs import Changes, Run
from cronlite.schedules import Document
from cronlite.store.mongo.connection import NAIVE
from cronlite.store.mongo.documents import update

# What tells one change of a run from another; the rest of it follows from these.
TELLING = ("state", "daemon", "attempt", "run_at", "finished_at")


class Update(NamedTuple):
    """A change to make to each of some runs, as long as it is as `where` has it."""

    ids: list[str]
    where: Document
    changes: Changes

    def at_once(self) -> UpdateMany | UpdateOne:
        """Return the one operation that makes it."""
        kind, ids = (UpdateOne, self.ids[0]) if len(self.ids) == 1 else (UpdateMany, {"$in": self.ids})
        return kind({"_id": ids, **self.where}, update(self.changes))

    def one_by_one(self) -> Iterator[UpdateOne]:
        """Yield an operation for each of the runs."""
        changes = update(self.changes)
        return (UpdateOne({"_id": id_, **self.where}, changes) for id_ in self.ids)


def grouped(changes: Iterable[tuple[Run, Changes]]) -> list[Update]:
    """Join the changes that differ in nothing but the id, each under the fence of the run as it was."""
    kinds: dict[Hashable, Update] = {}
    for run, change in changes:
        # The type of the result, because 1, 1.0 and True are equal here, and not there.
        kind: Hashable = (run.state, run.daemon, run.attempt, *change, *change.values(), type(change.get("result")))
        try:
            alike = kinds.get(kind)
        except TypeError:  # a result or an error that is not hashable
            kind, alike = run.id, None
        if alike is None:
            # To MongoDB, null equals missing: a queued run has no daemon.
            fence = {"state": run.state, "daemon": run.daemon, "attempt": run.attempt}
            kinds[kind] = Update([run.id], fence, change)
        else:
            alike.ids.append(run.id)
    return list(kinds.values())


def shows(stored: Document | None, run: Run, change: Changes) -> bool:
    """Tell whether a run looks as the change leaves it."""
    if stored is None:
        return False
    before = {"state": run.state, "daemon": run.daemon, "attempt": run.attempt}
    after = before | {name: change[name] for name in TELLING if name in change}
    after = decode(encode(after), NAIVE)  # instants to their milliseconds
    return all(stored.get(name) == value for name, value in after.items())
