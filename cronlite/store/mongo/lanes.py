"""How does MongoDB tell which run of a lane is next, without reading all those behind it?"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from types import NoneType

from bson import ObjectId

from cronlite.documents.runs import QUEUED, RUNNING, Run
from cronlite.documents.schedules import Document
from cronlite.store.grouping import SharedChange, batches
from cronlite.store.mongo.documents import id_to_store
from cronlite.store.mongo.failures import translated, translated_search
from cronlite.store.mongo.readable import Readable, readable
from cronlite.store.mongo.run_changes import written_at_once

_AT_ONCE = 10_000
_LANES = 3_000  # a quarter of a second where there are more
_PAGE = 1_000
_LEAST_OBJECT_ID = ObjectId(bytes(12))
# Forward and backward, the order of the index of queued runs by lane: in no other does MongoDB skip from lane to lane.
_LAST_WAITING_FIRST = {"lane": 1, "run_at": 1, "due_at": -1}
_STARTABLE_FIRST = {"lane": -1, "run_at": -1, "due_at": 1}


class Lanes(Readable):
    """The contract's methods on the lanes of runs."""

    _swept: tuple[ObjectId | str, ObjectId | str | None] = (_LEAST_OBJECT_ID, None)
    """The least lane of the kind that is swept, ids or names, and the last one that was."""

    @translated_search
    def at_work(self, lanes: Collection[str]) -> list[Run]:
        last: dict[str | None, Run] = {}
        for batch in batches(lanes, _AT_ONCE):
            lane = {"$in": [id_to_store(id) for id in batch]}
            for run in self._foremost(lane):
                if run.lane not in last or last[run.lane].due_at < run.due_at:
                    last[run.lane] = run
        return list(last.values())

    def _foremost(self, lane: Document) -> Iterator[Run]:
        """Yield runs at work of some lanes; among them is, of each lane, the one that was due last."""
        for order in (_LAST_WAITING_FIRST, _STARTABLE_FIRST):
            heads = list(self._runs.aggregate(_heads(lane, order, run="$$ROOT"), allowDiskUse=True))
            if not heads:  # nothing of these lanes is queued, as at most ticks
                break
            yield from readable(head["run"] for head in heads)
        yield from readable(self._runs.find({"state": RUNNING, "lane": lane}))

    @translated
    def release_lanes(self, now: datetime, lanes: Collection[str] | None = None) -> int:
        if lanes is None:
            return sum(self._release(heads, now) for heads in self._sweep())
        named = ({"$in": [id_to_store(id) for id in batch]} for batch in batches(lanes, _PAGE))
        return sum(self._release(list(self._next_in(lane)), now) for lane in named)

    def _sweep(self) -> Iterator[Sequence[Document]]:
        """Yield by the page what comes next in the lanes below the last one of the sweep before, or in all."""
        if not self._something_waits():
            return
        for _ in range(0, _LANES, _PAGE):
            least, last = self._swept
            below = {} if last is None else {"$lt": last}
            heads = list(
                self._next_in({"$gte": least, **below}, _PAGE)
            )  # MongoDB compares with values of the same kind only
            yield heads
            if len(heads) == _PAGE:
                self._swept = least, heads[-1]["_id"]
                continue
            self._swept = (_LEAST_OBJECT_ID if least == "" else ""), None
            if self._swept[0] == _LEAST_OBJECT_ID:
                return

    def _something_waits(self) -> bool:
        """Look for one waiting run by the index of claims; a sweep skips through the lanes of all queued runs."""
        queued: Document = {"state": QUEUED}
        for lot in (None, *(lot for lot in self._runs.distinct("lot", queued) if lot is not None)):
            handlers = self._runs.distinct("handler", {**queued, "lot": lot})
            waiting = {**queued, "lot": lot, "handler": {"$in": handlers}, "run_at": None}
            if self._runs.find_one(waiting, {"_id": 1}) is not None:
                return True
        return False

    def _next_in(self, lane: Document, limit: int | None = None) -> Iterator[Document]:
        heads = _heads(lane, _STARTABLE_FIRST, run="$_id", run_at="$run_at")
        yield from self._runs.aggregate([*heads, *([{"$limit": limit}] if limit else [])], allowDiskUse=True)

    def _release(self, heads: Sequence[Document], now: datetime) -> int:
        """Let those of the runs go that wait while nothing runs in their lane. Nothing else of it may start: each of
        them would come last.
        """
        waiting = {head["_id"]: head["run"] for head in heads if head["run_at"] is None}
        waiting.pop(None, None)  # without the index, the runs that have no lane are found as well
        self._abandon_nonsense(heads, now)
        if not waiting:
            return 0
        busy = set(self._runs.distinct("lane", {"state": RUNNING, "lane": {"$in": list(waiting)}}))
        if not (free := [run for lane, run in waiting.items() if lane not in busy]):
            return 0
        released = SharedChange(free, {"state": QUEUED, "run_at": None}, {"run_at": now})
        return self._runs.bulk_write(list(written_at_once([released])), ordered=False).modified_count

    def _abandon_nonsense(self, heads: Sequence[Document], now: datetime) -> None:
        """Close runs that neither wait nor may ever start, because somebody edited them and they block their lane."""
        edited = [head["run"] for head in heads if not isinstance(head["run_at"], (datetime, NoneType))]
        if edited:
            deque(self._read_or_abandon(self._runs.find({"_id": {"$in": edited}}), now), maxlen=0)


def _heads(lane: Document, order: Document, **wanted: str) -> list[Document]:
    """Return the pipeline for what is wanted of the first queued run of each lane in an order."""
    return [
        {"$match": {"state": QUEUED, "lane": lane}},
        {"$sort": order},
        {"$group": {"_id": "$lane", **{name: {"$first": value} for name, value in wanted.items()}}},
    ]
