"""Which files does the SQLite store make, refuse, and miss when they go?"""

import contextlib
import logging
import multiprocessing
import os
import sqlite3
import stat
import tempfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

from cronlite.client.doctor import doctor
from cronlite.daemon.due import due
from cronlite.daemon.loops import Daemon
from cronlite.documents import alarms
from cronlite.errors import ConfigurationError, CronliteError, StoreError, StoreUnavailable
from cronlite.handlers.registry import Registry
from cronlite.store import open_store
from cronlite.store.contract import RunQuery
from cronlite.store.sqlite import SqliteStore, opening
from cronlite.store.sqlite.columns import NUMBER, TEXT
from cronlite.store.sqlite.rows import Table
from cronlite.store.sqlite.tables import RUNS, TABLES
from tests.store.by_hand import by_hand, run_ids
from tests.store.samples import NOW, TICK, a_run, a_schedule
from tests.waiting import wait_until


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cronlite.db"


@pytest.fixture
def store(path: Path) -> Iterator[SqliteStore]:
    with contextlib.closing(SqliteStore(path)) as opened:
        opened.prepare()
        yield opened


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


def test_a_file_made_through_a_link_is_its_owners_alone(path: Path, tmp_path: Path) -> None:
    path.symlink_to(tmp_path / "elsewhere.db")
    with contextlib.closing(SqliteStore(path)) as store:
        store.prepare()
    assert path.is_symlink()
    assert stat.S_IMODE((tmp_path / "elsewhere.db").stat().st_mode) == 0o600


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


def test_a_file_of_an_older_cronlite_gets_the_fields_that_it_lacks(
    path: Path, store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.add_runs([a_run("old")])
    store.close()
    newer = Table("runs", {**RUNS.columns, "limit_name": TEXT, "weight": NUMBER})
    monkeypatch.setattr(opening, "TABLES", (*TABLES[:1], newer, *TABLES[2:]))
    with contextlib.closing(SqliteStore(path)) as upgraded:
        upgraded.prepare()
        assert by_hand(path, "SELECT _id, limit_name, weight FROM runs") == [("old", None, None)]
    monkeypatch.undo()
    with contextlib.closing(SqliteStore(path)) as older:  # beside the newer one, in the middle of an upgrade
        older.add_runs([a_run("added")])
        assert run_ids(older) == {"old", "added"}


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
    assert "cannot be made (" in told


def test_a_full_disk_refuses_the_write_and_nothing_else(store: SqliteStore) -> None:
    store.add_runs([a_run("before")])
    connection = store._connected()
    [(pages,)] = connection.execute("PRAGMA page_count")
    connection.execute(f"PRAGMA max_page_count = {pages + 2}")
    with pytest.raises(StoreUnavailable, match="is full; make room"):
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
    with contextlib.closing(SqliteStore(path)) as damaged, pytest.raises(StoreError, match="; restore a copy"):
        list(damaged.runs(RunQuery()))


@pytest.mark.parametrize("left", [0, 20 * 4096])
def test_a_file_cut_short_while_in_use_is_called_so_by_all(store: SqliteStore, path: Path, left: int) -> None:
    store.add_runs([a_run(f"r{number}") for number in range(1_000)])
    by_hand(path, "PRAGMA wal_checkpoint")
    store.add_runs([a_run("in the log")])
    os.truncate(path, left)
    for _ in range(2):
        with pytest.raises(StoreUnavailable, match="was cut short while in use, from"):
            store.add_runs([a_run("after")])
    with contextlib.closing(SqliteStore(path)) as another:
        told = str(refusal(another))
    assert ("was emptied" if left == 0 else "malformed") in told
    assert "locked" not in told


def test_a_file_that_somebody_packed_while_in_use_is_whole(store: SqliteStore, path: Path) -> None:
    store.add_runs([a_run(f"r{number}") for number in range(1_000)])
    by_hand(path, "PRAGMA wal_checkpoint")
    assert store.add_runs([a_run("before")]) == set()
    before = path.stat().st_size
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as shell:
        for statement in ("DELETE FROM runs WHERE _id != 'before'", "VACUUM", "PRAGMA wal_checkpoint(TRUNCATE)"):
            shell.execute(statement)
    assert path.stat().st_size < before
    assert run_ids(store) == {"before"}
    assert store.add_runs([a_run("after")]) == set()


def test_the_doctor_looks_through_the_whole_file(store: SqliteStore, path: Path) -> None:
    store.add_runs([a_run(f"r{number}") for number in range(1_000)])
    by_hand(path, "PRAGMA wal_checkpoint")
    assert store.damage() == []
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        file.write(os.urandom(20 * 4096))
    (finding, *_) = doctor(store)
    assert (finding.severity, finding.subject) == ("error", store.address)
    assert "is damaged: " in finding.problem


def test_a_daemon_whose_file_is_cut_short_says_so(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    told: list[str] = []
    with contextlib.closing(SqliteStore(path)) as store:
        daemon = Daemon(store, Registry(), notify=lambda _, status: told.append(status))
        daemon.start()
        assert daemon.wait_ready(20)
        os.truncate(path, 0)
        wait_until(lambda: "was cut short" in caplog.text, what="its log tells", instead=lambda: caplog.text)
        wait_until(lambda: "was cut short" in told[-1], what="its status tells", instead=lambda: told)
        daemon.stop()


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
            connection.execute(RUNS.insert(), RUNS.row(a_run().document()))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert run_ids(store) == set()
    assert store.add_runs([a_run("next")]) == set()


def test_a_file_from_before_there_were_alarms_gets_their_tables(tmp_path: Path) -> None:
    path = tmp_path / "cronlite.db"
    store = open_store(f"sqlite:{path}")
    store.prepare()
    store.close()
    with contextlib.closing(sqlite3.connect(path)) as older:
        older.executescript(
            "DROP TABLE alarms; DROP TABLE duties; DROP INDEX runs_late;"
            "ALTER TABLE runs DROP COLUMN late_at; ALTER TABLE schedules DROP COLUMN ping_url;"
        )
    store = open_store(f"sqlite:{path}")
    assert store.prepare() == []
    assert store.raise_alarms([alarms.new("failed", "s", "s failed", now=NOW)]) == {"failed:s"}
    assert store.claim_duty("watch", "d", NOW, NOW) is not None
    store.add_runs([a_run("r", late_at=NOW)])
    assert [run.id for run in store.late_runs(NOW, 1)] == ["r"]
    store.add_schedule(a_schedule(ping_url="https://h/"))
    store.close()
