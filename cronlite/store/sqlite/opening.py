"""How is a database file opened: made if there is none, refused if it is another program's, and set up?"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from cronlite.errors import ConfigurationError, StoreError, StoreUnavailable
from cronlite.store.sqlite.failures import BUSY_SECONDS
from cronlite.store.sqlite.indexes import INDEXES
from cronlite.store.sqlite.rows import quoted
from cronlite.store.sqlite.tables import ADDED, TABLES

SCHEMA_VERSION = 1
# It brought ON CONFLICT. RHEL 8, the oldest distribution with a Python of 3.10 or later, has 3.26.
OLDEST_SQLITE = (3, 24)

_APPLICATION_ID = 0x63726F6E  # "cron"
_WAL_BYTES_KEPT = 64 * 1024 * 1024
_RETRY_SECONDS = 0.02
_FAULTS = 3


def open_database(path: Path | None) -> sqlite3.Connection:
    """Open a file, or memory, with all tables in it; safe from several processes at once.

    Raises ConfigurationError, StoreError, and what sqlite3 raises.
    """
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        raise ConfigurationError(f"this Python's SQLite {sqlite3.sqlite_version} is too old; give it 3.24 or later")
    if path:
        _make_file(path)
        _refuse_emptied(path)
    connection = sqlite3.connect(
        path or ":memory:", timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
    )
    try:
        connection.text_factory = _text
        _set_up_patiently(connection, f"sqlite:{path}" if path else "memory:")
    except BaseException:
        connection.close()
        raise
    return connection


def _make_file(path: Path) -> None:
    """Make an empty file that only its owner can read: what SQLite makes, everybody can."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(
            f"sqlite:{path}: its folder cannot be made ({error.strerror}: {error.filename}); give another path"
        ) from error
    try:
        # Where a link leads, which may be to nothing yet: O_EXCL follows none, and SQLite does.
        os.close(os.open(os.path.realpath(path), os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        if path.is_dir():
            raise ConfigurationError(f"sqlite:{path} is a folder; give the path of a file in it") from None
    except OSError as error:
        raise StoreUnavailable(
            f"sqlite:{path} cannot be made ({error.strerror}); let this user write its folder, or give another path"
        ) from error


def _refuse_emptied(path: Path) -> None:
    """Raise StoreError for a file that was emptied beside its write-ahead log: SQLite would call it locked, or, with
    nobody at it, delete the log and begin anew.
    """
    # The log first: while a file is made, it has its first page before there is a log.
    log = Path(f"{path}-wal")
    if log.exists() and log.stat().st_size and not path.stat().st_size:
        raise StoreError(
            f"sqlite:{path} was emptied, but {log.name} beside it was not; restore a copy of both, or move both away"
        )


def damage(path: Path) -> list[str]:
    """Read a whole file, and return what SQLite finds wrong with it: the first few lines."""
    try:
        with closing(sqlite3.connect(path, timeout=BUSY_SECONDS)) as another:  # which has nothing of it in memory
            lines = [str(line) for (line,) in another.execute(f"PRAGMA quick_check({_FAULTS})")]
    except sqlite3.DatabaseError as error:
        lines = [str(error)]
    return [] if lines == ["ok"] else [" ".join(line.split()) for line in lines]


def _text(stored: bytes) -> str | bytes:
    # With a plain str, one text that is not UTF-8 would end the whole query.
    try:
        return stored.decode()
    except UnicodeDecodeError:
        return stored


def _set_up_patiently(connection: sqlite3.Connection, address: str) -> None:
    """Set up; while another process makes the same file, SQLite refuses at once what it otherwise waits for."""
    give_up_at = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            _set_up(connection, address)
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > give_up_at:
                raise
        time.sleep(_RETRY_SECONDS)


def _set_up(connection: sqlite3.Connection, address: str) -> None:
    empty = _is_empty(connection, address)
    connection.execute("PRAGMA journal_mode = WAL")
    # With NORMAL, a power failure would lose the last claims and outcomes.
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(f"PRAGMA journal_size_limit = {_WAL_BYTES_KEPT}")
    if empty:
        _make_tables(connection, address)
    elif any(_missing(connection)):
        _complete(connection)


def _make_tables(connection: sqlite3.Connection, address: str) -> None:
    connection.execute("BEGIN IMMEDIATE")
    with connection:  # commits, or rolls back
        if _is_empty(connection, address):
            for statement in (*(table.create for table in TABLES), *(f"CREATE {index}" for index in INDEXES.values())):
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def _complete(connection: sqlite3.Connection) -> None:
    """Add the fields and indexes that the cronlite which made the file did not have yet; it can go on using it."""
    connection.execute("BEGIN IMMEDIATE")
    with connection:  # commits, or rolls back
        for statement in list(_missing(connection)):
            connection.execute(statement)


def _missing(connection: sqlite3.Connection) -> Iterator[str]:
    """Yield the statement for each column and each index that is not there."""
    indexes = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'index'")}
    for table in TABLES:
        there = {name for (name,) in connection.execute("SELECT name FROM pragma_table_info(?)", [table.name])}
        if not there and table in ADDED:
            yield table.create
            yield from (f"CREATE {index}" for index in INDEXES.values() if f" ON {table.name} " in index)
        if there:  # or else somebody dropped the whole table
            missing = ((name, kind) for name, kind in table.columns.items() if name not in there)
            yield from (
                f"ALTER TABLE {table.name} ADD COLUMN {quoted(name)} {kind.declared}".rstrip() for name, kind in missing
            )
            of_table = {name: index for name, index in INDEXES.items() if f" ON {table.name} " in index}
            yield from (f"CREATE {index}" for name, index in of_table.items() if name not in indexes)


def _is_empty(connection: sqlite3.Connection, address: str) -> bool:
    """Tell whether nothing is in the file yet; raise StoreError if something is that is not to be touched."""
    [(application, version, parts)] = connection.execute(
        "SELECT application_id, user_version, (SELECT count(*) FROM sqlite_master)"
        " FROM pragma_application_id, pragma_user_version"
    )
    if application == _APPLICATION_ID:
        if version > SCHEMA_VERSION:
            raise StoreError(
                f"{address} was made by a newer cronlite (tables of version {version}, this one knows "
                f"{SCHEMA_VERSION}); upgrade this one"
            )
        return False
    if parts:
        raise StoreError(f"{address} is another program's database; give a file of its own")
    return True
