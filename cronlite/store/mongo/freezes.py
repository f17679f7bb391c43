"""How does MongoDB keep the freezes, and find the runs that they hold back?"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from pymongo import MongoClient
from pymongo.collection import Collection as Documents

from cronlite.documents import freezes
from cronlite.documents.freezes import Freeze
from cronlite.documents.runs import QUEUED, Changes, Run
from cronlite.documents.schedules import Document
from cronlite.errors import shown
from cronlite.store.contract.freezes import HELD_AT_ONCE
from cronlite.store.mongo.connection import Collections
from cronlite.store.mongo.documents import id_to_store, of_queues, update
from cronlite.store.mongo.failures import translated, translated_search
from cronlite.store.mongo.readable import readable


class Freezes(Collections):
    """The contract's methods on freezes."""

    def __init__(self, client: MongoClient[Document], database: str, address: str) -> None:
        super().__init__(client, database, address)
        self._freezes: Documents[Document] = self._database["freezes"]

    @translated
    def add_freeze(self, freeze: Freeze) -> None:
        self._freezes.insert_one(freeze.document())

    @translated
    def change_freeze(self, freeze: Freeze, changes: Changes) -> bool:
        unchanged = {"_id": freeze.id, "until_at": freeze.until_at, "done_at": freeze.done_at}
        return self._freezes.update_one(unchanged, update(changes)).matched_count == 1

    @translated
    def remove_freeze(self, id: str) -> bool:
        return self._freezes.delete_one({"_id": id}).deleted_count == 1

    @translated
    def freezes(self, since: datetime | None = None) -> list[Freeze]:
        still = {"$or": [{"until_at": None}, {"until_at": {"$gt": since}}, {"done_at": None}]}
        documents = self._freezes.find({} if since is None else still).sort([("from_at", -1), ("_id", -1)])
        return [freeze for document in documents if (freeze := freezes.read(document))]

    @translated
    def broken_freezes(self) -> list[str]:
        documents = self._freezes.find()
        return [shown(document["_id"]).strip("'") for document in documents if freezes.read(document) is None]

    @translated_search
    def held_back(self, freezes: Collection[str], schedules: Collection[str]) -> dict[str, Run]:
        of_these = {"freeze": {"$in": list(freezes)}, "schedule": {"$in": [id_to_store(id) for id in schedules]}}
        last = self._runs.aggregate(
            [
                {"$match": of_these},
                {"$sort": {"freeze": 1, "schedule": 1, "due_at": -1}},
                {"$group": {"_id": {"freeze": "$freeze", "schedule": "$schedule"}, "run": {"$first": "$$ROOT"}}},
            ],
            allowDiskUse=True,
        )
        latest: dict[str, Run] = {}
        for run in readable(group["run"] for group in last):
            if run.schedule and (run.schedule not in latest or latest[run.schedule].due_at < run.due_at):
                latest[run.schedule] = run
        return latest

    @translated
    def hold_runs(self, freeze: Freeze, now: datetime, until: datetime, schedules: Collection[str] | None) -> int:
        asked = {"user": freeze.user, "handler": freeze.handler}
        wanted: Document = {name: value for name, value in asked.items() if value is not None}
        wanted |= of_queues(None if freeze.queue is None else [freeze.queue])
        if schedules is not None:
            wanted["schedule"] = {"$in": [id_to_store(id) for id in schedules]}
        ready = {"state": QUEUED, "run_at": {"$lte": now}, **wanted}
        ids = [document["_id"] for document in self._runs.find(ready, {"_id": True}).limit(HELD_AT_ONCE)]
        held = {"$set": {"run_at": until, "freeze": freeze.id}, "$unset": {"sent_at": ""}}
        return self._runs.update_many({"_id": {"$in": ids}, "state": QUEUED}, held).modified_count if ids else 0

    @translated
    def release_held(self, freeze: str, now: datetime) -> int:
        held = {"state": QUEUED, "freeze": freeze, "run_at": {"$gt": now}}
        return self._runs.update_many(held, {"$set": {"run_at": now}}).modified_count

    @translated
    def prune_freezes(self, now: datetime) -> int:
        return self._freezes.delete_many({"expires_at": {"$lte": now}}).deleted_count
