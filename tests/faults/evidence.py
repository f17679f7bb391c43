"""What does the store hold, read without cronlite's own code?"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from pymongo import MongoClient
from pymongo.errors import PyMongoError

Document = dict[str, Any]

FINAL = {"succeeded", "failed", "timed_out", "abandoned", "skipped", "missed", "cancelled"}
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


@dataclass
class Evidence:
    """The documents of a store at one moment."""

    runs: dict[Any, Document]
    ticks: list[Document]
    daemons: list[Document]


def read(uri: str) -> Evidence:
    """Read all documents that tell of runs, ticks and daemons."""
    kinds = {name: list(_documents(uri, name)) for name in ("runs", "ticks", "daemons")}
    ticks = [{"_id": tick.get("minute")} | tick for tick in kinds["ticks"]]
    of_minutes = [tick for tick in ticks if isinstance(tick["_id"], datetime)]
    return Evidence({run["_id"]: run for run in kinds["runs"]}, of_minutes, kinds["daemons"])


def can_be_written(uri: str) -> bool:
    """Return whether nobody holds the lock of a store in a file for longer than a write takes; a server has none."""
    if not uri.startswith("sqlite:"):
        return True
    with closing(sqlite3.connect(_file(uri), timeout=0.5, isolation_level=None)) as connection:
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as refused:
            if "locked" not in str(refused):
                raise
            return False
        connection.execute("ROLLBACK")
    return True


def _documents(uri: str, collection: str) -> Iterator[Document]:
    if uri.startswith("mongodb:"):
        with MongoClient[Document](uri, tz_aware=True, timeoutMS=10_000, serverSelectionTimeoutMS=2_000) as client:
            yield from client.get_default_database()[collection].find()
        return
    with closing(sqlite3.connect(_file(uri), timeout=20)) as connection:
        connection.row_factory = sqlite3.Row
        for row in connection.execute(f"SELECT * FROM {collection}"):
            yield {name: _value(name, row[name]) for name in row.keys() if row[name] is not None}  # noqa: SIM118


def _value(column: str, value: Any) -> Any:
    if column.endswith("_at") or column == "minute":
        return EPOCH + timedelta(milliseconds=value)
    return json.loads(value) if column in ("params", "result", "error") else value


def _file(uri: str) -> Path:
    return Path(uri.removeprefix("sqlite:"))


@dataclass
class Watcher:
    """Looks at the runs again and again; a final one must stay as it was first seen."""

    uri: str
    changed: list[str] = field(default_factory=list)
    looks: int = 0
    _seen: dict[Any, Document] = field(default_factory=dict)
    _resting: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Look from a thread, for the time of a with-statement."""
        over = threading.Event()
        thread = threading.Thread(target=self._main, args=(over,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join(15)

    def rest(self) -> None:
        """Look no more: a test changes runs by hand."""
        self._resting = True

    def look(self) -> None:
        """Compare the final runs with what they were."""
        if self._resting:
            return
        with self._lock:  # the test looks, too
            self._look()

    def _look(self) -> None:
        self.looks += 1
        now = {run["_id"]: run for run in _documents(self.uri, "runs") if run.get("state") in FINAL}
        for id_, before in self._seen.items():
            after = now.get(id_, {"state": "no longer final, or gone"})
            if after != before:
                differs = {name: (before.get(name), after.get(name)) for name in before | after}
                told = {name: pair for name, pair in differs.items() if pair[0] != pair[1]}
                self.changed.append(f"run {id_} was final and changed: {told}")
        self._seen |= now

    def _main(self, over: threading.Event) -> None:
        while not over.wait(0.3):
            with suppress(PyMongoError, sqlite3.Error):  # the server may be down: some tests see to that
                self.look()
