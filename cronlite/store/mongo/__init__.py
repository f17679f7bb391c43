"""Which store keeps everything in MongoDB?

`connection` opens it with the guarantees that cronlite needs, `documents` turns ids and instants into MongoDB's and
back, `indexes` says what each index is for, and `failures` puts every error into cronlite's words.
"""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from pymongo import MongoClient

from cronlite.documents.schedules import Document
from cronlite.store.mongo.alarms import Alarms
from cronlite.store.mongo.backfills import Backfills
from cronlite.store.mongo.changes import Changes
from cronlite.store.mongo.connection import connect
from cronlite.store.mongo.daemons import Daemons
from cronlite.store.mongo.failures import translated
from cronlite.store.mongo.freezes import Freezes
from cronlite.store.mongo.indexes import CLAIM, DUE, INDEXES, OF_ENABLED, PAUSED, TURNS, build, built_as, leftovers
from cronlite.store.mongo.lanes import Lanes
from cronlite.store.mongo.runs import Runs
from cronlite.store.mongo.schedules import Schedules
from cronlite.store.mongo.stream import Stream
from cronlite.store.mongo.ticks import Ticks
from cronlite.store.mongo.views import Views
from cronlite.when.clock import whole_milliseconds

__all__ = ["MongoStore"]


class MongoStore(Schedules, Changes, Freezes, Backfills, Ticks, Runs, Lanes, Views, Daemons, Alarms):
    """The store's contract, kept by a MongoDB: a replica set or a standalone server."""

    def __init__(self, client: MongoClient[Document], database: str, address: str) -> None:
        super().__init__(client, database, address)
        self._stream = Stream(self._runs)

    @classmethod
    def open(cls, uri: str) -> MongoStore:
        """Open the store of a `mongodb://` or `mongodb+srv://` URI that names a database; nothing is sent yet.

        Raises ConfigurationError.
        """
        return cls(*connect(uri))

    def close(self) -> None:
        self._stream.close()
        self._client.close()

    @translated
    def prepare(self) -> list[str]:
        complaints: list[str] = []
        for collection in (self._schedules, self._runs, self._changes, self._alarms):
            present = list(collection.list_indexes())
            complaints += leftovers(collection.name, present)
            for index in INDEXES:
                if index.collection == collection.name and built_as(index, present) is None:
                    complaint = build(index, collection)
                    if complaint is not None:
                        complaints.append(complaint)
        present = [*self._schedules.list_indexes(), *self._runs.list_indexes()]
        hinted = (DUE, PAUSED, *OF_ENABLED.values(), CLAIM, TURNS)
        built = {index.name: built_as(index, present) for index in hinted}
        self._hints = {name: built_name for name, built_name in built.items() if built_name}
        self._crowded.clear()
        return complaints

    def damage(self) -> list[str]:
        return []  # a server looks after its own files

    @translated
    def now(self) -> datetime:
        # $facet answers with one document even where the collection is empty or missing.
        pipeline: list[dict[str, Any]] = [
            {"$limit": 1},
            {"$facet": {"one": [{"$limit": 1}]}},
            {"$project": {"_id": 0, "now": "$$NOW"}},
        ]
        answer = next(iter(self._daemons.aggregate(pipeline)))
        if "now" in answer:
            now: datetime = answer["now"]
            return now
        # mongomock, a stand-in for tests, has no $$NOW; its clock is that of this process.
        return whole_milliseconds(datetime.now(timezone.utc))

    @translated
    def watch(self, seconds: float) -> bool:
        return self._stream.wait(seconds)

    def stop_watching(self) -> None:
        self._stream.interrupt()
