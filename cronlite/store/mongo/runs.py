"""How does MongoDB keep the runs, hand each to one daemon, and close it?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timezone
from heapq import merge
from itertools import chain, islice
from operator import attrgetter
from typing import Any

from bson import ObjectId
from pymongo import DESCENDING, UpdateOne
from pymongo.errors import AutoReconnect, BulkWriteError, DuplicateKeyError

from cronlite.documents import runs
from cronlite.documents.runs import ABANDONED, AT_WORK, DEFAULT_QUEUE, QUEUED, RUNNING, Changes, Run
from cronlite.documents.schedules import Document
from cronlite.errors import InvalidInput, shown
from cronlite.logger import logger
from cronlite.store.alike import Alike, alike, batches
from cronlite.store.contract import RunQuery
from cronlite.store.mongo.changes import TELLING, at_once, one_by_one, shows
from cronlite.store.mongo.connection import Collections
from cronlite.store.mongo.documents import (
    id_to_store,
    of_queues,
    run_from_store,
    run_to_store,
    string_prefix,
    update,
)
from cronlite.store.mongo.failures import BAD_VALUE, BSON_OBJECT_TOO_LARGE, DUPLICATE_KEY, refusals, translated

_log = logger("cronlite.store")

_BATCH = 1_000  # each is one operation, with a time limit of its own
_LANES = 10_000
# Others may empty the same queue at the same time; whoever loses every race comes back with the next poll.
_FRUITLESS_ROUNDS = 10
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


class Runs(Collections):
    """The contract's methods on runs."""

    @translated
    def add_runs(self, runs: Sequence[Run]) -> set[str]:
        refused: set[str] = set()
        for batch in batches(runs, _BATCH):
            try:
                self._runs.insert_many(map(run_to_store, batch), ordered=False)
            except BulkWriteError as partly:
                for place, reason in refusals(partly, DUPLICATE_KEY, BAD_VALUE, BSON_OBJECT_TOO_LARGE).items():
                    refused.add(batch[place].id)
                    if reason:
                        self._record_refused(batch[place], reason)
        return refused

    def _record_refused(self, run: Run, reason: str) -> None:
        """Record a run that MongoDB does not take: its schedule came from elsewhere, and with the run's own fields it
        may be too large. It must not stop the others, nor vanish.
        """
        closed = _abandoned(run.queued_at, f"MongoDB refused it: {reason}")
        with suppress(DuplicateKeyError):
            self._runs.insert_one(run_to_store(replace(run, params={}, **closed)))

    @translated
    def at_work(self, lanes: Collection[str]) -> list[Run]:
        last: dict[str | None, Run] = {}
        for batch in batches(lanes, _LANES):
            lane = {"lane": {"$in": [id_to_store(id) for id in batch]}}
            # In the order of its index, so that it skips from lane to lane, however many runs wait in each.
            newest: list[Document] = [
                {"$sort": {"lane": 1, "due_at": -1}},
                {"$group": {"_id": "$lane", "run": {"$first": "$$ROOT"}}},
            ]
            queued = self._runs.aggregate([{"$match": {"state": QUEUED, **lane}}, *newest])
            running = self._runs.find({"state": RUNNING, **lane})
            for run in _readable(chain((group["run"] for group in queued), running)):
                if run.lane not in last or last[run.lane].due_at < run.due_at:
                    last[run.lane] = run
        return list(last.values())

    @translated
    def claim_runs(
        self,
        daemon: str,
        handlers: Collection[str],
        now: datetime,
        limit: int,
        *,
        queues: Collection[str] | None = None,
        ids: Collection[str] | None = None,
        count: Callable[[Sequence[Run]], int] = len,
    ) -> list[Run]:
        named = {} if ids is None else {"_id": {"$in": list(ids)}}
        ready = {"state": QUEUED, "handler": {"$in": list(handlers)}, "run_at": {"$lte": now}}
        ready |= {**of_queues(queues), **named}
        claimed: list[Run] = []
        for _ in range(limit // _BATCH + _FRUITLESS_ROUNDS):
            page = min(limit - len(claimed), _BATCH)
            if page <= 0:
                break
            found = list(self._runs.find(ready).sort([("run_at", 1), ("_id", 1)]).limit(page))
            first, behind = _first_in_lane(self._whole(found, now))
            self._let_wait([run.id for run in behind])
            wanted = first[: count(first)]
            claimed += self._claim(daemon, wanted, now)
            if len(found) < page or len(wanted) < len(first):
                break
        return claimed

    @translated
    def unsent_runs(
        self,
        now: datetime,
        limit: int,
        *,
        sent_before: datetime | None = None,
        queues: Collection[str] | None = None,
    ) -> list[Run]:
        sent = None if sent_before is None else {"$lt": sent_before}
        ready = {"state": QUEUED, "sent_at": sent, "run_at": {"$lte": now}, **of_queues(queues)}
        return list(self._whole(self._runs.find(ready).sort([("sent_at", 1), ("run_at", 1)]).limit(limit), now))

    def _whole(self, documents: Iterable[Document], now: datetime) -> Iterator[Run]:
        """Yield those that can be read, and close the others: they would be found first for ever."""
        for document in documents:
            try:
                yield runs.read(run_from_store(document))
            except InvalidInput as fault:
                _log.warning("run %s cannot be read, and is abandoned: %s", shown(document["_id"]), fault)
                broken = {"_id": document["_id"], "state": document["state"]}
                self._runs.update_one(broken, update(_abandoned(now, f"it cannot be read: {fault}")))

    def _claim(self, daemon: str, found: Sequence[Run], now: datetime) -> list[Run]:
        if not found:
            return []
        # Marks what this very call wins; the daemon alone would not, with two calls at the same time.
        token = ObjectId()
        taken = {"state": RUNNING, "daemon": daemon, "started_at": now, "claim": token}
        by_attempt: dict[int, list[str]] = defaultdict(list)
        for run in found:
            by_attempt[run.attempt].append(run.id)
        matched, blocked = self._update(
            [Alike(ids, _queued(attempt), {**taken, "attempt": attempt + 1}) for attempt, ids in by_attempt.items()]
        )
        self._let_wait(blocked)
        won = found if matched == len(found) else self._holding(token, found)
        for run in won:
            runs.claim(run, daemon, now)
        return list(won)

    def _holding(self, token: ObjectId, found: Sequence[Run]) -> list[Run]:
        mine = {"_id": {"$in": [run.id for run in found]}, "claim": token}
        won = {document["_id"] for document in self._runs.find(mine, {"_id": True})}
        return [run for run in found if run.id in won]

    def _let_wait(self, ids: Collection[str]) -> None:
        if ids:
            still_queued = {"_id": {"$in": list(ids)}, "state": QUEUED}
            self._runs.update_many(still_queued, {"$unset": {"run_at": "", "sent_at": ""}})

    @translated
    def change_runs(self, changes: Sequence[tuple[Run, Changes]]) -> set[str]:
        lost: set[str] = set()
        for batch in batches(changes, _BATCH):
            matched, refused = self._update(alike(batch))
            if matched < len(batch):
                lost |= self._not_made(batch) | refused
        return lost

    def _update(self, changes: Sequence[Alike]) -> tuple[int, set[str]]:
        """Make changes; return how many runs were found (with trouble on the way, perhaps fewer), and the ids of those
        that met a unique index.
        """
        try:
            # Several times as fast; but MongoDB ends one at its first conflict, and pymongo never repeats one.
            return self._runs.bulk_write([at_once(one) for one in changes], ordered=False).matched_count, set()
        except BulkWriteError as partly:
            refusals(partly, DUPLICATE_KEY)
        except AutoReconnect:
            pass  # whatever was written without an answer is not found again, and so not written twice
        ids = [id_ for one in changes for id_ in one.ids]
        singly = [operation for one in changes for operation in one_by_one(one)]
        try:
            return self._runs.bulk_write(singly, ordered=False).matched_count, set()
        except BulkWriteError as partly:
            return 0, {ids[place] for place in refusals(partly, DUPLICATE_KEY)}

    def _not_made(self, changes: Sequence[tuple[Run, Changes]]) -> set[str]:
        """Find the runs that do not show their change: it may have been made, but its answer lost, a while ago."""
        ids = {"_id": {"$in": [run.id for run, _ in changes]}}
        stored = {document["_id"]: document for document in self._runs.find(ids, dict.fromkeys(TELLING, True))}
        return {run.id for run, change in changes if not shows(stored.get(run.id), run, change)}

    @translated
    def abandon_unreadable(self, daemon: str, now: datetime) -> int:
        owned = {"state": RUNNING, "$or": [{"daemon": daemon}, {"daemon": {"$not": {"$type": "string"}}}]}
        found = list(self._runs.find(owned))
        return len(found) - sum(1 for _ in self._whole(found, now))

    @translated
    def release_lanes(self, now: datetime) -> int:
        heads = self._runs.aggregate(
            [
                {"$match": {"state": QUEUED, "run_at": None, "lane": {"$ne": None}}},
                {"$sort": {"lane": 1, "due_at": 1, "_id": 1}},
                {"$group": {"_id": "$lane", "run": {"$first": "$_id"}}},
            ]
        )
        released = 0
        for batch in batches(heads, _BATCH):
            lane = {"lane": {"$in": [head["_id"] for head in batch]}}
            going = [{"state": RUNNING, **lane}, {"state": QUEUED, "run_at": {"$type": "date"}, **lane}]
            busy = set(self._runs.distinct("lane", {"$or": going}))
            free = [
                UpdateOne({"_id": head["run"], "state": QUEUED, "run_at": None}, {"$set": {"run_at": now}})
                for head in batch
                if head["_id"] not in busy
            ]
            if free:
                released += self._runs.bulk_write(free, ordered=False).modified_count
        return released

    @translated
    def run(self, id: str) -> Run | None:
        found = self._runs.find_one({"_id": id})
        return None if found is None else runs.read(run_from_store(found))

    @translated
    def runs(self, query: RunQuery) -> Iterator[Run]:
        listed = [self._listed(query, states) for states in _apart(query.states)]
        yield from islice(merge(*listed, key=attrgetter("queued_at"), reverse=True), query.limit)

    def _listed(self, query: RunQuery, states: Collection[str] | None) -> Iterator[Run]:
        found = self._runs.find(_filter(query, states), limit=query.limit or 0, batch_size=_BATCH)
        return _readable(found.sort("queued_at", DESCENDING))

    @translated
    def count_listed(self, query: RunQuery) -> int:
        limit: dict[str, Any] = {} if query.limit is None else {"limit": query.limit}
        counts = [self._runs.count_documents(_filter(query, states), **limit) for states in _apart(query.states)]
        return min(sum(counts), sum(counts) if query.limit is None else query.limit)

    @translated
    def last_runs(self, schedules: Collection[str]) -> dict[str, Run]:
        last: dict[str, Run] = {}
        for batch in batches(schedules, _LANES):
            # In the reverse order of its index, so that it skips from schedule to schedule, whatever each has.
            newest: list[Document] = [
                {"$match": {"schedule": {"$in": [id_to_store(id) for id in batch]}}},
                {"$sort": {"schedule": -1, "queued_at": -1}},
                {"$group": {"_id": "$schedule", "run": {"$first": "$$ROOT"}}},
            ]
            found = _readable(group["run"] for group in self._runs.aggregate(newest))
            last |= {run.schedule: run for run in found if run.schedule}
        return last

    @translated
    def run_with_key(self, key: str) -> Run | None:
        found = self._runs.find_one({"key": key, "state": QUEUED, "attempt": 0})
        return None if found is None else runs.read(run_from_store(found))

    @translated
    def count_runs(self) -> dict[tuple[str, str], int]:
        return {(state, handler): n for state in AT_WORK for handler, n in self._counted(state, "$handler").items()}

    @translated
    def count_queues(self) -> dict[str, int]:
        return self._counted(QUEUED, {"$ifNull": ["$queue", DEFAULT_QUEUE]})

    def _counted(self, state: str, by: str | Document) -> dict[str, int]:
        groups = self._runs.aggregate([{"$match": {"state": state}}, {"$group": {"_id": by, "runs": {"$sum": 1}}}])
        return {group["_id"]: group["runs"] for group in groups if isinstance(group["_id"], str)}

    @translated
    def next_run_at(self, handlers: Collection[str]) -> datetime | None:
        timed = {"state": QUEUED, "handler": {"$in": list(handlers)}, "run_at": {"$gt": _EPOCH}}
        found = self._runs.find_one(timed, {"_id": False, "run_at": True}, sort=[("run_at", 1)])
        run_at = found and found["run_at"]
        return run_at.replace(tzinfo=timezone.utc) if isinstance(run_at, datetime) else None

    @translated
    def owners(self) -> set[str]:
        running = self._runs.distinct("daemon", {"state": RUNNING})
        ticking = self._ticks.distinct("daemon", {"done_at": None})
        return {owner for owner in (*running, *ticking) if isinstance(owner, str)}

    @translated
    def prune_runs(self, now: datetime) -> int:  # noqa: ARG002 - the contract's signature
        return 0  # the index on expires_at lets MongoDB do it


def _first_in_lane(found: Iterable[Run]) -> tuple[list[Run], list[Run]]:
    """Part the first run of each lane, and those without a lane, from the runs behind them."""
    first: list[Run] = []
    behind: list[Run] = []
    lanes: set[str | None] = set()
    for run in found:
        if run.lane is not None and run.lane in lanes:
            behind.append(run)
        else:
            first.append(run)
            lanes.add(run.lane)
    return first, behind


def _queued(attempt: int) -> Document:
    # A run from elsewhere may leave the attempt out.
    return {"state": QUEUED, "attempt": attempt or {"$in": [0, None]}}


def _abandoned(now: datetime, reason: str) -> Changes:
    return runs.closed(ABANDONED, now, reason=reason[:500], run_at=None)


def _readable(documents: Iterable[Document]) -> Iterator[Run]:
    for document in documents:
        try:
            yield runs.read(run_from_store(document))
        except InvalidInput:
            continue


def _apart(states: Collection[str] | None) -> list[Collection[str] | None]:
    """Part the states at work from each other: each has a small index, and together they would read all runs."""
    return [[state] for state in states] if states and set(states) <= set(AT_WORK) else [states]


def _filter(query: RunQuery, states: Collection[str] | None) -> Document:
    asked: Document = {
        "schedule": _of_schedules(query),
        "user": query.user,
        "handler": query.handler,
        "daemon": query.daemon,
        "queued_at": _between(query.since, query.until),
        "_id": string_prefix(query.prefix) if query.prefix else None,
        "state": None if states is None else {"$in": list(states)},
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
