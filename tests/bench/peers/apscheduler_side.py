# mypy: ignore-errors
"""APScheduler's side of the benchmarks; it runs in a venv of its own, so nothing of the tests is imported.

`python apscheduler_side.py fill|burst|idle SETTINGS`; the last line on stdout is the answer. Tuned as its documentation
has it: a misfire_grace_time that no delay exceeds, a larger thread pool, coalescing.
"""

import itertools
import json
import os
import pickle
import sys
import threading
import time
from datetime import datetime, timezone
from pathlib import Path

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.jobstores.mongodb import MongoDBJobStore
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.cron import CronTrigger
from bson import Binary

FILL_AT_ONCE = 10_000
GRACE_SECONDS = 86_400

calls = itertools.count(1)
called = [0, 0.0]


def nightly(dataset):
    called[:] = next(calls), time.perf_counter()


def scheduler_on(settings):
    store = MongoDBJobStore(database=settings["database"], host=settings["uri"])
    return BackgroundScheduler(
        timezone=timezone.utc,
        jobstores={"default": store},
        executors={"default": ThreadPoolExecutor(settings.get("threads", 20))},
        job_defaults={"misfire_grace_time": GRACE_SECONDS, "coalesce": True},
    ), store


def fill(settings):
    """Store jobs as `add_job` does, but many at a time: their documents differ in id and params only."""
    scheduler, store = scheduler_on(settings)
    scheduler.start(paused=True)
    due = datetime.fromtimestamp(settings["due_at"], timezone.utc)
    trigger = CronTrigger(hour=due.hour, minute=due.minute, timezone=timezone.utc)
    job = scheduler.add_job(nightly, trigger, kwargs={"dataset": ""}, id="first", next_run_time=due)
    state = job.__getstate__()
    scheduler.remove_job("first")
    for first in range(0, settings["stored"], FILL_AT_ONCE):
        numbers = range(first, min(first + FILL_AT_ONCE, settings["stored"]))
        store.collection.insert_many([_document(state, number) for number in numbers], ordered=False)
    return {"filled": settings["stored"]}


def _document(state, number):
    own = {**state, "id": f"job-{number}", "kwargs": {"dataset": f"set-{number}"}}
    job_state = Binary(pickle.dumps(own, pickle.HIGHEST_PROTOCOL))
    return {"_id": own["id"], "next_run_time": state["next_run_time"].timestamp(), "job_state": job_state}


def burst(settings):
    scheduler, store = scheduler_on(settings)
    scheduler.start()
    idle, ahead = resident("VmRSS"), settings["due_at"] - time.time()
    started, limit = time.perf_counter() + ahead, time.monotonic() + ahead + settings["limit_seconds"]
    while (called[0] < settings["stored"] or _unsaved(store)) and time.monotonic() < limit:
        time.sleep(0.05)
    saved = time.perf_counter()
    return {
        "ready_seconds_before": ahead,
        "calls": called[0],
        "called_seconds": called[1] - started,
        "saved_seconds": saved - started,
        "idle_mb": idle,
        "peak_mb": resident("VmHWM"),
    }


def _unsaved(store):
    return store.collection.find_one({"next_run_time": {"$lte": time.time()}}, ["_id"])


def idle(settings):
    scheduler, _ = scheduler_on(settings)
    scheduler.start()
    time.sleep(settings["settle_seconds"])
    before = time.process_time()
    time.sleep(settings["seconds"])
    return {"cpu_seconds": time.process_time() - before, "resident_mb": resident("VmRSS")}


def resident(field):
    with Path("/proc/self/status").open() as status:
        return next(int(line.split()[1]) for line in status if line.startswith(field)) / 1024


def end_with_parent():
    sys.stdin.read()
    os._exit(1)


if __name__ == "__main__":
    threading.Thread(target=end_with_parent, daemon=True).start()
    what, given = {"fill": fill, "burst": burst, "idle": idle}[sys.argv[1]], json.loads(sys.argv[2])
    print(json.dumps(what(given)), flush=True)
    os._exit(0)
