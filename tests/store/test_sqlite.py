"""How do memory, threads, streams, long lists and query plans fare on SQLite?"""

import contextlib
import dataclasses
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cronlite.documents import runs, schedules, ticks, transitions
from cronlite.documents.daemons import DaemonRecord
from cronlite.documents.runs import Run
from cronlite.errors import StoreError, StoreUnavailable
from cronlite.store.contract import ClaimQuery, Clause, RunQuery, ScheduleQuery
from cronlite.store.sqlite import SqliteStore
from cronlite.store.sqlite.lanes import RELEASED, WAITING_LANES
from cronlite.store.sqlite.schedules import due_query, expressions_query
from cronlite.store.sqlite.tables import DAEMONS, RUNS, SCHEDULES, TICKS
from cronlite.when.pattern import FIELDS
from tests.store.by_hand import by_hand, run_ids
from tests.store.samples import HANDLERS, NOW, a_run, a_run_in, a_running, a_schedule


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cronlite.db"


@pytest.fixture
def store(path: Path) -> Iterator[SqliteStore]:
    with contextlib.closing(SqliteStore(path)) as opened:
        opened.prepare()
        yield opened


def test_memory_is_shared_by_threads_and_by_no_other_store() -> None:
    with contextlib.closing(SqliteStore(None)) as store, contextlib.closing(SqliteStore(None)) as other:
        threads = [threading.Thread(target=store.add_runs, args=([a_run(f"r{n}")],)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert run_ids(store) == {f"r{n}" for n in range(8)}
        assert run_ids(other) == set()
        assert store.address == "memory:"
        assert not store.watch(60)


def test_a_store_needs_no_preparation(path: Path) -> None:
    with contextlib.closing(SqliteStore(path)) as store:
        assert store.run("nobody") is None
        assert store.address == f"sqlite:{path}"


def test_a_closed_store_says_so(path: Path) -> None:
    store = SqliteStore(path)
    store.prepare()
    store.close()
    store.close()
    with pytest.raises(StoreUnavailable, match="was closed"):
        store.count_runs()


def test_a_stream_goes_on_whatever_is_written_meanwhile(store: SqliteStore, path: Path) -> None:
    for number in range(1_200):
        store.add_schedule({"_id": f"s{number:04}", "params": {}})
    stream = store.schedules(ScheduleQuery())
    seen = [next(stream)["_id"]]
    for number in range(0, 1_200, 2):
        store.remove_schedule(f"s{number:04}")
    by_hand(path, "VACUUM")
    seen += [document["_id"] for document in stream]
    assert seen[:250] == [f"s{number:04}" for number in range(250)]
    assert seen[250:] == [f"s{number:04}" for number in range(251, 1_200, 2)]


LISTS: dict[str, Callable[[SqliteStore], Iterator[object]]] = {
    "schedules by id": lambda store: store.schedules(ScheduleQuery()),
    "schedules by name": lambda store: store.schedules(ScheduleQuery(by_name=True)),
    "runs of a user": lambda store: store.runs(RunQuery(user="")),
    "runs in a state": lambda store: store.runs(RunQuery(states=[runs.QUEUED])),
}


@pytest.mark.parametrize("listed", LISTS)
def test_a_list_reads_on_only_as_far_as_somebody_looks(store: SqliteStore, listed: str) -> None:
    fill(store)
    asked: list[str] = []
    store._connected().set_trace_callback(asked.append)
    stream = LISTS[listed](store)
    next(stream)
    assert len(asked) == 1
    assert re.search(r"LIMIT (250|500)\b", asked[0]), asked
    stepped = plan(store, asked[0])
    assert "TEMP B-TREE" not in stepped, stepped
    store._connected().set_trace_callback(None)
    assert len(list(stream)) > 900


def test_the_columns_are_the_fields() -> None:
    assert set(SCHEDULES.columns) == {*schedules.FIELDS, "_id"} - {"id"}
    own = {"_id", "lot", "slot"}
    assert set(RUNS.columns) == {*(field.name for field in dataclasses.fields(Run)), *own} - {"id", "ahead"}
    assert set(TICKS.columns) == set(ticks.FIELDS)
    assert set(DAEMONS.columns) == {*(field.name for field in dataclasses.fields(DaemonRecord)), "_id"} - {"id"}


def test_a_field_without_a_column_is_refused(store: SqliteStore) -> None:
    with pytest.raises(StoreError, match="no column for minutes"):
        store.add_schedule(a_schedule() | {"minutes": 5})
    with pytest.raises(StoreError, match="no column for note = 1; --"):
        store.change_schedule("x", {"note = 1; --": 5}, None)


def test_half_a_surrogate_pair_in_an_outcome_is_written_out(store: SqliteStore) -> None:
    run = a_running("lane")
    store.add_runs([run])
    told = {"output": "caf\udce9 é", "error": {"message": "\ud800"}, "result": ["\udfff"]}
    assert store.change_runs([(run, transitions.closed(runs.FAILED, NOW, **told))]) == set()
    stored = store.run(run.id)
    assert stored is not None
    assert stored.output == "caf\\udce9 é"
    assert (stored.error, stored.result) == (told["error"], told["result"]), "JSON has an escape for it"


def test_a_value_that_sqlite_cannot_hold_is_a_store_error(store: SqliteStore) -> None:
    with pytest.raises(StoreError, match="cannot hold"):
        store.schedule("\ud800")
    with pytest.raises(StoreError, match="cannot hold"):
        store.add_schedule(a_schedule() | {"retries": 2**70})
    assert list(store.schedules(ScheduleQuery())) == []


def test_lists_of_thousands_of_values_are_no_limit(store: SqliteStore) -> None:
    many = [f"lane{number}" for number in range(5_000)]
    assert store.add_runs([a_run_in(lane, handler=lane) for lane in many]) == set()
    assert len(store.at_work(many)) == 5_000
    assert store.next_run_at([*many, "nobody"]) == NOW
    store.add_schedule(a_schedule(minute=30))
    clause = Clause(zones=[*many, "UTC"], either_day=False, values={"minute": [*many, 30], "hour": [*many, "*"]})
    assert len(list(store.candidates([clause] * 100))) == 1
    claimed = store.claim_runs("d1", ClaimQuery(many, NOW, 5_000))
    assert len(claimed) == 5_000
    assert store.change_runs([(run, transitions.closed(runs.SUCCEEDED, NOW)) for run in claimed]) == set()
    assert sum(store.prune_runs(NOW + transitions.KEPT) for _ in range(11)) == 5_000


def test_many_are_written_with_few_statements(store: SqliteStore) -> None:
    statements: list[str] = []
    store._connected().set_trace_callback(statements.append)
    store.add_runs([a_run(f"r{number}") for number in range(1_000)])
    store.change_runs(
        [
            (run, transitions.closed(runs.SUCCEEDED, NOW))
            for run in store.claim_runs("d1", ClaimQuery(HANDLERS, NOW, 1_000))
        ]
    )
    assert {run.state for run in store.runs(RunQuery())} == {runs.SUCCEEDED}
    assert len(statements) < 60, "while a handler computes, each may stand in line for the interpreter for 5 ms"


def plan(store: SqliteStore, query: str) -> str:
    steps = store._read(f"EXPLAIN QUERY PLAN {query}", [None] * query.count("?"))
    # Before 3.36 it is "SEARCH TABLE schedules".
    return "\n".join(step.replace(" TABLE ", " ") for *_, step in steps)


def fill(store: SqliteStore) -> None:
    with store._write() as connection:
        rows = (
            {"_id": f"s{n}", "name": f"n{n}", "params": {}, "minute": n % 60, "hour": n % 24, "tz": "UTC"}
            for n in range(3_000)
        )
        connection.executemany(SCHEDULES.insert(), map(SCHEDULES.row, rows))
    store.add_runs([a_run_in(f"lane{number}") for number in range(1_000)])


@pytest.mark.parametrize("analyzed", [False, True])
def test_the_due_query_searches_its_index(store: SqliteStore, analyzed: bool) -> None:
    fill(store)
    if analyzed:
        store._read("ANALYZE")
    fields: dict[str, list[str | None]] = {"every": [None], **{field: ["*"] for field in FIELDS}}
    query, values = due_query(Clause(zones=["UTC"], either_day=False, values=fields))
    steps = plan(store, query)
    assert "SEARCH schedules USING INDEX schedules_due_every (<expr>=? AND <expr>=? AND <expr>=?" in steps
    assert "SCAN schedules" not in steps
    assert store._read(query, values) == []


@pytest.mark.parametrize("analyzed", [False, True])
def test_distinct_values_are_found_without_reading_every_row(store: SqliteStore, analyzed: bool) -> None:
    fill(store)
    if analyzed:
        store._read("ANALYZE")
    query = expressions_query("minute")
    steps = plan(store, query)
    assert steps.count("SEARCH schedules USING INDEX schedules_enabled_minute (<expr>=?") == 4
    assert "SCAN schedules" not in steps
    assert [value for (value,) in store._read(query)] == list(range(60))


@pytest.mark.parametrize("analyzed", [False, True])
def test_what_daemons_ask_all_the_time_reads_no_whole_table(store: SqliteStore, analyzed: bool) -> None:
    fill(store)
    if analyzed:
        store._read("ANALYZE")
    asked: list[str] = []
    store._connected().set_trace_callback(asked.append)
    store.claim_runs("d1", ClaimQuery(HANDLERS, NOW, 10))
    store.change_runs([(a_running("lane7"), transitions.closed(runs.FAILED, NOW))])
    store.release_lanes(NOW)
    store.at_work(["lane1", "lane2"])
    store.run_with_key("key")
    store.prune_runs(NOW)
    list(store.runs(RunQuery(schedule="lane1", limit=10)))
    list(store.runs(RunQuery(user="ann", states=[runs.FAILED], limit=10)))
    list(store.runs(RunQuery(daemon="d1", states=[runs.RUNNING])))
    list(store.runs(RunQuery(prefix="lane1@")))
    store._connected().set_trace_callback(None)
    plans = {query: plan(store, query) for query in asked if query.lstrip().startswith(("SELECT", "UPDATE", "DELETE"))}
    assert len(plans) > 10
    assert not [f"{query}\n{steps}" for query, steps in plans.items() if "SCAN runs" in steps]
    for query in (WAITING_LANES, RELEASED):
        assert "runs_waiting" in plan(store, query)
