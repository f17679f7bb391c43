"""Does each store count what a scrape asks it for?"""

from __future__ import annotations

import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest

from cronlite.documents.runs import SUCCEEDED
from cronlite.store import open_store
from cronlite.store.contract import ClaimQuery, RunQuery, Store
from cronlite.store.sqlite import connection, opening
from tests.store.samples import LANE, NOW, a_foreign_schedule, a_run, a_running, a_schedule, add

SECOND = timedelta(seconds=1)


def test_a_backlog_tells_how_many_wait_and_since_when_the_oldest_may_start(store: Store) -> None:
    assert store.backlog() == {}
    add(store, a_run(run_at=NOW + SECOND), a_run(run_at=NOW), a_run(run_at=None), a_run(queue="mail", run_at=None))
    add(store, a_running(LANE, run_at=NOW - SECOND), a_run(state=SUCCEEDED, run_at=NOW - SECOND))
    assert store.backlog() == {"default": (3, NOW), "mail": (1, None)}


def test_paused_schedules_are_counted_apart(store: Store) -> None:
    assert store.count_paused(NOW) == (0, 0)
    lifted = a_schedule(enabled=False, paused_until=NOW)
    paused = a_schedule(enabled=False, paused_until=NOW + SECOND)
    for schedule in (
        lifted,
        paused,
        a_schedule(),
        a_schedule(enabled=False),
        a_schedule(enabled=True),
        a_foreign_schedule(),
    ):
        store.add_schedule(schedule)
    assert store.count_paused(NOW) == (2, 6)


def test_a_run_keeps_the_trace_of_whoever_asked_and_no_other_text(store: Store) -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    add(store, a_run("traced", traceparent=trace), a_run("foreign", traceparent="00-x"), a_run("none"))
    assert {run.id: run.traceparent for run in store.runs(RunQuery())} == {
        "traced": trace,
        "foreign": None,
        "none": None,
    }
    assert {run.traceparent for run in store.claim_runs("d1", ClaimQuery(["extract"], NOW, 9))} == {trace, None}


def test_a_backlog_is_counted_while_others_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = open_store(f"sqlite:{tmp_path / 'cronlite.db'}")
    add(store, a_run("queued"))
    goes_on, begun, open_database = threading.Event(), threading.Event(), opening.open_database

    def slow(path: Path | None) -> sqlite3.Connection:
        begun.set()
        assert goes_on.wait(60)
        return open_database(path)

    monkeypatch.setattr(connection, "open_database", slow)
    with ThreadPoolExecutor(1) as pool:
        counted = pool.submit(store.backlog)
        assert begun.wait(60)
        add(store, a_run("meanwhile"))
        assert not counted.done()
        goes_on.set()
        assert counted.result(60)["default"].runs == 2
    store.close()
