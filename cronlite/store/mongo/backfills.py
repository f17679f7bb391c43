"""How does MongoDB find the runs that a backfill asks for?"""

from __future__ import annotations

from collections.abc import Collection

from cronlite.documents.runs import QUEUED, Run
from cronlite.documents.schedules import Document
from cronlite.store.mongo.connection import Collections
from cronlite.store.mongo.failures import translated, translated_search
from cronlite.store.mongo.readable import readable


class Backfills(Collections):
    """The contract's methods on backfills."""

    @translated
    def known_runs(self, ids: Collection[str]) -> dict[str, str]:
        documents = self._runs.find({"_id": {"$in": list(ids)}}, {"state": True})
        return {document["_id"]: str(document.get("state")) for document in documents}

    @translated_search
    def count_backfill(self, backfill: str) -> dict[str, int]:
        of_it: list[Document] = [{"$match": {"backfill": backfill}}, {"$group": {"_id": "$state", "runs": {"$sum": 1}}}]
        return {group["_id"]: group["runs"] for group in self._runs.aggregate(of_it) if isinstance(group["_id"], str)}

    @translated
    def queued_of_backfill(self, backfill: str, limit: int) -> list[Run]:
        return list(readable(self._runs.find({"backfill": backfill, "state": QUEUED}).limit(limit)))
