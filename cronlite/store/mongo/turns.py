"""How does MongoDB let users take turns, and how does it count what one of them has?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime

from cronlite.documents.runs import QUEUED
from cronlite.documents.schedules import Document
from cronlite.store.mongo.connection import Collections
from cronlite.store.mongo.failures import translated
from cronlite.store.turns import in_turns, share


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

    def _oldest(self, ready: Document, limit: int, users: Sequence[str]) -> list[Document]:
        """Find the oldest of the runs that are ready; of several users, as many of each, and in turns."""
        sort = [("run_at", 1), ("_id", 1)]
        if not users:
            return list(self._runs.find(ready).sort(sort).limit(limit))
        cut: list[Document] = [{"$sort": dict(sort)}, {"$limit": share(limit, users)}]
        first, *others = ([{"$match": {**ready, "user": user}}, *cut] for user in users)
        unions: list[Document] = [
            {"$unionWith": {"coll": self._runs.name, "pipeline": pipeline}} for pipeline in others
        ]
        of_each: dict[str, list[Document]] = defaultdict(list)
        for document in self._runs.aggregate([*first, *unions]):
            of_each[document["user"]].append(document)
        oldest = in_turns([of_each[user] for user in users], limit)
        if len(oldest) < limit:  # some have fewer than their share: the rest is for whoever came first
            known = {document["_id"] for document in oldest}
            more = self._runs.find(ready).sort(sort).limit(limit)
            oldest += [document for document in more if document["_id"] not in known][: limit - len(oldest)]
        return oldest
