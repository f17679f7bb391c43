"""Which queued runs come next, of all lots and users, without reading past those that wait for a limit?"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from heapq import merge
from itertools import islice
from typing import Any

from pymongo.cursor import Cursor
from pymongo.errors import OperationFailure

from cronlite.documents import limits
from cronlite.documents.limits import Slot, Slots
from cronlite.documents.runs import QUEUED
from cronlite.documents.schedules import Document
from cronlite.store.contract import ClaimQuery
from cronlite.store.mongo.failures import BAD_VALUE
from cronlite.store.mongo.indexes import CLAIM, TURNS, Index
from cronlite.store.mongo.limits import Limits
from cronlite.store.turns import in_turns, share, some

_EPOCH = datetime(1970, 1, 1)
_FEW = 100
_ORDER = [("run_at", 1), ("_id", 1)]


class Lots(Limits):
    """What comes next in the queue, for claims."""

    _lots_are_few = False
    """Whether the next claim may look at all lots with one query: they were few a moment ago, when it began to wait."""

    def _next(self, ready: Document, limit: int, query: ClaimQuery) -> tuple[list[Document], dict[str, Slot]]:
        """Find what is ready and comes next; of several users, as many of each, in turns. Return the slots to take."""
        slots = Slots(self._free_slots)
        if "_id" in ready:
            found: Iterable[Document] = self._runs.find(ready).sort(_ORDER).limit(limit)  # by their ids
            return self._with_slots(found, limit, slots)
        if (whole := self._whole_queue(ready, limit, query)) is not None:
            slots.look_up({name for each in whole if isinstance(name := each.get("limit"), str)})
            return self._with_slots(whole, limit, slots)
        lots = self._open_lots(slots, query.limited)
        users = query.users
        if users and not any(map(limits.limit_of, lots)):
            found = list(islice(self._of_lots(ready, lots, limit), limit))
            if len(found) < limit:  # all of it is claimed, and nobody waits for a turn
                return self._with_slots(found, limit, slots)
        oldest, taken = self._with_slots(self._in_turns(ready, limit, users, lots), limit, slots)
        known = {document["_id"] for document in oldest}
        if len(oldest) < limit:  # some users have fewer than their share: the rest is for whoever came first
            others = (each for each in self._of_lots(ready, lots, limit) if each["_id"] not in known)
            more, more_taken = self._with_slots(others, limit - len(oldest), slots)
            return oldest + more, taken | more_taken
        return oldest, taken

    def _whole_queue(self, ready: Document, limit: int, query: ClaimQuery) -> list[Document] | None:
        """Read all that is ready, in order, with one query; None where that is more than `limit` or a few.

        A daemon that was woken finds a run or two as a rule, and whoever asked for them waits for each round trip.
        """
        may_look, self._lots_are_few = self._lots_are_few and not query.limited and not query.users, False
        if not may_look:
            return None
        most = min(limit, _FEW)
        found = list(self._by_index(CLAIM, lambda: self._runs.find(ready).limit(most + 1)))
        return sorted(found, key=_place) if len(found) <= most else None

    def _open_lots(self, slots: Slots, limited: bool) -> list[str | None]:
        """List the lots that runs can be claimed of, and look up how many of each limit."""
        lots: list[str | None] = [None, *self._queued_lots()]
        if limited:
            lots = [lot for lot in lots if lot not in limits.PLAIN_LOTS]
        lots = some(lots)
        slots.look_up({name for lot in lots if (name := limits.limit_of(lot))})
        return [lot for lot in lots if (name := limits.limit_of(lot)) is None or slots.left(name) != 0]

    def _of_lots(self, ready: Document, lots: Sequence[str | None], limit: int) -> Iterable[Document]:
        """Merge what is ready of some lots, each read as far as it is wanted."""
        return merge(*(self._in_order({**ready, "lot": lot}, CLAIM, limit) for lot in lots), key=_place)

    def _in_turns(
        self, ready: Document, limit: int, users: Sequence[str], lots: Sequence[str | None]
    ) -> list[Document]:
        size = share(limit, users) if users else 0
        of_each = []
        for user in users:
            parts = (self._in_order({**ready, "user": user, "lot": lot}, TURNS, size) for lot in lots)
            of_each.append(list(islice(merge(*parts, key=_place), size)))
        return in_turns(of_each, size * len(users))

    def _in_order(
        self, query: Document, index: Index, limit: int, wanted: Document | None = None
    ) -> Iterator[Document]:
        """Yield queued runs in the order of their instants."""
        return self._by_index(index, lambda: self._runs.find(query, wanted).sort(_ORDER).limit(limit))

    def _by_index(self, index: Index, find: Callable[[], Cursor[Document]]) -> Iterator[Document]:
        """Yield what is found by the index that is named.

        To weigh all that might do takes the planner longer than the rest, each time that nothing is found.
        """
        if index.name in self._hints:
            try:
                yield from find().hint(self._hints[index.name])
                return
            except OperationFailure as refused:
                if refused.code != BAD_VALUE or not self._hints.pop(index.name, None):
                    raise  # or else somebody dropped it since
        yield from find()

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
