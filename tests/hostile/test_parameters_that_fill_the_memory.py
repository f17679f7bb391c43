"""Attacks on memory: large params cost neither a daemon that has no handler for them, nor anybody else's runs."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from cronlite import Cronlite, InvalidInput
from cronlite.daemon import batches
from cronlite.daemon.ticking import Inserts, Periods, Ticker
from cronlite.documents import checks, schedules
from cronlite.documents.runs import Run
from cronlite.documents.schedules import Document
from cronlite.store import open_store
from cronlite.store.contract import RunQuery, Store
from cronlite.store.mongo import MongoStore
from cronlite.store.sqlite import SqliteStore
from cronlite.store.sqlite.tables import SCHEDULES
from cronlite.when.clock import MINUTE

NOW = datetime(2026, 11, 21, 2, 30, 1, tzinfo=timezone.utc)
MADE = NOW - timedelta(days=1)
MEGABYTE = 1024 * 1024


@pytest.fixture(params=["sqlite", pytest.param("mongod", marks=pytest.mark.mongod)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """A store of either kind, with one schedule of alice that is due every minute."""
    uri = f"sqlite:{tmp_path / 'cronlite.db'}"
    if request.param == "mongod":
        uri = request.getfixturevalue("mongo_uri")
    opened = open_store(uri)
    opened.prepare()
    opened.add_schedule(schedules.new(now=MADE, user="alice").document() | {"_id": "alice"})
    yield opened
    opened.close()


@pytest.fixture
def _no_limit_of_another_test(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "_set_bytes", None)


def write(store: Store, document: Document) -> None:
    """Write a document without going through the door."""
    if isinstance(store, MongoStore):
        store._schedules.insert_one(document)
    elif isinstance(store, SqliteStore):
        with store._write() as connection:
            connection.execute(SCHEDULES.insert(), SCHEDULES.row(document))


def a_daemon(store: Any) -> Ticker:
    periods = Periods(timedelta(minutes=1), timedelta(hours=1))
    return Ticker(store, Inserts(store.add_runs), lambda: "d1", lambda _: False, periods)


def runs_of(store: Store) -> list[str]:
    return [run.id.partition("@")[0] for run in store.runs(RunQuery())]


@pytest.mark.usefixtures("_no_limit_of_another_test")
def test_params_over_the_limit_are_refused_at_the_door_and_the_limit_can_be_set(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    large = {"text": "x" * 100_000}
    with Cronlite("memory:") as cron:
        for refused in (lambda: cron.enqueue("h", large), lambda: cron.schedule("eve", large)):
            with pytest.raises(InvalidInput, match=r"params: .* 100012 bytes of JSON, more than 65536"):
                refused()
        monkeypatch.setenv(checks.PARAMS_VARIABLE, "200000")
        cron.enqueue("h", large)
        monkeypatch.setenv(checks.PARAMS_VARIABLE, "lots")
        with pytest.raises(InvalidInput, match="CRONLITE_MAX_PARAMS_BYTES: 'lots'"):
            cron.enqueue("h", {})
    with Cronlite("memory:", max_params_bytes=10) as cron, pytest.raises(InvalidInput, match="more than 10"):
        cron.enqueue("h", {"text": "four"})
    with pytest.raises(InvalidInput, match="max_params_bytes"):
        Cronlite("memory:", max_params_bytes=2**30)


@pytest.mark.usefixtures("_no_limit_of_another_test")
def test_what_the_door_lets_in_is_never_set_aside(seed: Any) -> None:
    def some(depth: int) -> Any:
        kind = seed.randrange(7 if depth < 4 else 5)
        if kind == 5:
            return [some(depth + 1) for _ in range(seed.randrange(4))]
        if kind == 6:
            return {f"k{seed.randrange(99)}ü": some(depth + 1) for _ in range(seed.randrange(4))}
        return (None, True, seed.randrange(10), 0.5, 'ü\n"')[kind]

    for _ in range(500):
        params = {"of": some(0)}
        for most in range(200):
            checks.limit_params(most)
            try:
                checks.check_params(params)
            except InvalidInput:
                continue
            assert checks.params(params) is None, (most, params)
            break


def test_foreign_documents_with_large_params_are_set_aside_and_not_held_all_at_once(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    model = schedules.new(now=MADE, user="eve", handler="unknown").document()
    for number in range(12):
        write(store, {**model, "_id": f"eve{number}", "params": {"text": "x" * (5 * MEGABYTE)}})
    daemon = a_daemon(store)
    tracemalloc.start()
    try:
        daemon.step(NOW)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert runs_of(store) == ["alice"]
    told = [record.getMessage() for record in caplog.records if "eve3" in record.getMessage()]
    assert len(told) == 1
    assert "params: " in told[0]
    assert "takes more than 65536 bytes" in told[0]
    assert peak < 45 * MEGABYTE, f"{peak / MEGABYTE:.0f} MB for 60 MB of params"


def test_a_tick_holds_no_more_than_it_writes_at_once(store: Store) -> None:
    model = schedules.new(now=MADE, user="eve", handler="unknown").document()
    for number in range(700):
        write(store, {**model, "_id": f"eve{number}", "params": {"text": "x" * 60_000}})
    daemon, written = a_daemon(store), list[int]()

    def add_runs(new: list[Run]) -> set[str]:
        written.append(sum(len(run.params.get("text", "")) for run in new))
        return store.add_runs(new)

    daemon.inserts = Inserts(add_runs)
    daemon.step(NOW - MINUTE)
    daemon.prepare(NOW - timedelta(milliseconds=500), NOW + timedelta(minutes=5))  # not its minute: nothing is made
    assert sum(written) == 700 * 60_000
    assert max(written) < batches.BATCH_BYTES + 64 * 1024


def test_no_more_is_made_ahead_than_has_room(monkeypatch: pytest.MonkeyPatch) -> None:
    def new() -> Iterator[Run]:
        for number in range(10_000):
            yield Run(id=f"r{number}", handler="h", params={"text": "x" * 60_000}, due_at=NOW, queued_at=NOW)

    made = batches.ahead(new(), float("inf"))
    assert len(made) == batches.MAX_AHEAD_BYTES // 60_000 + 1
