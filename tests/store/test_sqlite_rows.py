"""What becomes of rows that somebody wrote into a SQLite file by hand?"""

import contextlib
import logging
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from cronlite.daemon.due import due
from cronlite.documents import runs, schedules, transitions
from cronlite.errors import InvalidInput
from cronlite.store.contract import ClaimQuery, ScheduleQuery
from cronlite.store.sqlite import SqliteStore
from tests.store.by_hand import by_hand, run_ids
from tests.store.samples import NOW, TICK, a_run

HANDLERS = ["extract"]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cronlite.db"


@pytest.fixture
def store(path: Path) -> Iterator[SqliteStore]:
    with contextlib.closing(SqliteStore(path)) as opened:
        opened.prepare()
        yield opened


def test_null_is_missing_and_5_is_the_same_minute_in_every_spelling(store: SqliteStore, path: Path) -> None:
    for id, minute in {"int": "5", "text": "'5'", "float": "5.0", "list": "'4,5'", "other": "6"}.items():
        by_hand(path, f"INSERT INTO schedules (_id, params, minute) VALUES ('{id}', '{{}}', {minute})")
    by_hand(path, "INSERT INTO schedules (_id, params, hour, enabled, either_day) VALUES ('null', '{}', NULL, '1', 0)")
    by_hand(path, "INSERT INTO schedules (_id, params, enabled) VALUES ('off', '{}', 0)")
    assert store.schedule("null") == {"_id": "null", "params": {}, "enabled": True, "either_day": False}
    tick = TICK.replace(minute=5)
    assert {schedule.id for schedule in due(store, tick)} == {"int", "text", "float", "list", "null"}
    assert {schedule.id for schedule in due(store, tick.replace(minute=6))} == {"other", "null"}


NONSENSE = [
    ("params", "'{\"a\": '"),
    ("params", "'[1]'"),
    ("params", f"'{'[' * 100_000}'"),
    ("params", "CAST(x'7b2261223a2022ff227d' AS TEXT)"),
    ("tags", "'a'"),
    ("tags", "'[1]'"),
    ("enabled", "'maybe'"),
    ("enabled", "2"),
    ("either_day", "'maybe'"),
    ("active_from", "'2026-11-21'"),
    ("active_from", "253402300800000"),
    ("active_from", "-9223372036854775808"),
    ("active_from", "1.5"),
    ("created_at", "9e999"),
    ("minute", "60"),
    ("minute", "5.5"),
    ("minute", "9e999"),
    ("minute", "x'35'"),
    ("minute", "CAST(x'ff' AS TEXT)"),
    ("weekday", "'banana'"),
    ("tz", "'Mars/Olympus'"),
    ("tz", "CAST(x'ff' AS TEXT)"),
    ("retries", "'many'"),
    ("retries", "-1"),
    ("handler", "''"),
    ("handler", "CAST(x'ff' AS TEXT)"),
    ("name", "CAST(x'ff' AS TEXT)"),
    ("name", "char(0)"),
    ("user", "x'ff'"),
    ("overlap", "'perhaps'"),
    ("_id", "CAST(x'ff' AS TEXT)"),
    ("_id", "x'ff'"),
    ("_id", "''"),
]


@pytest.mark.parametrize(("column", "value"), NONSENSE, ids=lambda given: given[:40])
def test_a_row_of_nonsense_is_set_aside_and_harms_no_other(
    store: SqliteStore, path: Path, column: str, value: str
) -> None:
    by_hand(path, "INSERT INTO schedules (_id, params) VALUES ('whole', '{}')")
    row = {"_id": "'broken'", "params": "'{}'", column: value}
    by_hand(path, f"INSERT INTO schedules ({', '.join(row)}) VALUES ({', '.join(row.values())})")
    assert len(list(store.schedules(ScheduleQuery()))) == 2
    broken = next(document for document in store.schedules(ScheduleQuery()) if document.get("_id") != "whole")
    with pytest.raises(InvalidInput, match=column):
        schedules.read(broken)
    aside: list[Any] = []
    assert [s.id for s in due(store, TICK, lambda *told: aside.append(told[0]))] == ["whole"]
    assert aside in ([], [broken])
    assert len(list(store.schedules(ScheduleQuery(tag="x", user="y", handler="z")))) == 0


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("params", "'{'"),
        ("params", "NULL"),
        ("due_at", "'soon'"),
        ("due_at", "253402300800000"),
        ("attempt", "'many'"),
        ("attempt", "-1"),
        ("retries", "1.5"),
        ("user", "CAST(x'ff' AS TEXT)"),
        ("_id", "CAST(x'ff' AS TEXT)"),
        ("run_at", "1.5"),
    ],
)
def test_a_run_edited_into_nonsense_is_abandoned_and_clogs_nothing(
    store: SqliteStore, path: Path, caplog: pytest.LogCaptureFixture, column: str, value: str
) -> None:
    store.add_runs([a_run("broken", run_at=NOW - timedelta(hours=1)), a_run("whole")])
    by_hand(path, f"UPDATE runs SET {column} = {value} WHERE _id = 'broken'")
    with caplog.at_level(logging.WARNING):
        assert [run.id for run in store.claim_runs("d1", ClaimQuery(HANDLERS, NOW, 1))] == ["whole"]
    assert store.claim_runs("d1", ClaimQuery(HANDLERS, NOW, 1)) == []
    [(state, reason, expires_at)] = by_hand(path, "SELECT state, reason, expires_at FROM runs WHERE _id <> 'whole'")
    assert state == runs.ABANDONED
    assert reason.startswith("it cannot be read: ")
    assert expires_at == (NOW + transitions.KEPT).timestamp() * 1000
    assert "abandoned" in caplog.text
    assert run_ids(store) == {"whole"}


def test_the_oldest_are_claimed_first_whatever_their_handlers(store: SqliteStore) -> None:
    ages = {"c": 3, "a": 1, "d": 4, "b": 2}
    store.add_runs([a_run(id, handler=f"h-{id}", run_at=NOW - timedelta(hours=age)) for id, age in ages.items()])
    handlers = [f"h-{id}" for id in ages]
    assert [run.id for run in store.claim_runs("d1", ClaimQuery(handlers, NOW, 2))] == ["d", "c"]
    assert [run.id for run in store.claim_runs("d1", ClaimQuery(handlers, NOW, 9))] == ["b", "a"]


def test_an_attempt_that_somebody_deleted_counts_as_none(store: SqliteStore, path: Path) -> None:
    store.add_runs([a_run("one")])
    by_hand(path, "UPDATE runs SET attempt = NULL")
    [won] = store.claim_runs("d1", ClaimQuery(HANDLERS, NOW, 1))
    assert won.attempt == 1
    assert store.change_runs([(won, transitions.closed(runs.SUCCEEDED, NOW))]) == set()


def test_instants_are_milliseconds_and_objects_json_in_the_file(store: SqliteStore, path: Path) -> None:
    store.add_runs([a_run("one", params={"name": "Bücher", "n": [1, 2.5, None, True]})])
    [(due_at, params)] = by_hand(path, "SELECT due_at, params FROM runs")
    assert datetime.fromtimestamp(due_at / 1000, timezone.utc) == TICK
    assert params == '{"name": "Bücher", "n": [1, 2.5, null, true]}'
