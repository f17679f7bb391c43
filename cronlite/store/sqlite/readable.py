"""Which stored runs can be read, and what becomes of the others?"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime

from cronlite.documents import runs, transitions
from cronlite.documents.runs import ABANDONED, Run
from cronlite.documents.schedules import Document
from cronlite.errors import InvalidInput, shown
from cronlite.logger import logger
from cronlite.store.sqlite.tables import RUNS

log = logger("cronlite.store")


def readable(documents: Iterable[Document]) -> Iterator[Run]:
    """Yield the runs that can be read."""
    for document in documents:
        with suppress(InvalidInput):
            yield runs.read(document)


def read_or_abandon(
    connection: sqlite3.Connection, rows: Sequence[tuple[int, Document]], now: datetime
) -> list[tuple[int, Run]]:
    """Read runs, each with its row's number; close unreadable ones, which every later claim would meet first."""
    whole = []
    for rowid, document in rows:
        try:
            whole.append((rowid, runs.read(document)))
        except InvalidInput as fault:
            log.warning("run %s cannot be read, and is abandoned: %s", shown(document.get("_id")), fault)
            ended = transitions.closed(ABANDONED, now, reason=f"it cannot be read: {fault}")
            connection.execute(f"{RUNS.update(ended)} WHERE rowid = ?", [*RUNS.values(ended), rowid])
    return whole
