"""How does MongoDB keep the minute ledger?"""

from __future__ import annotations

from datetime import datetime

from pymongo.errors import DuplicateKeyError

from cronlite.documents import ticks
from cronlite.documents.schedules import Document
from cronlite.documents.ticks import Tick
from cronlite.store.mongo.connection import Collections
from cronlite.store.mongo.failures import translated


class Ticks(Collections):
    """The contract's methods on the tick ledger."""

    @translated
    def ledger(self, since: datetime, until: datetime) -> list[Tick]:
        ticks: list[Tick] = []
        for document in self._ticks.find({"_id": {"$lte": until}}).sort("_id", -1):
            if tick := _tick(document):
                ticks.append(tick)
                if tick.minute < since:
                    break
        return ticks[::-1]

    @translated
    def claim_tick(self, tick: Tick) -> Tick:
        while True:
            try:
                self._ticks.insert_one(_document(tick))
                return tick
            except DuplicateKeyError:
                standing = self._ticks.find_one({"_id": tick.minute})
                if standing is not None and (found := _tick(standing)):
                    return found
                # It was pruned in between, or edited into nonsense; to do a minute twice is harmless.
                self._ticks.delete_one({"_id": tick.minute, "daemon": standing and standing.get("daemon")})

    @translated
    def take_over_tick(self, tick: Tick, daemon: str) -> bool:
        undone = {"_id": tick.minute, "daemon": tick.daemon, "done_at": None}
        return self._ticks.update_one(undone, {"$set": {"daemon": daemon}}).matched_count == 1

    @translated
    def finish_tick(self, tick: Tick) -> bool:
        done = {name: getattr(tick, name) for name in ticks.DONE}
        owned = {"_id": tick.minute, "daemon": tick.daemon}
        return self._ticks.update_one(owned, {"$set": done}).matched_count == 1

    @translated
    def prune_ticks(self, before: datetime) -> int:
        newest = self._ticks.find_one({"_id": {"$lt": before}}, sort=[("_id", -1)])
        if newest is None:
            return 0
        return self._ticks.delete_many({"_id": {"$lt": newest["_id"]}}).deleted_count


def _document(tick: Tick) -> Document:
    fields = {name: getattr(tick, name) for name in ticks.FIELDS if name != "minute"}
    return {"_id": tick.minute} | {name: value for name, value in fields.items() if value is not None}


def _tick(document: Document) -> Tick | None:
    return ticks.read({**document, "minute": document["_id"]})
