"""What does only SQLite show: several processes on one file, forks, kills, files of all kinds, rows written by hand?"""

import contextlib
import ctypes
import dataclasses
import logging
import multiprocessing
import os
import sqlite3
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from cronlite import ledger, runs, schedules
from cronlite.cron import FIELDS
from cronlite.due import due
from cronlite.errors import ConfigurationError, CronliteError, InvalidInput, StoreError, StoreUnavailable
from cronlite.runs import Run
from cronlite.store.contract import Clause, DaemonRecord, RunQuery
from cronlite.store.sqlite import SqliteStore, opening
from cronlite.store.sqlite.runs import RELEASABLE
from cronlite.store.sqlite.schedules import due_query
from cronlite.store.sqlite.tables import DAEMONS, RUNS, SCHEDULES, TICKS, distinct
from tests.store.samples import NOW, TICK, a_daemon, a_run, a_run_in, a_running, a_schedule
from tests.waiting import wait_until

HANDLERS = ["extract"]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cronlite.db"


@pytest.fixture
def store(path: Path) -> Iterator[SqliteStore]:
    with contextlib.closing(SqliteStore(path)) as opened:
        opened.prepare()
        yield opened


def by_hand(path: Path, statement: str, *values: Any) -> list[Any]:
    """Run a statement as another program would."""
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        return connection.execute(statement, values).fetchall()


def run_ids(store: SqliteStore) -> set[str]:
    return {run.id for run in store.runs(RunQuery())}


# several processes

_start: Any = None


def _wait_for_start(start: Any) -> None:
    global _start
    _start = start


@contextlib.contextmanager
def processes(number: int) -> Iterator[ProcessPoolExecutor]:
    """Processes that share nothing, whose first jobs begin at the same time."""
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(number)
    with ProcessPoolExecutor(number, context, _wait_for_start, (barrier,)) as pool:
        yield pool


def _prepare_each(folder: Path, files: int) -> None:
    for number in range(files):
        _start.wait(60)
        with contextlib.closing(SqliteStore(folder / f"{number}.db")) as store:
            assert store.prepare() == []


def _write_runs(path: Path, writer: int, batches: int) -> int:
    _start.wait(60)
    with contextlib.closing(SqliteStore(path)) as store:
        for batch in range(batches):
            refused = store.add_runs([a_run(f"w{writer}-b{batch}-{number}") for number in range(10)])
            assert refused == set()
    return batches * 10


def _claim_runs(path: Path, daemon: str, expected: int) -> list[str]:
    _start.wait(60)
    claimed: list[str] = []
    with contextlib.closing(SqliteStore(path)) as store:

        def all_are_claimed() -> bool:
            claimed.extend(run.id for run in store.claim_runs(daemon, HANDLERS, NOW, 7))
            return len(list(store.runs(RunQuery(states=[runs.RUNNING])))) == expected

        wait_until(all_are_claimed, limit_seconds=60, what="every run is claimed", instead=store.count_runs)
    return claimed


def test_twenty_processes_prepare_an_empty_file_at_once(tmp_path: Path) -> None:
    with processes(20) as pool:
        for job in [pool.submit(_prepare_each, tmp_path, 3) for _ in range(20)]:
            job.result()
    for path in tmp_path.glob("*.db"):
        with contextlib.closing(SqliteStore(path)) as store:
            assert store.add_runs([a_run("one")]) == set()


