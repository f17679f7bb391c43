"""Which queued runs come next, of all lots and users, without reading past those that wait for a limit?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from heapq import merge
from typing import Any

from cronlite.documents import limits
from cronlite.documents.limits import Slot, Slots
from cronlite.documents.runs import QUEUED
from cronlite.documents.schedules import Document
from cronlite.store.contract import ClaimQuery
from cronlite.store.mongo.limits import Limits
from cronlite.store.turns import in_turns, share, some

_EPOCH = datetime(1970, 1, 1)
_ORDER = [("run_at", 1), ("_id", 1)]


class Lots(Limits):
    """What comes next in the queue, for claims."""

    def _next(self, ready: Document, limit: int, query: ClaimQuery) -> tuple[list[Document], dict[str, Slot]]:
        """Find what is ready and comes next; of several users, as many of each, in turns. Return the slots to take."""
        slots = Slots(self._free_slots)
        if "_id" in ready:
            found: Iterable[Document] = self._runs.find(ready).sort(_ORDER).limit(limit)
            return self._with_slots(found, limit, slots)
        lots = self._open_lots(slots, query.limited)
        oldest, taken = self._with_slots(self._in_turns(ready, limit, query.users, lots), limit, slots)
        known = {document["_id"] for document in oldest}
        if len(oldest) < limit:  # some users have fewer than their share: the rest is for whoever came first
            found = merge(*(self._of_lot(ready, lot, limit) for lot in lots), key=_place)
            others = (document for document in found if document["_id"] not in known)
            more, more_taken = self._with_slots(others, limit - len(oldest), slots)
            return oldest + more, taken | more_taken
        return oldest, taken

    def _open_lots(self, slots: Slots, limited: bool) -> list[str | None]:
        """List the lots that runs can be claimed of, and look up how many of each limit."""
        lots: list[str | None] = [None, *self._queued_lots()]
        if limited:
            lots = [lot for lot in lots if lot not in limits.PLAIN_LOTS]
        lots = some(lots)
        slots.look_up({name for lot in lots if (name := limits.limit_of(lot))})
        return [lot for lot in lots if (name := limits.limit_of(lot)) is None or slots.left(name) != 0]

    def _of_lot(self, ready: Document, lot: str | None, limit: int) -> Iterator[Document]:
        return iter(self._runs.find({**ready, "lot": lot}).sort(_ORDER).limit(limit))

    def _in_turns(
        self, ready: Document, limit: int, users: Sequence[str], lots: Sequence[str | None]
    ) -> list[Document]:
        if not users or not lots:
            return []
        cut: list[Document] = [{"$sort": dict(_ORDER)}, {"$limit": share(limit, users)}]
        first, *others = ([{"$match": {**ready, "user": user, "lot": lot}}, *cut] for user in users for lot in lots)
        unions: list[Document] = [
            {"$unionWith": {"coll": self._runs.name, "pipeline": pipeline}} for pipeline in others
        ]
        of_each: dict[str, list[Document]] = defaultdict(list)
        for document in self._runs.aggregate([*first, *unions]):
            of_each[document["user"]].append(document)
        return in_turns([sorted(of_each[user], key=_place) for user in users], len(users) * share(limit, users))

    def _with_slots(
        self, found: Iterable[Document], limit: int, slots: Slots
    ) -> tuple[list[Document], dict[str, Slot]]:
        """Pick up to so many, without those for which no slot is left; return the slots that they get."""
        picked: list[Document] = []
        taken: dict[str, Slot] = {}
        for document in found:
            if isinstance(name := document.get("limit"), str):
                if (slot := slots.take(name, document["_id"])) is None:
                    self._put_into_its_lot(document)
                    continue
                taken[document["_id"]] = slot
            picked.append(document)
            if len(picked) == limit:
                break
        return picked, taken

    def _put_into_its_lot(self, document: Document) -> None:
        """Set the lot of a run that another program wrote without one, so that nobody reads it again and again."""
        priority = document.get("priority", limits.DEFAULT_PRIORITY)
        lot = limits.lot(priority, document["limit"])
        if document.get("lot") != lot and not limits.check_priority(priority):
            self._runs.update_one({"_id": document["_id"], "state": QUEUED}, {"$set": {"lot": lot}})


def _place(document: Document) -> tuple[float, str]:
    """Return where in the queue a run is: by the instant that its priority makes of its own, then by its id."""
    run_at: Any = document["run_at"]
    waits_since = (run_at - _EPOCH).total_seconds() * 1_000 if isinstance(run_at, datetime) else int(run_at)
    return limits.effective(waits_since, document.get("lot")), str(document["_id"])
