"""How does a process talk to one SQLite file: its connection, its transactions, its forks?"""

from __future__ import annotations

import math
import os
import sqlite3
import threading
import time
import weakref
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, NamedTuple

from cronlite.errors import StoreTooSlow, StoreUnavailable
from cronlite.logger import logger
from cronlite.store.grouping import batches
from cronlite.store.sqlite.bell import Bell
from cronlite.store.sqlite.failures import translation
from cronlite.store.sqlite.opening import damage, open_database
from cronlite.store.sqlite.rows import Table, listed
from cronlite.when.clock import whole_milliseconds

log = logger("cronlite.store")

_PAGE = 500
_INSTRUCTIONS = 10_000  # of SQLite's, between two looks at the clock
_PAGE_BYTES = 16 * 1024 * 1024
Rows = list[tuple[Any, ...]]


class Order(NamedTuple):
    """An order of rows: by which columns, what comes behind a place in it, and how that is said."""

    place: str
    behind: str
    by: str


BY_ID = Order("_id", "_id > ?", "ORDER BY _id")
BY_NAME = Order("name", "name > ?", "ORDER BY name")
NEWEST_FIRST = Order("queued_at, _id", "(queued_at, _id) < (?, ?)", "ORDER BY queued_at DESC, _id DESC")


class Tables:
    """The tables, on one connection that all threads of the process share under a lock.

    It is opened at first use, closed before each fork, and opened anew on both sides: a child inherits the record of
    the parent's file locks but not the locks, so that the parent's exit would delete the write-ahead log that the child
    writes to (https://sqlite.org/howtocorrupt.html, 2.6).
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path.absolute() if path else None
        self._lock, self._aside = threading.RLock(), threading.RLock()
        self._connection: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None
        self._size, self._damaged_size = 0, -1
        self._opener, self._made_in = 0, os.getpid()
        self._forking = False
        self._closed = threading.Event()
        self._hurry = threading.local()
        self._bell = Bell(self._path) if self._path else None
        _EVERY.add(self)

    @property
    def address(self) -> str:
        return f"sqlite:{self._path}" if self._path else "memory:"

    def close(self) -> None:
        self._closed.set()
        if self._bell:
            self._bell.close()
        with translation(self.address), self._lock:
            self._disconnect()

    def now(self) -> datetime:
        return whole_milliseconds(datetime.now(timezone.utc))

    def before_fork(self) -> None:
        """Wait until no thread is inside the database, and let go of its file."""
        self._aside.acquire()
        self._lock.acquire()
        self._forking = True
        if self._path:
            self._disconnect()

    def after_fork(self) -> None:
        """Let the threads of the parent, and of the child, in again."""
        if self._forking:
            self._forking = False
            self._lock.release()
            self._aside.release()
        if self._bell and os.getpid() != self._made_in:
            self._bell.forget()
            self._made_in = os.getpid()

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """Let what this thread reads meanwhile raise StoreTooSlow once that has taken so long."""
        outer: float = getattr(self._hurry, "until", math.inf)
        self._hurry.until = min(outer, time.monotonic() + seconds)
        try:
            yield
        finally:
            self._hurry.until = outer

    def _read(self, query: str, values: Sequence[Any] = ()) -> Rows:
        """Return all rows of a query at once: an open cursor would hold a snapshot that no write can follow."""
        with translation(self.address), self._lock, self._in_time() as connection:
            return connection.execute(query, values).fetchall()

    @contextmanager
    def _in_time(self) -> Iterator[sqlite3.Connection]:
        """Give the connection; where there is a limit, end what takes longer: nobody else here can use it meanwhile."""
        connection, until = self._connected(), getattr(self._hurry, "until", math.inf)
        if until == math.inf:
            yield connection
            return
        connection.set_progress_handler(lambda: time.monotonic() > until, _INSTRUCTIONS)
        try:
            yield connection
        except sqlite3.OperationalError as error:
            if "interrupted" in str(error):
                raise StoreTooSlow(f"{self.address} took too long; ask for less") from error
            raise
        finally:
            connection.set_progress_handler(None, 0)

    def _read_aside(self, query: str, values: Sequence[Any] = ()) -> Rows:
        """Do the same for a query that reads very much, on a connection of its own: no tick or claim waits for it."""
        if self._path is None:
            return self._read(query, values)
        self._read("SELECT 1")  # a file that is gone or cut short is told as by everything else
        with translation(self.address), self._aside, closing(open_database(self._path)) as connection:
            return connection.execute(query, values).fetchall()

    @contextmanager
    def _write(self) -> Iterator[sqlite3.Connection]:
        """Begin a transaction with the right to write; commit it, or roll it back when an exception travels."""
        with translation(self.address), self._lock:
            connection = self._connected()
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:  # a full disk may have ended it
                    connection.execute("ROLLBACK")
                raise

    def _change(self, statement: str, values: Sequence[Any] = ()) -> int:
        """Run one statement in a transaction of its own; return how many rows it changed."""
        with self._write() as connection:
            return connection.execute(statement, values).rowcount

    def _ring(self) -> None:
        """Let the daemons on this file know that runs were queued."""
        if self._bell:
            self._bell.ring()

    def _stream(self, table: Table, rowids: Iterable[int]) -> Iterator[dict[str, Any]]:
        """Yield the documents of these rows in this order, without those that are gone meanwhile."""
        for page in batches(rowids, _PAGE):
            yield from self._rows(table, page)

    def _rows(self, table: Table, page: Sequence[int]) -> Iterator[dict[str, Any]]:
        """Yield the documents of a page; where they are large, half a page at a time."""
        rows = self._read_some(table.select_rows, [listed(page)])
        if rows is None and len(page) > 1:
            middle = len(page) // 2
            yield from self._rows(table, page[:middle])
            yield from self._rows(table, page[middle:])
        elif rows is None:
            yield from map(table.document, (row[1:] for row in self._read(table.select_rows, [listed(page)])))
        else:
            stored = {row[0]: row[1:] for row in rows}
            yield from (table.document(stored[rowid]) for rowid in page if rowid in stored)

    def _read_some(self, query: str, values: Sequence[Any]) -> Rows | None:
        """Return all rows of a query, unless they are too large to be in memory together."""
        rows: Rows = []
        room = _PAGE_BYTES
        with translation(self.address), self._lock, self._in_time() as connection:
            for row in connection.execute(query, values):
                rows.append(row)
                room -= sum(len(value) for value in row if isinstance(value, (str, bytes)))
                if room < 0:
                    return None
        return rows

    def _pages(
        self, table: Table, terms: Sequence[str], values: Sequence[Any], order: Order, size: int = _PAGE
    ) -> Iterator[dict[str, Any]]:
        """Yield the documents to which some terms apply, read a page at a time: however many, few are in memory."""
        last: Sequence[Any] = ()
        width = order.place.count(",") + 1
        while True:
            where = " AND ".join(["true", *terms, *([order.behind] if last else [])])
            statement = f"SELECT {order.place}, {table.names} FROM {table.name} WHERE {where} {order.by} LIMIT ?"
            rows = self._read(statement, [*values, *last, size])
            yield from (table.document(row[width:]) for row in rows)
            if len(rows) < size or not size:
                return
            last = rows[-1][:width]

    def _connected(self) -> sqlite3.Connection:
        if self._closed.is_set():
            raise StoreUnavailable(f"{self.address} was closed")
        if self._connection is not None and self._path is not None:
            self._look_at_file(self._path)
        if self._connection is None:
            self._connection = open_database(self._path)
            self._opener = os.getpid()
            if self._path is not None:
                status = _status(self._path)
                self._file, self._size = _identity(status), status.st_size
        return self._connection

    def _look_at_file(self, path: Path) -> None:
        """Let go of the file if another is at its path now; raise StoreUnavailable if it cannot be used any more."""
        if self._opener != os.getpid():
            raise StoreUnavailable(
                f"{self.address} was open when this process was forked by other means than os.fork; open it afterwards"
            )
        status = _status(path)
        if _identity(status) != self._file:
            log.warning("%s was replaced while in use; what is there now counts", self.address)
            self._disconnect()
        elif status.st_size < self._size:
            self._require_whole(path, status.st_size)
        self._size = status.st_size

    def _require_whole(self, path: Path, size: int) -> None:
        """Raise StoreUnavailable for a file that is shorter than before, unless somebody packed it (VACUUM).

        This connection would go on for a while, with what it has in memory.
        """
        if size == self._damaged_size or not size or damage(path):
            self._damaged_size = size
            raise StoreUnavailable(
                f"{self.address} was cut short while in use, from {self._size} to {size} bytes; restore a copy of it"
            )

    def _disconnect(self) -> None:
        if self._connection is not None and self._opener == os.getpid():
            self._connection.close()
            self._connection = None


def _status(path: Path) -> os.stat_result:
    """Look at the file at a path; raise StoreUnavailable when none is there."""
    try:
        return path.stat()
    except OSError as error:
        # Whoever wrote on would write to a file that nobody will read, or begin an empty one on an unmounted disk.
        raise StoreUnavailable(
            f"sqlite:{path} is gone ({error.strerror}); put it back, or restart without it"
        ) from None


def _identity(status: os.stat_result) -> tuple[int, int]:
    """Tell one file at a path from the next."""
    return status.st_dev, status.st_ino


def _before_fork() -> None:
    for tables in sorted(_EVERY, key=id):
        tables.before_fork()


def _after_fork() -> None:
    for tables in list(_EVERY):
        tables.after_fork()


# A hook cannot be taken back, so there is one for all, and it keeps none of them alive.
_EVERY: weakref.WeakSet[Tables] = weakref.WeakSet()
os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork)
