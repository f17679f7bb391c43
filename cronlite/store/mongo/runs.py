"""How does MongoDB keep the runs, hand each to one daemon, and close it?"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timezone

from bson import ObjectId
from pymongo.errors import AutoReconnect, BulkWriteError, DuplicateKeyError

from cronlite.documents import limits, runs, transitions
from cronlite.documents.limits import Slot
from cronlite.documents.runs import AT_WORK, DEFAULT_QUEUE, QUEUED, RUNNING, Changes, Run
from cronlite.documents.schedules import Document
from cronlite.logger import logger
from cronlite.store.contract import Backlog, ClaimQuery, UnsentQuery
from cronlite.store.grouping import TELLING, SharedChange, batches, shared
from cronlite.store.mongo.documents import (
    id_to_store,
    of_queues,
    run_from_store,
    run_to_store,
)
from cronlite.store.mongo.failures import (
    BAD_VALUE,
    BSON_OBJECT_TOO_LARGE,
    DUPLICATE_KEY,
    refusals,
    translated,
    translated_search,
)
from cronlite.store.mongo.indexes import CLAIM
from cronlite.store.mongo.lots import Lots
from cronlite.store.mongo.readable import Readable, abandoned, readable
from cronlite.store.mongo.run_changes import shows, written_at_once, written_singly
from cronlite.store.mongo.turns import Turns
from cronlite.store.turns import MOST_LOTS

_log = logger("cronlite.store")

_BATCH = 1_000  # each is one operation, with a time limit of its own
# Others may empty the same queue at the same time; whoever loses every race comes back with the next poll.
_FRUITLESS_ROUNDS = 10
_MERGED = 200  # scans of an index, by which MongoDB finds the first of several ranges without sorting them
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


class Runs(Readable, Lots, Turns):
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
        closed = abandoned(run.queued_at, f"MongoDB refused it: {reason}")
        with suppress(DuplicateKeyError):
            self._runs.insert_one(run_to_store(replace(run, params={}, **closed)))

    @translated
    def claim_runs(self, daemon: str, query: ClaimQuery) -> list[Run]:
        named = {} if query.ids is None else {"_id": {"$in": list(query.ids)}}
        ready = {"state": QUEUED, "handler": {"$in": list(query.handlers)}, "run_at": {"$lte": query.now}}
        ready |= {**of_queues(query.queues), **named}
        claimed: list[Run] = []
        for _ in range(query.limit // _BATCH + _FRUITLESS_ROUNDS):
            page = min(query.limit - len(claimed), _BATCH)
            if page <= 0:
                break
            oldest, slots = self._next(ready, page, query)
            first, behind = _first_in_lane(self._read_or_abandon(oldest, query.now))
            self._let_wait([run.id for run in behind])
            wanted = first[: query.count(first)]
            won = self._claim(daemon, wanted, slots, query.now)
            claimed += won
            # Those that do not start after all kept slots from others.
            is_whole = not slots or len(won) == len(oldest)
            if (len(oldest) < page and is_whole) or len(wanted) < len(first):
                break
        return claimed

    @translated
    def unsent_runs(self, query: UnsentQuery) -> list[Run]:
        sent = None if query.sent_before is None else {"$lt": query.sent_before}
        # Workers look for runs with a limit themselves: a message does not wait for a slot.
        ready = {"state": QUEUED, "lot": {"$in": list(limits.PLAIN_LOTS)}, "sent_at": sent}
        ready |= {"run_at": {"$lte": query.now}, **of_queues(query.queues)}
        unsent = self._runs.find(ready).sort([("sent_at", 1), ("run_at", 1)]).limit(query.limit)
        return list(self._read_or_abandon(unsent, query.now))

    @translated
    def late_runs(self, now: datetime, limit: int) -> list[Run]:
        late: Document = {"late_at": {"$lte": now}}
        waiting = self._runs.find({"state": QUEUED, **late, "attempt": 0}).sort("late_at").limit(limit)
        running = self._runs.find({"state": RUNNING, **late}).limit(limit)
        return [*readable(waiting), *readable(running)]

    def _claim(self, daemon: str, wanted: Sequence[Run], slots: Mapping[str, Slot], now: datetime) -> list[Run]:
        if not wanted:
            return []
        # Marks what this very call wins; the daemon alone would not, with two calls at the same time.
        token = ObjectId()
        taken = {"state": RUNNING, "daemon": daemon, "started_at": now, "claim": token}
        alike: dict[tuple[int, str | None], SharedChange] = {}
        for run in wanted:
            slot = {"slot": slots[run.id]} if run.id in slots else {}  # nobody else's, so that it is written singly
            change = SharedChange([], _queued(run.attempt), {**taken, "attempt": run.attempt + 1, **slot})
            alike.setdefault((run.attempt, run.id if slot else None), change).ids.append(run.id)
        matched, blocked = self._update(list(alike.values()))
        self._let_wait(self._behind_their_lane([run for run in wanted if run.id in blocked], slots))
        won = wanted if matched == len(wanted) else self._holding(token, wanted)
        for run in won:
            transitions.claim(run, daemon, now)
        return list(won)

    def _behind_their_lane(self, blocked: Sequence[Run], slots: Mapping[str, Slot]) -> list[str]:
        """Tell which of the runs that met a unique index met that of the lanes; the others lost a slot to another."""
        doubtful = [id_to_store(run.lane) for run in blocked if run.lane and run.id in slots]
        busy = set(self._runs.distinct("lane", {"state": RUNNING, "lane": {"$in": doubtful}})) if doubtful else set()
        return [
            run.id for run in blocked if run.id not in slots or (run.lane is not None and id_to_store(run.lane) in busy)
        ]

    def _holding(self, token: ObjectId, wanted: Sequence[Run]) -> list[Run]:
        mine = {"_id": {"$in": [run.id for run in wanted]}, "claim": token}
        won = {document["_id"] for document in self._runs.find(mine, {"_id": True})}
        return [run for run in wanted if run.id in won]

    def _let_wait(self, ids: Collection[str]) -> None:
        if ids:
            waits = SharedChange(list(ids), {"state": QUEUED}, {"run_at": None, "sent_at": None})
            self._runs.bulk_write(list(written_at_once([waits])), ordered=False)

    @translated
    def change_runs(self, changes: Sequence[tuple[Run, Changes]]) -> set[str]:
        lost: set[str] = set()
        for batch in batches(changes, _BATCH):
            matched, refused = self._update(shared(batch))
            if matched < len(batch):
                lost |= self._not_made(batch) | refused
        return lost

    def _update(self, changes: Sequence[SharedChange]) -> tuple[int, set[str]]:
        """Make changes; return how many runs were found (with trouble on the way, perhaps fewer), and the ids of those
        that met a unique index.
        """
        try:
            # Several times as fast; but MongoDB ends one at its first conflict, and pymongo never repeats one.
            return self._runs.bulk_write(list(written_at_once(changes)), ordered=False).matched_count, set()
        except BulkWriteError as partly:
            refusals(partly, DUPLICATE_KEY)
        except (AutoReconnect, NotImplementedError):  # the latter by mongomock, which cannot look values up
            pass  # whatever was written without an answer is not found again, and so not written twice
        ids = [id for change in changes for id in change.ids]
        singly = [operation for change in changes for operation in written_singly(change)]
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
    def watch_output(self, id: str, until: datetime) -> bool:
        later = {"$max": {"watched_until": until}}
        return self._runs.update_one({"_id": id, "state": RUNNING}, later).matched_count > 0

    @translated
    def watched(self, ids: Collection[str], now: datetime) -> set[str]:
        followed = {"_id": {"$in": list(ids)}, "watched_until": {"$gt": now}}
        return {document["_id"] for document in self._runs.find(followed, {"_id": True})}

    @translated
    def abandon_unreadable(self, daemon: str, now: datetime) -> int:
        owned = {"state": RUNNING, "$or": [{"daemon": daemon}, {"daemon": {"$not": {"$type": "string"}}}]}
        running = list(self._runs.find(owned))
        return len(running) - sum(1 for _ in self._read_or_abandon(running, now))

    @translated
    def run(self, id: str) -> Run | None:
        document = self._runs.find_one({"_id": id})
        return None if document is None else runs.read(run_from_store(document))

    @translated
    def run_with_key(self, key: str) -> Run | None:
        document = self._runs.find_one({"key": key, "state": QUEUED, "attempt": 0})
        return None if document is None else runs.read(run_from_store(document))

    @translated_search
    def count_runs(self) -> dict[tuple[str, str], int]:
        return {(state, handler): n for state in AT_WORK for handler, n in self._counted(state, "$handler").items()}

    @translated_search
    def count_queues(self) -> dict[str, int]:
        return self._counted(QUEUED, {"$ifNull": ["$queue", DEFAULT_QUEUE]})

    @translated_search
    def backlog(self) -> dict[str, Backlog]:
        # What somebody wrote by hand may be no date, and would come first.
        since = {"$min": {"$cond": [{"$gt": ["$run_at", _EPOCH.replace(tzinfo=None)]}, "$run_at", None]}}
        of_queue = {"_id": {"$ifNull": ["$queue", DEFAULT_QUEUE]}, "runs": {"$sum": 1}, "since": since}
        groups = self._runs.aggregate([{"$match": {"state": QUEUED}}, {"$group": of_queue}])
        return {
            group["_id"]: Backlog(group["runs"], _utc(group["since"]))
            for group in groups
            if isinstance(group["_id"], str)
        }

    def _counted(self, state: str, by: str | Document) -> dict[str, int]:
        groups = self._runs.aggregate([{"$match": {"state": state}}, {"$group": {"_id": by, "runs": {"$sum": 1}}}])
        return {group["_id"]: group["runs"] for group in groups if isinstance(group["_id"], str)}

    @translated
    def next_run_at(self, handlers: Collection[str]) -> datetime | None:
        timed = {"state": QUEUED, "handler": {"$in": list(handlers)}, "run_at": {"$gt": _EPOCH}}
        run_ats = {"_id": False, "run_at": True}
        lots = [None, *self._queued_lots()[:MOST_LOTS]]
        self._lots_are_few = len(lots) * len(handlers) <= _MERGED and len(lots) <= MOST_LOTS
        found = (
            next(self._in_order({**timed, "lot": {"$in": some}}, CLAIM, 1, run_ats), None)
            for some in batches(lots, max(1, _MERGED // max(1, len(handlers))))
        )
        return min((at for earliest in found if earliest and (at := _utc(earliest["run_at"]))), default=None)

    @translated
    def owners(self) -> set[str]:
        running = self._runs.distinct("daemon", {"state": RUNNING})
        ticking = self._ticks.distinct("daemon", {"done_at": None})
        return {owner for owner in (*running, *ticking) if isinstance(owner, str)}

    @translated
    def prune_runs(self, now: datetime) -> int:  # noqa: ARG002 - the contract's signature
        return 0  # the index on expires_at lets MongoDB do it


def _first_in_lane(ready: Iterable[Run]) -> tuple[list[Run], list[Run]]:
    """Part the first run of each lane, and those without a lane, from the runs behind them."""
    first: list[Run] = []
    behind: list[Run] = []
    lanes: set[str | None] = set()
    for run in ready:
        if run.lane is not None and run.lane in lanes:
            behind.append(run)
        else:
            first.append(run)
            lanes.add(run.lane)
    return first, behind


def _utc(run_at: object) -> datetime | None:
    return run_at.replace(tzinfo=timezone.utc) if isinstance(run_at, datetime) else None


def _queued(attempt: int) -> Document:
    # A run from elsewhere may leave the attempt out.
    return {"state": QUEUED, "attempt": attempt or {"$in": [0, None]}}
