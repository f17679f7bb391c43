"""How does MongoDB count and outline runs and schedules for those who look at many of them?"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta, timezone
from typing import Any

import pymongo

from cronlite.documents.outlines import NAMES, Outline, by_schedule, read
from cronlite.documents.runs import STATES
from cronlite.documents.schedules import Document
from cronlite.store.contract import RunQuery, Timing
from cronlite.store.contract.views import LOOK_SECONDS, MAX_TIMINGS
from cronlite.store.grouping import batches
from cronlite.store.mongo.documents import id_to_store, run_from_store, schedule_from_store
from cronlite.store.mongo.failures import translated_search
from cronlite.store.mongo.indexes import DUE
from cronlite.store.mongo.listing import Listing, as_filter
from cronlite.when.clock import MILLISECOND

_PARTS = 100  # of one pipeline
_SELECTED = dict.fromkeys(NAMES, True)
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_TIMED = ("either_day", "every", "tz", "month", "minute", "hour", "day", "weekday")


class Views(Listing):
    """The contract's views."""

    @translated_search
    def outlines(self, query: RunQuery) -> list[Outline]:
        if query.limit == 0:  # which MongoDB takes for no limit
            return []
        # All states, where none is named: the index of the states then also serves the list of all runs.
        return self._outlined({"state": {"$in": STATES}} | as_filter(query), query.limit or 0)

    @translated_search
    def last_outlines(
        self, schedules: Collection[str], count: int, states: Collection[str] | None = None
    ) -> dict[str, list[Outline]]:
        outlines: list[Outline] = []
        for batch in batches(schedules, _PARTS):
            first, *others = (_last_of(id_to_store(id), count, states) for id in batch)
            unions: list[Document] = [{"$unionWith": {"coll": self._runs.name, "pipeline": part}} for part in others]
            with pymongo.timeout(LOOK_SECONDS):
                documents = list(self._runs.aggregate([*first, *unions]))
            outlines += (outline for document in documents if (outline := read(run_from_store(document))))
        return by_schedule(outlines)

    @translated_search
    def tally(self, since: datetime, until: datetime, step: timedelta) -> dict[tuple[int, str], int]:
        stated = {"state": {"$in": STATES}, "queued_at": {"$gte": since, "$lt": until}}
        steps = {"$divide": [{"$subtract": ["$queued_at", since.replace(tzinfo=None)]}, step // MILLISECOND]}
        group = {"_id": {"step": {"$floor": steps}, "state": "$state"}, "runs": {"$sum": 1}}
        with pymongo.timeout(LOOK_SECONDS):
            groups = list(self._runs.aggregate([{"$match": stated}, {"$group": group}]))
        return {(int(each["_id"]["step"]), each["_id"]["state"]): each["runs"] for each in groups}

    @translated_search
    def timings(self) -> list[Timing]:
        # Apart, as those without the field cannot be counted in an index alone.
        return [*self._timings(True), *self._timings(None)]

    def _timings(self, enabled: bool | None) -> Iterable[Timing]:
        group = {"_id": {name: f"${name}" for name in _TIMED}, "schedules": {"$sum": 1}}
        pipeline: list[Document] = [{"$match": {"enabled": enabled}}, {"$group": group}, {"$limit": MAX_TIMINGS}]
        hint = self._hints.get(DUE.name) if enabled else None
        options: dict[str, Any] = {"hint": hint} if hint else {}
        with pymongo.timeout(LOOK_SECONDS):
            groups = list(self._schedules.aggregate(pipeline, **options))
        return [Timing({n: v for n, v in each["_id"].items() if v is not None}, each["schedules"]) for each in groups]

    @translated_search
    def not_always_active(self, now: datetime, limit: int) -> list[Document]:
        # Each of these by an index of its own; were they asked whether they are enabled, the planner might read all.
        begins, ends = {"active_from": {"$gt": now}}, {"active_until": {"$gt": _EPOCH}}
        wanted = {"$or": [begins, ends, {"enabled": False, "paused_until": {"$exists": True}}]}
        picked = map(schedule_from_store, self._schedules.find(wanted, limit=limit))
        return [each for each in picked if each.get("enabled") is not False or "paused_until" in each]

    def _outlined(self, wanted: Document, limit: int) -> list[Outline]:
        with pymongo.timeout(LOOK_SECONDS):
            documents = list(self._runs.find(wanted, _SELECTED, limit=limit).sort([("queued_at", -1)]))
        return [outline for document in documents if (outline := read(run_from_store(document)))]


def _last_of(schedule: Any, count: int, states: Collection[str] | None) -> list[Document]:
    of_states: Document = {} if states is None else {"state": {"$in": list(states)}}
    own: Document = {"schedule": schedule, **of_states}
    newest: list[Document] = [{"$match": own}, {"$sort": {"queued_at": -1}}, {"$limit": count}]
    return [*newest, {"$project": _SELECTED}]
