"""How does MongoDB keep alarms and duties?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from pymongo import ReturnDocument
from pymongo.errors import DuplicateKeyError

from cronlite.documents import alarms
from cronlite.documents.alarms import Alarm, Changes, Duty, Told
from cronlite.documents.schedules import Document
from cronlite.store.contract import AlarmQuery
from cronlite.store.mongo.connection import Collections
from cronlite.store.mongo.failures import translated


class Alarms(Collections):
    """The contract's methods on alarms and duties."""

    @translated
    def raise_alarms(self, alarms: Sequence[Alarm]) -> set[str]:
        return {alarm.id for alarm in alarms if self._raise(alarm)}

    def _raise(self, alarm: Alarm) -> bool:
        document = alarm.document()
        try:
            # In the place of a cleared one; an open one makes this an insert of an id that is taken.
            self._alarms.replace_one({"_id": alarm.id, "cleared_at": {"$ne": None}}, document, upsert=True)
            return True
        except DuplicateKeyError:
            worse = {"title": alarm.title, "detail": alarm.detail, "last_at": alarm.last_at, "run": alarm.run}
            earlier = {"_id": alarm.id, "cleared_at": None, "last_at": {"$lt": alarm.last_at}}
            self._alarms.update_one(earlier, {"$set": worse, "$inc": {"times": 1}})
            return False

    @translated
    def alarm(self, id: str) -> Alarm | None:
        document = self._alarms.find_one({"_id": id})
        return None if document is None else alarms.read(document)

    @translated
    def alarms(self, query: AlarmQuery) -> list[Alarm]:
        cleared: Document = {"cleared_at": None}
        if query.cleared_since is not None:
            cleared = {"$or": [cleared, {"cleared_at": {"$gte": query.cleared_since}}]}
        documents = self._alarms.find(cleared).sort([("raised_at", -1), ("_id", 1)]).limit(query.limit)
        return [alarm for document in documents if (alarm := alarms.read(document))]

    @translated
    def change_alarm(self, alarm: Alarm, changes: Changes) -> bool:
        same = {"_id": alarm.id, "raised_at": alarm.raised_at, "cleared_at": None}
        return self._alarms.update_one(same, {"$set": changes}).matched_count == 1

    @translated
    def note_told(self, alarm: Alarm, told: Mapping[str, Told]) -> bool:
        entries = {f"told.{channel}": entry.document() for channel, entry in told.items()}
        same = {"_id": alarm.id, "raised_at": alarm.raised_at}
        return self._alarms.update_one(same, {"$set": entries}).matched_count == 1

    @translated
    def prune_alarms(self, before: datetime) -> int:
        self._duties.delete_many({"until": {"$lt": before}})
        return self._alarms.delete_many({"cleared_at": {"$lt": before}}).deleted_count

    @translated
    def claim_duty(self, id: str, daemon: str, now: datetime, until: datetime) -> Duty | None:
        free = {"_id": id, "$or": [{"daemon": daemon}, {"until": {"$lte": now}}]}
        taken = {"$set": {"daemon": daemon, "until": until}}
        try:
            document = self._duties.find_one_and_update(free, taken, upsert=True, return_document=ReturnDocument.AFTER)
        except DuplicateKeyError:
            return None
        return None if document is None else alarms.read_duty(document)

    @translated
    def change_duty(self, duty: Duty, changes: Changes) -> bool:
        return self._duties.update_one({"_id": duty.id, "daemon": duty.daemon}, {"$set": changes}).matched_count == 1

    @translated
    def duties(self) -> list[Duty]:
        return [duty for document in self._duties.find().sort("_id") if (duty := alarms.read_duty(document))]
