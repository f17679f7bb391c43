"""How does SQLite keep the store, in a file or in memory?"""

from __future__ import annotations

import sqlite3
import time

from cronlite.errors import StoreUnavailable
from cronlite.store.sqlite.daemons import Daemons
from cronlite.store.sqlite.runs import Runs
from cronlite.store.sqlite.schedules import Schedules
from cronlite.store.sqlite.tables import INDEXES
from cronlite.store.sqlite.ticks import Ticks

__all__ = ["SqliteStore"]

_LOOK_SECONDS = 0.1


class SqliteStore(Schedules, Runs, Ticks, Daemons):
    """A store in a file, for the daemons and programs of one host; without a path it is in memory, for one process.

    The tables are made when the file is first opened.
    """

    _version: object = None
    _newest: object = None

    def prepare(self) -> list[str]:
        problems = []
        with self._write() as connection:
            for name, index in INDEXES.items():
                try:
                    connection.execute(f"CREATE {index.replace('INDEX', 'INDEX IF NOT EXISTS', 1)}")
                except sqlite3.IntegrityError as error:
                    problems.append(f"{self.address}: the index {name} is missing, and cannot be made: {error}")
        return problems

    def watch(self, seconds: float) -> bool:
        if self._path is None:
            return False
        until = time.monotonic() + seconds
        try:
            while not self._was_queued():
                remaining = until - time.monotonic()
                if remaining <= 0 or self._closed.wait(min(remaining, _LOOK_SECONDS)):
                    break
        except StoreUnavailable:
            if not self._closed.is_set():
                raise
        return not self._closed.is_set()

    def _was_queued(self) -> bool:
        """Tell whether runs came in since the last look, after a commit by another process."""
        [(version,)] = self._read("PRAGMA data_version")
        if version == self._version:
            return False
        [(newest,)] = self._read("SELECT max(rowid) FROM runs")
        came_in: bool = newest != self._newest
        self._version, self._newest = version, newest
        return came_in
