"""Which store does a URI open, and what is said of one that opens none?"""

from pathlib import Path

import pytest

from cronlite.errors import ConfigurationError
from cronlite.store import open_store
from cronlite.store.contract import ScheduleQuery
from cronlite.store.mongo import MongoStore
from cronlite.store.sqlite import SqliteStore
from tests.store.samples import a_schedule


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("sqlite:jobs.db", "jobs.db"),
        ("sqlite:./jobs.db", "jobs.db"),
        ("SQLite:jobs.db", "jobs.db"),
        ("sqlite:~/jobs.db", "home/jobs.db"),
        ("sqlite:a file?mode=memory#1%20", "a file?mode=memory#1%20"),
        ("sqlite:{here}/jobs.db", "jobs.db"),
        ("sqlite://{here}/jobs.db", "jobs.db"),
        ("sqlite:///{here}/jobs.db", "jobs.db"),
    ],
)
def test_a_file_is_opened_where_the_shell_would_find_it(uri: str, path: str, tmp_path: Path) -> None:
    store = open_store(uri.format(here=tmp_path))
    assert isinstance(store, SqliteStore)
    store.prepare()
    store.add_schedule(a_schedule())
    store.close()
    assert (tmp_path / path).is_file()


@pytest.mark.parametrize("uri", ["memory:", "memory://", "MEMORY:"])
def test_memory_leaves_no_file(uri: str, tmp_path: Path) -> None:
    store = open_store(uri)
    store.prepare()
    store.add_schedule(a_schedule())
    assert len(list(store.schedules(ScheduleQuery()))) == 1
    store.close()
    assert [path.name for path in tmp_path.iterdir()] == ["home"]


@pytest.mark.parametrize("uri", ["mongodb://host/app", "MongoDB://host/app", "mongodb+srv://host.invalid/app"])
def test_a_mongodb_is_opened_without_asking_it(uri: str) -> None:
    store = open_store(uri)
    assert isinstance(store, MongoStore)
    store.close()


@pytest.mark.parametrize(
    ("uri", "told"),
    [
        ("", "no scheme"),
        ("jobs.db", "sqlite:jobs.db"),
        ("/var/lib/jobs.db", "sqlite:/var/lib/jobs.db"),
        ("user:s3cr3t@host", "no store is called"),
        ("s3cr3t@host/app", "no scheme"),
        ("mongo://user:s3cr3t@host/app", "did you mean 'mongodb'"),
        ("mongodb:user:s3cr3t@host/app", "cannot be read"),
        ("sqlite3:jobs.db", "did you mean 'sqlite'"),
        ("postgresql://user:s3cr3t@host/app", "mongodb://host/database"),
        ("sqlite:", "names no file"),
        ("sqlite://", "absolute path"),
        ("sqlite://jobs.db", "give sqlite:PATH"),
        ("sqlite::memory:", "memory:"),
        ("sqlite:~nobody-of-that-name/jobs.db", "home"),
        ("memory:jobs.db", "give sqlite:PATH"),
    ],
)
def test_a_uri_that_names_no_store_is_told_what_to_write(uri: str, told: str) -> None:
    with pytest.raises(ConfigurationError) as failed:
        open_store(uri)
    assert told in str(failed.value)
    assert "s3cr3t" not in str(failed.value)
    assert "\n" not in str(failed.value)
