"""How does MongoDB keep who is there?"""

from __future__ import annotations

from dataclasses import fields
from datetime import datetime

from pymongo import ReturnDocument

from cronlite.documents.daemons import DaemonRecord
from cronlite.documents.schedules import Document
from cronlite.store.mongo.connection import Collections
from cronlite.store.mongo.failures import translated

_FIELDS = tuple(field.name for field in fields(DaemonRecord) if field.name != "id")
_STORES_CLOCK = {"$currentDate": {"seen_at": True}}


class Daemons(Collections):
    """The contract's methods on daemons."""

    @translated
    def join(self, daemon: DaemonRecord) -> datetime:
        fields = {name: getattr(daemon, name) for name in _FIELDS if name not in ("seen_at", "dead_at")}
        fields["handlers"], fields["declared"] = list(daemon.handlers), list(daemon.declared)
        fields["queues"] = None if daemon.queues is None else list(daemon.queues)
        joined: Document | None = self._daemons.find_one_and_update(
            {"_id": daemon.id}, {"$set": fields, **_STORES_CLOCK}, upsert=True, return_document=ReturnDocument.AFTER
        )
        assert joined is not None
        seen_at: datetime = joined["seen_at"]
        return seen_at

    @translated
    def beat(
        self, id: str, *, running: int, stuck: int, trouble: str = "", ticked_at: datetime | None = None
    ) -> datetime | None:
        seen = {"running": running, "stuck": stuck, "trouble": trouble, "ticked_at": ticked_at}
        beaten: Document | None = self._daemons.find_one_and_update(
            {"_id": id, "dead_at": None, "beat": {"$type": "number"}},
            {"$inc": {"beat": 1}, "$set": seen, **_STORES_CLOCK},
            projection={"seen_at": True},
            return_document=ReturnDocument.AFTER,
        )
        return None if beaten is None else beaten["seen_at"]

    @translated
    def leave(self, id: str) -> None:
        self._daemons.delete_one({"_id": id})

    @translated
    def daemons(self) -> list[DaemonRecord]:
        documents = ({**document, "id": document["_id"]} for document in self._daemons.find().sort("_id"))
        return [record for document in documents if (record := DaemonRecord.read(document))]

    @translated
    def mark_dead(self, id: str, beat: int) -> bool:
        seen = {"_id": id, "beat": beat, "dead_at": None}
        return self._daemons.update_one(seen, {"$currentDate": {"dead_at": True}}).modified_count == 1

    @translated
    def prune_daemons(self, before: datetime) -> int:
        return self._daemons.delete_many({"dead_at": {"$lt": before}}).deleted_count
