"""How does MongoDB list runs: the few that are wanted out of millions, and all of them without holding them all?"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime
from typing import Any

from pymongo import ASCENDING, DESCENDING

from cronlite.documents.runs import LARGE, STATES, Run
from cronlite.documents.schedules import Document
from cronlite.store.contract import RunQuery
from cronlite.store.grouping import batches
from cronlite.store.mongo.documents import id_to_store, string_prefix
from cronlite.store.mongo.failures import translated_search
from cronlite.store.mongo.readable import Readable, readable

_PAGE = 500  # small enough that the first ones are soon at hand
_SCHEDULES = 10_000


class Listing(Readable):
    """The contract's lists of runs."""

    @translated_search
    def runs(self, query: RunQuery) -> Iterator[Run]:
        if query.limit == 0:  # which MongoDB takes for no limit
            return
        # All states, where none is named: the index of the states then also serves the list of all runs.
        wanted = {"state": {"$in": STATES}} | as_filter(query)
        order = ("_id", ASCENDING) if query.prefix else ("queued_at", DESCENDING)
        left_out = dict.fromkeys(LARGE, 0) if query.brief else None
        listed = self._runs.find(wanted, left_out, query.skip, query.limit or 0, batch_size=_PAGE).sort([order])
        # An index gives the order; where it is lacking, the sort may need more than memory.
        yield from readable(listed.allow_disk_use(True))

    @translated_search
    def count_listed(self, query: RunQuery) -> int:
        limit: dict[str, Any] = {} if query.limit is None else {"limit": query.limit}
        return self._runs.count_documents(as_filter(query), **limit)

    @translated_search
    def last_runs(self, schedules: Collection[str]) -> dict[str, Run]:
        last: dict[str, Run] = {}
        for batch in batches(schedules, _SCHEDULES):
            # In the reverse order of its index, so that it skips from schedule to schedule, whatever each has.
            newest: list[Document] = [
                {"$match": {"schedule": {"$in": [id_to_store(id) for id in batch]}}},
                {"$sort": {"schedule": -1, "queued_at": -1}},
                {"$group": {"_id": "$schedule", "run": {"$first": "$$ROOT"}}},
            ]
            groups = self._runs.aggregate(newest, allowDiskUse=True)
            last |= {run.schedule: run for run in readable(group["run"] for group in groups) if run.schedule}
        return last


def as_filter(query: RunQuery) -> Document:
    asked: Document = {
        "schedule": _of_schedules(query),
        "user": query.user,
        "handler": query.handler,
        "daemon": query.daemon,
        "queued_at": _between(query.since, query.until),
        "_id": string_prefix(query.prefix) if query.prefix else None,
        "retry_of": None if query.retry_of is None else {"$in": list(query.retry_of)},
        "state": None if query.states is None else {"$in": list(query.states)},
    }
    return {name: value for name, value in asked.items() if value is not None}


def _of_schedules(query: RunQuery) -> Any:
    if query.schedules is None:
        return None if query.schedule is None else id_to_store(query.schedule)
    wanted = {query.schedule} & set(query.schedules) if query.schedule is not None else query.schedules
    return {"$in": [id_to_store(id) for id in wanted if id is not None]}


def _between(since: datetime | None, until: datetime | None) -> Document | None:
    bounds = {"$gte": since, "$lt": until}
    return {operator: bound for operator, bound in bounds.items() if bound is not None} or None
