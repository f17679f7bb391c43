"""What becomes of a SQLite file among several processes, kills and forks?"""

import contextlib
import ctypes
import multiprocessing
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from cronlite.documents import runs
from cronlite.errors import StoreUnavailable
from cronlite.store.contract import ClaimQuery, RunQuery
from cronlite.store.sqlite import SqliteStore, opening
from tests.store.by_hand import by_hand, run_ids
from tests.store.samples import NOW, a_daemon, a_run
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
            claimed.extend(run.id for run in store.claim_runs(daemon, ClaimQuery(HANDLERS, NOW, 7)))
            return len(list(store.runs(RunQuery(states=[runs.RUNNING])))) == expected

        wait_until(all_are_claimed, limit_seconds=60, what="every run is claimed", instead=store.count_runs)
    return claimed


def test_eight_processes_prepare_an_empty_file_at_once(tmp_path: Path) -> None:
    with processes(8) as pool:
        for job in [pool.submit(_prepare_each, tmp_path, 8) for _ in range(8)]:
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
    opened = f"from tests.store.test_sqlite_processes import *\nstore = SqliteStore(Path({str(path)!r}))\n{script}"
    return subprocess.Popen([sys.executable, "-c", opened], text=True, stdout=subprocess.PIPE, stdin=subprocess.PIPE)


def lines(process: "subprocess.Popen[str]") -> Iterator[str]:
    assert process.stdout is not None
    return (line.strip() for line in process.stdout)


def test_a_process_killed_inside_a_transaction_leaves_what_was_before(store: SqliteStore, path: Path) -> None:
    store.add_runs([a_run("before")])
    script = """
from cronlite.store.sqlite.tables import RUNS
with store._write() as connection:
    connection.executemany(RUNS.insert(), [RUNS.row(a_run(f"r{number}").document()) for number in range(5_000)])
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
        acknowledged = [batch for _, batch in zip(range(50), lines(process), strict=False)]
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
    answers: list[bool] = []
    watcher = threading.Thread(target=lambda: answers.append(store.watch(600)))
    watcher.start()
    store.close()
    watcher.join(60)
    assert answers == [False]
    assert store.watch(600) is False


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
        childs_turn.wait(60)
        store.add_runs([a_run("child-2")])

    pid = os.fork()
    _child(pid, write_before_and_after_the_parent_leaves)
    parents_turn.wait(60)
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
        while not stop.wait(0.002):  # without a gap, a child might find none for as long as it waits
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
