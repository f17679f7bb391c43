"""How does SQLite keep the store, in a file or in memory?

`opening` makes a file or refuses it, `connection` reads and writes it from all threads of a process, `tables` and
`indexes` say what is in it, `rows` turns a document into a row and back, and `failures` puts every error into
cronlite's words.
"""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import closing
from pathlib import Path

from cronlite.errors import StoreError, StoreUnavailable
from cronlite.store.sqlite.alarms import Alarms
from cronlite.store.sqlite.backfills import Backfills
from cronlite.store.sqlite.changes import Changes
from cronlite.store.sqlite.daemons import Daemons
from cronlite.store.sqlite.failures import translation
from cronlite.store.sqlite.freezes import Freezes
from cronlite.store.sqlite.indexes import INDEXES, OBSOLETE
from cronlite.store.sqlite.lanes import Lanes
from cronlite.store.sqlite.opening import damage
from cronlite.store.sqlite.runs import Runs
from cronlite.store.sqlite.schedules import Schedules
from cronlite.store.sqlite.ticks import Ticks
from cronlite.store.sqlite.views import Views

__all__ = ["SqliteStore"]

_LOOK_SECONDS = 0.1
# Where a bell rings, looking only finds what a lost ring should have told. Once a look has found something, more rings
# may be lost, and for a minute there are more looks.
_LOOK_SECONDS_HEARING = 1.0
_DOUBT_SECONDS = 60.0
_RING_SECONDS = 0.01


class SqliteStore(Schedules, Changes, Freezes, Backfills, Runs, Lanes, Views, Ticks, Daemons, Alarms):
    """A store in a file, for the daemons and programs of one host; without a path it is in memory, for one process.

    The tables are made when the file is first opened.
    """

    _version: object = None
    _newest: object = None
    _doubts_until = _rung_at = float("-inf")

    def prepare(self) -> list[str]:
        present = {name for (name,) in self._read("SELECT name FROM sqlite_master WHERE type = 'index'")}
        for name in present.intersection(OBSOLETE):
            self._change(f"DROP INDEX IF EXISTS {name}")
        missing = {name: index for name, index in INDEXES.items() if name not in present}
        return [problem for name, index in missing.items() if (problem := self._build(name, index))]

    def _build(self, name: str, index: str) -> str | None:
        """Build an index, in a transaction of its own: it takes seconds over millions of rows."""
        try:
            self._change(f"CREATE {index.replace('INDEX', 'INDEX IF NOT EXISTS', 1)}")
        except StoreError as refused:
            if not isinstance(refused.__cause__, sqlite3.IntegrityError):
                raise
            return f"{self.address}: the index {name} is missing, and cannot be made: {refused.__cause__}"
        return None

    def damage(self) -> list[str]:
        if self._path is None:
            return []
        self._read("SELECT 1")  # a file that is gone or cut short is told as by everything else
        return damage(self._path)

    def copy(self, path: Path) -> None:
        """Write all that is kept into a new file, which only its owner can read."""
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        with translation(self.address), self._lock, closing(sqlite3.connect(path)) as copied:
            self._connected().backup(copied)

    def watch(self, seconds: float) -> bool:
        if self._path is None:
            return False
        until = time.monotonic() + seconds
        try:
            return self._hears_until(until)
        except StoreUnavailable:
            if not self._closed.is_set():
                raise
        return False

    def stop_watching(self) -> None:
        """Do nothing: whoever rings does not wait for those who hear."""

    def _hears_until(self, until: float) -> bool:
        """Wait for a ring, or for a look at the file that finds something; tell whether the store was not closed."""
        bell, is_first = self._bell, self._version is None
        if bell:
            bell.listen()
        while not self._closed.is_set():
            if self._was_queued():
                if not is_first:  # whoever wrote that did not ring
                    self._doubts_until = time.monotonic() + _DOUBT_SECONDS
                break
            if (remaining := until - time.monotonic()) <= 0:
                break
            if bell is None or not bell.is_bound:
                self._closed.wait(min(remaining, _LOOK_SECONDS))
                continue
            doubts = time.monotonic() < self._doubts_until
            if bell.wait(min(remaining, _LOOK_SECONDS if doubts else _LOOK_SECONDS_HEARING)):
                # A claim keeps writers out for a moment, so rings that come close together lead to one claim.
                self._closed.wait(self._rung_at + _RING_SECONDS - time.monotonic())
                self._rung_at = time.monotonic()
                self._was_queued()  # take note of what rang, or the next look would find it again
                break
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
