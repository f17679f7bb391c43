"""How does MongoDB write a schedule and its change, which no transaction joins, and how does it keep the changes?

A standalone server has no transactions. So the change is stored first; then the schedule is written on condition that
its `updated_at` is as the change found it. Readers tell by the schedule whether that came: `documents.history`. Only
where a schedule is gone it cannot tell, so that of a removal is told once more that it was made.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from pymongo import DeleteOne, InsertOne, MongoClient, UpdateOne
from pymongo.collection import Collection
from pymongo.errors import BulkWriteError

from cronlite.documents import changes
from cronlite.documents.changes import MOST, Change
from cronlite.documents.schedules import Document
from cronlite.store.contract.changes import ChangeQuery, Refusal, Write
from cronlite.store.mongo.connection import Collections
from cronlite.store.mongo.documents import id_to_store, schedule_to_store, update
from cronlite.store.mongo.failures import DUPLICATE_KEY, refusals, translated, translated_search

_TRIMMED_EACH = 50


class Changes(Collections):
    """The contract's methods on the history of schedules."""

    def __init__(self, client: MongoClient[Document], database: str, address: str) -> None:
        super().__init__(client, database, address)
        self._changes: Collection[Document] = self._database["changes"]
        self._written = 0

    @translated
    def write_schedules(self, writes: Sequence[Write]) -> dict[str, Refusal]:
        if not writes:
            return {}
        refused: dict[str, Refusal] = {writes[place].change.schedule: "stale" for place in self._store_changes(writes)}
        announced = [write for write in writes if write.change.schedule not in refused]
        if announced:
            late, is_sure = self._write_documents(announced)
            refused |= late
            self._settle(announced, late, is_sure)
        self._trim(writes)
        return refused

    def _store_changes(self, writes: Sequence[Write]) -> Iterable[int]:
        """Store the changes; return the places of those that another change of the same instant kept out."""
        try:
            self._changes.insert_many([_to_store(write.change) for write in writes], ordered=False)
        except BulkWriteError as error:
            return refusals(error, DUPLICATE_KEY)
        return ()

    def _write_documents(self, writes: Sequence[Write]) -> tuple[dict[str, Refusal], bool]:
        """Write the schedules; return those that were refused, and whether the server has counted all others."""
        taken: Iterable[int] = ()
        counted: Mapping[str, Any]
        try:
            counted = self._schedules.bulk_write(list(map(_operation, writes)), ordered=False).bulk_api_result
        except BulkWriteError as error:
            counted, taken = error.details, refusals(error, DUPLICATE_KEY)
        refused: dict[str, Refusal] = {}
        for place in taken:
            change = writes[place].change
            is_there = change.before is None and self._schedules.find_one(_named(change), {"_id": 1}) is not None
            refused[change.schedule] = "_id" if is_there else "name"
        made = sum(counted[name] for name in ("nInserted", "nMatched", "nRemoved"))
        is_sure = made + len(refused) == len(writes)
        if not is_sure:
            others = [write.change for write in writes if write.change.schedule not in refused]
            refused |= {change.schedule: "stale" for change in self._lost_to_others(others)}
        return refused, is_sure

    def _lost_to_others(self, announced: Sequence[Change]) -> list[Change]:
        """Return those of some changes that were not made, because somebody else was faster."""
        if len(announced) == 1:
            return list(announced)
        ids = [id_to_store(change.schedule) for change in announced]
        there = self._schedules.find({"_id": {"$in": ids}}, {"updated_at": 1})
        updated = {document["_id"]: document.get("updated_at") for document in there}
        return [change for change, id in zip(announced, ids, strict=True) if not _shows(updated, id, change)]

    def _settle(self, writes: Sequence[Write], refused: dict[str, Refusal], is_sure: bool) -> None:
        """Delete the changes that were not made, and confirm the removals that were.

        Where somebody else may have removed one of many first, none is confirmed.
        """
        lost = [write.change.id for write in writes if write.change.schedule in refused]
        removed = [write.change.id for write in writes if write.document is None and write.change.id not in lost]
        if lost:
            self._changes.delete_many({"_id": {"$in": lost}})
        if removed and is_sure:
            self._changes.update_many({"_id": {"$in": removed}}, {"$set": {"made": True}})

    def _trim(self, writes: Sequence[Write]) -> None:
        """Delete, now and then, what is too much of a schedule's history."""
        for write in writes:
            self._written += 1
            if self._written % _TRIMMED_EACH == 0:
                of_schedule = {"schedule": id_to_store(write.change.schedule)}
                kept = self._changes.find(of_schedule, {"at": 1}).sort("at", -1).skip(MOST - 1).limit(1)
                for oldest in kept:
                    self._changes.delete_many({**of_schedule, "at": {"$lt": oldest["at"]}})

    @translated_search
    def changes(self, query: ChangeQuery) -> list[Change]:
        asked: Document = {
            "schedule": _of_schedules(query),
            "kind": query.kind,
            "name": query.name,
            "$or": None if query.behind is None else _behind(*query.behind),
        }
        wanted = {name: value for name, value in asked.items() if value is not None}
        if query.limit == 0:  # which MongoDB takes for no limit
            return []
        documents = self._changes.find(wanted, limit=query.limit or 0).sort([("at", -1), ("_id", -1)])
        return [change for document in documents if (change := changes.read(_from_store(document)))]

    @translated
    def prune_changes(self, now: datetime) -> int:  # noqa: ARG002 - the contract's signature
        return 0  # by an index with a time to live


def _operation(write: Write) -> InsertOne[Document] | UpdateOne | DeleteOne:
    # None also matches a missing field. With $eq, no value that somebody else stored is read as an operator.
    unchanged = {**_named(write.change), "updated_at": {"$eq": write.found_at}}
    if write.document is None:
        return DeleteOne(unchanged)
    if write.change.before is None:
        return InsertOne(schedule_to_store(write.document))
    return UpdateOne(unchanged, update(write.document))


def _named(change: Change) -> Document:
    return {"_id": id_to_store(change.schedule)}


def _shows(updated: dict[Any, Any], id: Any, change: Change) -> bool:
    """Tell whether a schedule is as a change leaves it."""
    if change.kind == "removed":
        return id not in updated
    at = updated.get(id)
    return isinstance(at, datetime) and change.left_at is not None and at == change.left_at.replace(tzinfo=None)


def _behind(at: datetime, id: str) -> list[Document]:
    return [{"at": {"$lt": at}}, {"at": at, "_id": {"$lt": id}}]


def _of_schedules(query: ChangeQuery) -> Any:
    if query.schedules is not None:
        return {"$in": [id_to_store(id) for id in query.schedules]}
    return None if query.schedule is None else id_to_store(query.schedule)


def _to_store(change: Change) -> Document:
    return {**change.document(), "schedule": id_to_store(change.schedule)}


def _from_store(document: Document) -> Document:
    schedule = document.get("schedule")
    return {**document, "schedule": schedule if isinstance(schedule, str) else str(schedule)}
