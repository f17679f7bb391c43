"""What do the tests put into a store, and how do they get it out?"""

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

from cronlite.documents import ids, new_runs, runs, schedules
from cronlite.documents.daemons import DaemonRecord
from cronlite.documents.runs import RUNNING, Run
from cronlite.documents.schedules import Document
from cronlite.documents.ticks import Tick
from cronlite.store.contract import ClaimQuery, Store

NOW = datetime(2026, 11, 21, 2, 30, 1, 250_000, tzinfo=timezone.utc)
TICK = datetime(2026, 11, 21, 2, 30, tzinfo=timezone.utc)
MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)
LANE, OTHER = "66a1b2c3d4e5f60718293a4b", "nightly"
HANDLERS = ["extract"]


def a_schedule(**given: Any) -> Document:
    """A schedule's document as cronlite writes it."""
    return schedules.new(now=NOW, **given).document()


def a_foreign_schedule(**given: Any) -> Document:
    """A document as another program may write it: nothing in it but an id and what is given."""
    return {"_id": ids.new_id(), **given}


def a_run(id: str = "", **given: Any) -> Run:
    """A queued run on demand that may start at NOW."""
    due = {"handler": "extract", "params": {}, "due_at": TICK, "queued_at": NOW, "run_at": NOW}
    return Run(id=id or ids.new_id(), **{**due, **given})


def a_run_in(lane: str, /, **given: Any) -> Run:
    """A queued run of a schedule; one is named by its lane and its tick."""
    tick = given.get("due_at", TICK)
    return a_run(new_runs.scheduled_id(lane, tick), **{"schedule": lane, "lane": lane, **given})


def a_running(lane: str, /, daemon: str = "d1", **given: Any) -> Run:
    """A run of a schedule that a daemon has claimed."""
    return a_run_in(lane, **{"state": runs.RUNNING, "daemon": daemon, "attempt": 1, "started_at": NOW, **given})


def a_tick(minute: datetime = TICK, daemon: str = "d1", **given: Any) -> Tick:
    """An entry of the ledger."""
    return Tick(minute=minute, daemon=daemon, **{"claimed_at": NOW, **given})


def a_daemon(id: str = "d1", **given: Any) -> DaemonRecord:
    """A daemon that has just started."""
    who = {"host": "localhost", "pid": 42, "version": "0.1.0", "started_at": NOW, "handlers": ["extract"], "seats": 4}
    who["declared"] = []
    return DaemonRecord(id=id, **{**who, **given})


def add(store: Store, *given: Run) -> None:
    refused = store.add_runs(given)
    assert refused == set()


def stored(store: Store, run: Run | str) -> Run:
    found = store.run(run if isinstance(run, str) else run.id)
    assert found is not None
    return found


def claim(store: Store, daemon: str = "d1", limit: int = 100, handlers: list[str] = HANDLERS) -> list[str]:
    return [run.id for run in store.claim_runs(daemon, ClaimQuery(handlers, NOW, limit))]


def claimed(run: Run, daemon: str = "d1") -> Run:
    return replace(run, state=RUNNING, daemon=daemon, attempt=run.attempt + 1, started_at=NOW)
