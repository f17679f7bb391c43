"""What does MongoDB itself cost? Such documents and guarantees by pymongo alone, none of the product."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from itertools import islice
from typing import Any

from bson import ObjectId
from pymongo import MongoClient, UpdateOne, WriteConcern
from pymongo.collection import Collection

Document = dict[str, Any]

AT_ONCE = 1_000
HANDLER = "floor"  # which no daemon has
_KEPT = timedelta(days=30)


def burst(uri: str, indexes: list[tuple[list[tuple[str, int]], Document]]) -> dict[str, float]:
    """Read the due schedules, insert a running run for each, call nothing, and write each outcome by its fence."""
    with MongoClient[Document](uri) as client:
        database = client.get_default_database(write_concern=WriteConcern(w="majority", j=True))
        runs: Collection[Document] = database["runs"]
        runs.drop()
        for keys, options in indexes:
            runs.create_index([(name, direction) for name, direction in keys], **options)
        started, calls = time.perf_counter(), 0
        due = database["schedules"].find({"minute": 30, "hour": 2, "enabled": True}, batch_size=AT_ONCE)
        while batch := [_run(schedule) for schedule in islice(due, AT_ONCE)]:
            runs.insert_many(batch, ordered=False)
            calls += len(batch)
            called = time.perf_counter()
            runs.bulk_write([_finished(run) for run in batch], ordered=False)
        stored = time.perf_counter()
    return {"calls": calls, "called_seconds": called - started, "stored_seconds": stored - started}


def queue(uri: str, count: int, pauses: Sequence[float]) -> dict[str, Any]:
    """Insert queued runs one by one among our indexes; then more, each after a pause, and claim these at once."""
    waited = []
    with MongoClient[Document](uri) as client:
        runs = client.get_default_database(write_concern=WriteConcern(w="majority", j=True))["runs"]
        started = time.perf_counter()
        for _ in range(count):
            runs.insert_one(_queued())
        inserted = time.perf_counter() - started
        for pause in pauses:
            time.sleep(pause)
            run, asked = _queued(), time.perf_counter()
            runs.insert_one(run)
            fence = {"_id": run["_id"], "state": "queued", "attempt": 0}
            runs.update_one(fence, {"$set": {"state": "running", "daemon": "floor", "attempt": 1}})
            waited.append(time.perf_counter() - asked)
        runs.delete_many({"handler": HANDLER})
    return {"per_second": count / inserted, "waited": waited}


def _queued() -> Document:
    now = datetime.now(timezone.utc)
    return {
        "_id": str(ObjectId()),
        "handler": HANDLER,
        "params": {},
        "due_at": now,
        "queued_at": now,
        "run_at": now,
        **dict.fromkeys(("attempt", "crashes", "failures", "retries"), 0),
        "user": "",
        "queue": "default",
        "state": "queued",
        "overlap": "skip",
        "retry_delay_seconds": 60,
        "on_crash": "retry",
    }


def _run(schedule: Document) -> Document:
    now = datetime.now(timezone.utc)
    copied = {name: schedule[name] for name in ("user", "handler", "params", "overlap", "retries", "on_crash")}
    return {
        "_id": f"{schedule['_id']}@2027-03-03T02:30Z",
        "schedule": schedule["_id"],
        "lane": schedule["_id"],
        **copied,
        "due_at": now,
        "queued_at": now,
        "run_at": now,
        "started_at": now,
        "state": "running",
        "daemon": "floor",
        "attempt": 1,
        "crashes": 0,
        "failures": 0,
    }


def _finished(run: Document) -> UpdateOne:
    now = datetime.now(timezone.utc)
    fence = {"_id": run["_id"], "state": "running", "daemon": "floor", "attempt": 1}
    return UpdateOne(fence, {"$set": {"state": "succeeded", "finished_at": now, "expires_at": now + _KEPT}})