def test_a_file_that_another_process_is_making_is_waited_for(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # SQLite refuses at once then, whatever its time limit: seen in one of 200 openings of a new file by 12 processes.
    set_up = opening._set_up
    refused: list[str] = []

    def refused_twice(connection: sqlite3.Connection, address: str) -> None:
        if len(refused) < 2:
            refused.append(address)
            raise sqlite3.OperationalError("database is locked")
        set_up(connection, address)

    monkeypatch.setattr(opening, "_set_up", refused_twice)
    with contextlib.closing(SqliteStore(path)) as store:
        assert store.add_runs([a_run()]) == set()
    assert len(refused) == 2


def test_writers_and_claimers_in_several_processes_lose_and_double_nothing(path: Path) -> None:
    with processes(6) as pool:
        writers = [pool.submit(_write_runs, path, number, 30) for number in range(3)]
        claimers = [pool.submit(_claim_runs, path, f"d{number}", 900) for number in range(3)]
        written = sum(job.result() for job in writers)
        claimed = [id for job in claimers for id in job.result()]
    assert (written, len(claimed), len(set(claimed))) == (900, 900, 900)


def start_process(script: str, path: Path) -> "subprocess.Popen[str]":
    """Run a script in which `store` is open on the path; the names that the tests use are there too."""
    opened = f"from tests.store.test_sqlite import *\nstore = SqliteStore(Path({str(path)!r}))\n{script}"
    return subprocess.Popen([sys.executable, "-c", opened], text=True, stdout=subprocess.PIPE, stdin=subprocess.PIPE)


def lines(process: "subprocess.Popen[str]") -> Iterator[str]:
    assert process.stdout is not None
    return (line.strip() for line in process.stdout)


def test_a_process_killed_inside_a_transaction_leaves_what_was_before(store: SqliteStore, path: Path) -> None:
    store.add_runs([a_run("before")])
    script = """
with store._write() as connection:
    connection.executemany(RUNS.insert, [RUNS.row(a_run(f"r{number}").document()) for number in range(5_000)])
    print("inside", flush=True)
    sys.stdin.read()
"""
    with start_process(script, path) as process:
        assert next(lines(process)) == "inside"
        process.kill()
    assert run_ids(store) == {"before"}
    assert store.add_runs([a_run("after")]) == set()
    assert by_hand(path, "PRAGMA integrity_check") == [("ok",)]


def test_what_was_acknowledged_survives_a_kill_and_batches_stay_whole(store: SqliteStore, path: Path) -> None:
    script = """
for batch in range(10_000):
    store.add_runs([a_run(f"{batch}-{number}") for number in range(10)])
    print(batch, flush=True)
"""
    with start_process(script, path) as process:
        acknowledged = [batch for batch, _ in zip(lines(process), range(50), strict=False)]
        process.kill()
        acknowledged += lines(process)
    stored = run_ids(store)
    assert {f"{batch}-{number}" for batch in acknowledged for number in range(10)} <= stored
    assert len(stored) % 10 == 0
    assert len(stored) - 10 * len(acknowledged) in (0, 10), "at most the one batch that was not acknowledged yet"


def test_a_write_waits_for_another_process_and_gives_up_in_the_end(
    store: SqliteStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = """
with store._write():
    print("inside", flush=True)
    sys.stdin.readline()
print("outside", flush=True)
"""
    monkeypatch.setattr(opening, "BUSY_SECONDS", 0.05)
    with contextlib.closing(SqliteStore(path)) as hasty, start_process(script, path) as process:
        hasty.count_runs()
        said = lines(process)
        assert next(said) == "inside"
        assert hasty.count_runs() == {}, "reading goes on"
        with pytest.raises(StoreUnavailable, match="locked; another process"):
            hasty.add_runs([a_run()])
        patient = threading.Thread(target=store.add_runs, args=([a_run("patient")],))
        patient.start()
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
        assert next(said) == "outside"
        patient.join()
    assert run_ids(store) == {"patient"}


def test_watching_ends_with_a_run_that_another_process_queued(store: SqliteStore, path: Path) -> None:
    store.watch(0)
    with start_process("store.add_runs([a_run()])", path):
        assert store.watch(60)
    assert len(run_ids(store)) == 1


def test_watching_does_not_end_with_a_beat_of_another_process(store: SqliteStore, path: Path) -> None:
    store.watch(0)
    with contextlib.closing(SqliteStore(path)) as other:
        other.join(a_daemon())
        assert not store._was_queued()
        other.add_runs([a_run()])
        assert store._was_queued()
        assert not store._was_queued()


def test_closing_ends_watching(path: Path) -> None:
    store = SqliteStore(path)
    store.watch(0)
    watcher = threading.Thread(target=store.watch, args=(600,))
    watcher.start()
    store.close()
    watcher.join(30)
    assert not watcher.is_alive()


# forks


def in_a_process(job: Callable[[Path], None], path: Path) -> None:
    """Run a job that forks in a process of its own, which has no threads of pytest's."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        pool.submit(job, path).result()


def _child(pid: int, job: Callable[[], Any]) -> None:
    """In the child (pid 0), do the job and end; in the parent, see that the child could."""
    if pid == 0:
        try:
            job()
            os._exit(0)
        except BaseException as error:
            print(f"child: {error!r}", file=sys.stderr, flush=True)
            os._exit(1)


def _ended_well(pid: int) -> None:
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def _outlive_the_parents_store(path: Path) -> None:
    store = SqliteStore(path)
    store.add_runs([a_run("parent-1")])
    parents_turn, childs_turn = multiprocessing.Event(), multiprocessing.Event()

    def write_before_and_after_the_parent_leaves() -> None:
        store.add_runs([a_run("child-1")])
        parents_turn.set()
        childs_turn.wait(30)
        store.add_runs([a_run("child-2")])

    pid = os.fork()
    _child(pid, write_before_and_after_the_parent_leaves)
    parents_turn.wait(30)
    store.add_runs([a_run("parent-2")])
    store.close()
    childs_turn.set()
    _ended_well(pid)


def test_after_a_fork_both_sides_write_and_the_first_to_leave_takes_nothing_along(path: Path) -> None:
    in_a_process(_outlive_the_parents_store, path)
    with contextlib.closing(SqliteStore(path)) as store:
        assert run_ids(store) == {"parent-1", "parent-2", "child-1", "child-2"}


def _fork_among_writers(path: Path) -> None:
    store, stop = SqliteStore(path), threading.Event()

    def write() -> None:
        while not stop.is_set():
            store.beat("d1", running=0, stuck=0)

    store.join(a_daemon())
    writers = [threading.Thread(target=write) for _ in range(3)]
    for writer in writers:
        writer.start()
    for number in range(20):
        pid = os.fork()
        _child(pid, lambda number=number: store.add_runs([a_run(f"child-{number}")]))  # type: ignore[misc]
        _ended_well(pid)
    stop.set()
    for writer in writers:
        writer.join()
    store.close()


@pytest.mark.filterwarnings("ignore:This process")
def test_a_fork_in_the_midst_of_writing_threads_harms_neither_side(path: Path) -> None:
    in_a_process(_fork_among_writers, path)
    with contextlib.closing(SqliteStore(path)) as store:
        assert run_ids(store) == {f"child-{number}" for number in range(20)}
    assert by_hand(path, "PRAGMA integrity_check") == [("ok",)]


def _fork_behind_pythons_back(path: Path) -> None:
    store = SqliteStore(path)
    store.prepare()

    def be_refused() -> None:
        with pytest.raises(StoreUnavailable, match="forked"):
            store.add_runs([a_run("child")])

    pid = ctypes.PyDLL(None).fork()
    _child(pid, be_refused)
    _ended_well(pid)
    store.add_runs([a_run("parent")])
    store.close()


def test_a_fork_that_python_does_not_see_is_refused_in_the_child(path: Path) -> None:
    in_a_process(_fork_behind_pythons_back, path)
    with contextlib.closing(SqliteStore(path)) as store:
        assert run_ids(store) == {"parent"}


def _fork_a_memory(path: Path) -> None:
    store = SqliteStore(None)
    store.add_runs([a_run("one")])
    pid = os.fork()
    _child(pid, lambda: store.add_runs([a_run("two")]))
    _ended_well(pid)
    assert run_ids(store) == {"one"}
    store.close()


def test_a_fork_leaves_the_memory_of_each_side_its_own(path: Path) -> None:
    in_a_process(_fork_a_memory, path)


# memory, threads, streams


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
    stream = store.schedules()
    seen = [next(stream)["_id"]]
    for number in range(0, 1_200, 2):
        store.remove_schedule(f"s{number:04}")
    by_hand(path, "VACUUM")
    seen += [document["_id"] for document in stream]
    assert seen[:500] == [f"s{number:04}" for number in range(500)]
    assert seen[500:] == [f"s{number:04}" for number in range(501, 1_200, 2)]


def test_the_columns_are_the_fields() -> None:
    assert set(SCHEDULES.columns) == {*schedules.FIELDS, "_id"} - {"id"}
    assert set(RUNS.columns) == {*(field.name for field in dataclasses.fields(Run)), "_id"} - {"id"}
    assert set(TICKS.columns) == set(ledger.FIELDS)
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
    assert store.change_runs([(run, runs.closed(runs.FAILED, NOW, **told))]) == set()
    stored = store.run(run.id)
    assert stored is not None
    assert stored.output == "caf\\udce9 é"
    assert (stored.error, stored.result) == (told["error"], told["result"]), "JSON has an escape for it"


def test_a_value_that_sqlite_cannot_hold_is_a_store_error(store: SqliteStore) -> None:
    with pytest.raises(StoreError, match="cannot hold"):
        store.schedule("\ud800")
    with pytest.raises(StoreError, match="cannot hold"):
        store.add_schedule(a_schedule() | {"retries": 2**70})
    assert list(store.schedules()) == []


# rows written by hand


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
    assert len(list(store.schedules())) == 2
    broken = next(document for document in store.schedules() if document.get("_id") != "whole")
    with pytest.raises(InvalidInput, match=column):
        schedules.read(broken)
    aside: list[Any] = []
    assert [s.id for s in due(store, TICK, lambda *told: aside.append(told[0]))] == ["whole"]
    assert aside in ([], [broken])
    assert len(list(store.schedules(tag="x", user="y", handler="z"))) == 0


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
        assert [run.id for run in store.claim_runs("d1", HANDLERS, NOW, 1)] == ["whole"]
    assert store.claim_runs("d1", HANDLERS, NOW, 1) == []
    [(state, reason, expires_at)] = by_hand(path, "SELECT state, reason, expires_at FROM runs WHERE _id <> 'whole'")
    assert state == runs.ABANDONED
    assert reason.startswith("it cannot be read: ")
    assert expires_at == (NOW + runs.KEPT).timestamp() * 1000
    assert "abandoned" in caplog.text
    assert run_ids(store) == {"whole"}


def test_the_oldest_are_claimed_first_whatever_their_handlers(store: SqliteStore) -> None:
    ages = {"c": 3, "a": 1, "d": 4, "b": 2}
    store.add_runs([a_run(id, handler=f"h-{id}", run_at=NOW - timedelta(hours=age)) for id, age in ages.items()])
    handlers = [f"h-{id}" for id in ages]
    assert [run.id for run in store.claim_runs("d1", handlers, NOW, 2)] == ["d", "c"]
    assert [run.id for run in store.claim_runs("d1", handlers, NOW, 9)] == ["b", "a"]


def test_an_attempt_that_somebody_deleted_counts_as_none(store: SqliteStore, path: Path) -> None:
    store.add_runs([a_run("one")])
    by_hand(path, "UPDATE runs SET attempt = NULL")
    [won] = store.claim_runs("d1", HANDLERS, NOW, 1)
    assert won.attempt == 1
    assert store.change_runs([(won, runs.closed(runs.SUCCEEDED, NOW))]) == set()


def test_instants_are_milliseconds_and_objects_json_in_the_file(store: SqliteStore, path: Path) -> None:
    store.add_runs([a_run("one", params={"name": "Bücher", "n": [1, 2.5, None, True]})])
    [(due_at, params)] = by_hand(path, "SELECT due_at, params FROM runs")
    assert datetime.fromtimestamp(due_at / 1000, timezone.utc) == TICK
    assert params == '{"name": "Bücher", "n": [1, 2.5, null, true]}'


# long lists


def test_lists_of_thousands_of_values_are_no_limit(store: SqliteStore) -> None:
    many = [f"lane{number}" for number in range(5_000)]
    assert store.add_runs([a_run_in(lane, handler=lane) for lane in many]) == set()
    assert len(store.at_work(many)) == 5_000
    assert store.next_run_at([*many, "nobody"]) == NOW
    store.add_schedule(a_schedule(minute=30))
    clause = Clause(zones=[*many, "UTC"], either_day=False, values={"minute": [*many, 30], "hour": [*many, "*"]})
    assert len(list(store.candidates([clause] * 100))) == 1
    claimed = store.claim_runs("d1", many, NOW, 5_000)
    assert len(claimed) == 5_000
    assert store.change_runs([(run, runs.closed(runs.SUCCEEDED, NOW)) for run in claimed]) == set()
    assert store.prune_runs(NOW + runs.KEPT) == 5_000


# query plans


def plan(store: SqliteStore, query: str) -> str:
    steps = store._read(f"EXPLAIN QUERY PLAN {query}", [None] * query.count("?"))
    # Before 3.36 it is "SEARCH TABLE schedules".
    return "\n".join(step.replace(" TABLE ", " ") for *_, step in steps)


def fill(store: SqliteStore) -> None:
    with store._write() as connection:
        rows = ({"_id": f"s{n}", "params": {}, "minute": n % 60, "hour": n % 24, "tz": "UTC"} for n in range(3_000))
        connection.executemany(SCHEDULES.insert, map(SCHEDULES.row, rows))
    store.add_runs([a_run_in(f"lane{number}") for number in range(1_000)])


@pytest.mark.parametrize("analyzed", [False, True])
def test_the_due_query_searches_its_index(store: SqliteStore, analyzed: bool) -> None:
    fill(store)
    if analyzed:
        store._read("ANALYZE")
    fields = {field: ["*"] for field in FIELDS}
    query, values = due_query(Clause(zones=["UTC"], either_day=False, values=fields))
    steps = plan(store, query)
    assert "SEARCH schedules USING INDEX schedules_due (<expr>=? AND <expr>=? AND <expr>=?" in steps
    assert "SCAN schedules" not in steps
    assert store._read(query, values) == []


@pytest.mark.parametrize("analyzed", [False, True])
def test_distinct_values_are_found_without_reading_every_row(store: SqliteStore, analyzed: bool) -> None:
    fill(store)
    if analyzed:
        store._read("ANALYZE")
    steps = plan(store, distinct("schedules", "minute"))
    assert steps.count("SEARCH schedules USING COVERING INDEX schedules_minute") == 2
    assert "SCAN schedules" not in steps
    assert [value for (value,) in store._read(distinct("schedules", "minute"))] == list(range(60))


def test_what_daemons_ask_all_the_time_reads_no_whole_table(store: SqliteStore) -> None:
    fill(store)
    asked: list[str] = []
    store._connected().set_trace_callback(asked.append)
    store.claim_runs("d1", HANDLERS, NOW, 10)
    store.change_runs([(a_running("lane7"), runs.closed(runs.FAILED, NOW))])
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
    assert "SEARCH runs USING INDEX runs_waiting" in plan(store, RELEASABLE)


# files


@pytest.fixture
def broken(path: Path) -> Iterator[SqliteStore]:
    """A store that was not opened yet; a test breaks its file first."""
    with contextlib.closing(SqliteStore(path)) as store:
        yield store


def refusal(store: SqliteStore) -> CronliteError:
    """Return what a store says that cannot be used: one line, with the address."""
    with pytest.raises(CronliteError) as refused:
        store.prepare()
    assert str(refused.value).startswith(store.address), refused.value
    assert "\n" not in str(refused.value)
    return refused.value


def test_a_new_file_and_its_folder_are_their_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "not" / "there" / "cronlite.db"
    with contextlib.closing(SqliteStore(path)) as store:
        store.prepare()
        modes = [stat.S_IMODE(found.stat().st_mode) for found in (path.parent, *sorted(path.parent.iterdir()))]
    assert [oct(mode) for mode in modes] == ["0o700", "0o600", "0o600", "0o600"]


def test_a_file_that_is_no_database_is_refused_and_kept(broken: SqliteStore, path: Path) -> None:
    path.write_text("not a database, but long enough to look at" * 100)
    error = refusal(broken)
    assert isinstance(error, StoreError)
    assert "not a database; give the path of another file" in str(error)
    assert path.read_text().startswith("not a database")


def test_another_programs_database_is_refused_and_kept(broken: SqliteStore, path: Path) -> None:
    by_hand(path, "CREATE TABLE schedules (mine)")
    assert "another program's database" in str(refusal(broken))
    assert by_hand(path, "PRAGMA journal_mode") == [("delete",)]
    assert by_hand(path, "SELECT name FROM sqlite_master") == [("schedules",)]


def test_the_tables_of_a_newer_cronlite_are_refused(store: SqliteStore, path: Path) -> None:
    by_hand(path, "PRAGMA user_version = 999")
    with contextlib.closing(SqliteStore(path)) as older:
        assert "made by a newer cronlite (tables of version 999" in str(refusal(older))


def test_an_empty_file_is_as_good_as_none(broken: SqliteStore, path: Path) -> None:
    path.touch()
    assert broken.prepare() == []


def test_a_folder_is_refused(broken: SqliteStore, path: Path) -> None:
    path.mkdir()
    error = refusal(broken)
    assert isinstance(error, ConfigurationError)
    assert "is a folder" in str(error)


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with contextlib.closing(SqliteStore(tmp_path / "file" / "deeper" / "cronlite.db")) as store:
        error = refusal(store)
    assert isinstance(error, ConfigurationError)
    assert "its folder cannot be made" in str(error)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that other users can reach, which those of pytest are not."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def _refused_as_nobody(path: Path) -> str:
    if os.geteuid() == 0:  # to root, nothing is read-only
        os.setuid(65534)
    with contextlib.closing(SqliteStore(path)) as store:
        return str(refusal(store))


@pytest.mark.parametrize("made_in", ["WAL", "DELETE"])
def test_a_file_that_may_only_be_read_is_refused(open_folder: Path, made_in: str) -> None:
    path = open_folder / "cronlite.db"
    with contextlib.closing(SqliteStore(path)) as store:
        store.prepare()
    by_hand(path, f"PRAGMA journal_mode = {made_in}")
    path.chmod(0o444)
    open_folder.chmod(0o555)
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        told = pool.submit(_refused_as_nobody, path).result()
    open_folder.chmod(0o755)
    assert "let this user" in told, told


def test_a_folder_that_may_not_be_written_is_refused(open_folder: Path) -> None:
    open_folder.chmod(0o555)
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        told = pool.submit(_refused_as_nobody, open_folder / "cronlite.db").result()
    open_folder.chmod(0o755)
    assert "cannot be made (Permission denied)" in told


def test_a_full_disk_refuses_the_write_and_nothing_else(store: SqliteStore) -> None:
    store.add_runs([a_run("before")])
    connection = store._connected()
    [(pages,)] = connection.execute("PRAGMA page_count")
    connection.execute(f"PRAGMA max_page_count = {pages + 2}")
    with pytest.raises(StoreError, match="is full; make room"):
        store.add_runs([a_run(f"r{number}", params={"a": "x" * 1_000}) for number in range(100)])
    assert run_ids(store) == {"before"}
    connection.execute("PRAGMA max_page_count = 1000000")
    assert store.add_runs([a_run("after")]) == set()


def test_a_damaged_file_says_so(store: SqliteStore, path: Path) -> None:
    store.add_runs([a_run(f"r{number}") for number in range(1_000)])
    store.close()
    with path.open("r+b") as file:
        file.seek(8 * 4096)
        file.write(os.urandom(64 * 4096))
    with contextlib.closing(SqliteStore(path)) as damaged, pytest.raises(StoreError, match="malformed; restore a copy"):
        list(damaged.runs(RunQuery()))


def test_a_file_deleted_while_in_use_is_missed_until_it_is_back(store: SqliteStore, path: Path) -> None:
    store.add_runs([a_run("one")])
    path.rename(path.with_suffix(".away"))
    with pytest.raises(StoreUnavailable, match="is gone"):
        store.add_runs([a_run("two")])
    assert not path.exists()
    path.with_suffix(".away").rename(path)
    assert run_ids(store) == {"one"}


def test_a_file_replaced_while_in_use_is_opened_anew(
    store: SqliteStore, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store.add_runs([a_run("old")])
    restored = path.with_name("restored.db")
    with contextlib.closing(SqliteStore(restored)) as backup:
        backup.add_runs([a_run("restored")])
    for left in (path.with_name("cronlite.db-wal"), path.with_name("cronlite.db-shm")):
        left.unlink()
    restored.rename(path)
    with caplog.at_level(logging.WARNING):
        assert run_ids(store) == {"restored"}
    assert "was replaced while in use" in caplog.text


def test_an_index_that_cannot_be_made_again_is_told(store: SqliteStore, path: Path) -> None:
    by_hand(path, "DROP INDEX schedules_name")
    assert store.prepare() == []
    by_hand(path, "DROP INDEX schedules_name")
    by_hand(path, "INSERT INTO schedules (_id, name, params) VALUES ('a', 'same', '{}'), ('b', 'same', '{}')")
    [told] = store.prepare()
    assert "schedules_name" in told
    assert len(list(due(store, TICK))) == 2


def test_outcomes_and_claims_are_on_the_disk_before_they_are_acknowledged(store: SqliteStore) -> None:
    assert store._read("PRAGMA synchronous") == [(2,)], "FULL"
    assert store._read("PRAGMA journal_mode") == [("wal",)]


def test_an_interruption_rolls_back(store: SqliteStore) -> None:
    def interrupted() -> None:
        with store._write() as connection:
            connection.execute(RUNS.insert, RUNS.row(a_run().document()))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert run_ids(store) == set()
    assert store.add_runs([a_run("next")]) == set()
