"""How does MongoDB keep limits, and which slots are free under them?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from typing import Any

from cronlite.documents import limits
from cronlite.documents.limits import Limit
from cronlite.documents.runs import QUEUED, RUNNING
from cronlite.store.mongo.connection import Collections
from cronlite.store.mongo.failures import translated


class Limits(Collections):
    """The contract's methods on limits."""

    @translated
    def set_limit(self, limit: Limit) -> None:
        self._limits.replace_one({"_id": limit.name}, limits.document(limit), upsert=True)

    @translated
    def remove_limit(self, name: str) -> bool:
        return self._limits.delete_one({"_id": name}).deleted_count == 1

    @translated
    def limits(self, names: Collection[str] | None = None) -> list[Limit]:
        return self._set_limits(names)

    @translated
    def count_limited(self, names: Collection[str]) -> dict[str, int]:
        return {name: len(slots) for name, slots in self._taken(names).items()}

    @translated
    def count_waiting(self, name: str, limit: int) -> int:
        return self._runs.count_documents({"state": QUEUED, "lot": {"$in": limits.lots(name)}}, limit=limit)

    @translated
    def queued_limits(self) -> set[str]:
        return {name for lot in self._queued_lots() if (name := limits.limit_of(lot))}

    def _queued_lots(self) -> list[str]:
        """List the lots in use but the ordinary one, by a look into the index for each."""
        return [lot for lot in self._runs.distinct("lot", {"state": QUEUED}) if isinstance(lot, str)]

    def _free_slots(self, names: Collection[str]) -> Mapping[str, list[int]]:
        """Look up which slots are free under those of the names whose limit is set."""
        most = {limit.name: limit.most for limit in self._set_limits(names)}
        taken = self._taken(list(most))
        return {name: limits.free_slots(most[name], taken[name]) for name in most}

    def _set_limits(self, names: Collection[str] | None) -> list[Limit]:
        asked = {} if names is None else {"_id": {"$in": list(names)}}
        return [limit for document in self._limits.find(asked).sort("_id", 1) if (limit := limits.read(document))]

    def _taken(self, names: Collection[str]) -> defaultdict[str, list[Any]]:
        """List the slots that are taken under some names. Each run that is at work under a limit has one."""
        taken = defaultdict[str, list[Any]](list)
        running = {"state": RUNNING, "limit": {"$in": list(names)}, "slot": {"$exists": True}}
        for run in self._runs.find(running, {"_id": False, "limit": True, "slot": True}) if names else ():
            taken[run["limit"]].append(run["slot"])
        return taken
