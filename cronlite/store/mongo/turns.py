"""How does MongoDB let users take turns, and how does it count what one of them has?"""

from __future__ import annotations

from datetime import datetime

from cronlite.documents.runs import QUEUED
from cronlite.store.mongo.connection import Collections
from cronlite.store.mongo.failures import translated


class Turns(Collections):
    """The contract's methods on users."""

    @translated
    def queued_users(self, after: str | None, limit: int) -> list[str]:
        behind = {"$gte": ""} if after is None else {"$gt": after}
        # In the order of its index, so that it skips from user to user, however many runs each has.
        users = self._runs.aggregate(
            [
                {"$match": {"state": QUEUED, "user": behind}},
                {"$sort": {"state": 1, "user": 1}},
                {"$group": {"_id": "$user", "first": {"$first": "$_id"}}},
                {"$sort": {"_id": 1}},
                {"$limit": limit},
            ]
        )
        return [user["_id"] for user in users]

    @translated
    def count_queued(self, user: str, limit: int) -> int:
        return self._runs.count_documents({"state": QUEUED, "user": user}, limit=limit)

    @translated
    def count_schedules(self, user: str, limit: int) -> int:
        return self._schedules.count_documents({"user": user}, limit=limit)

    @translated
    def count_paused(self, now: datetime) -> tuple[int, int]:
        # Indexes count the former, and the server knows the latter without looking.
        lifted = self._schedules.count_documents({"enabled": False, "paused_until": {"$lte": now}})
        paused = self._schedules.count_documents({"enabled": False})
        return paused - lifted, self._schedules.estimated_document_count()
