"""Which stored runs can be read, and what becomes of the others?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

from cronlite.documents import runs, transitions
from cronlite.documents.runs import ABANDONED, Changes, Run
from cronlite.documents.schedules import Document
from cronlite.errors import InvalidInput, shown
from cronlite.logger import logger
from cronlite.store.mongo.connection import Collections
from cronlite.store.mongo.documents import run_from_store, update

_log = logger("cronlite.store")


class Readable(Collections):
    """The runs that can be read. Those at work that cannot are closed, or every later look would meet them first."""

    def _read_or_abandon(self, documents: Iterable[Document], now: datetime) -> Iterator[Run]:
        for document in documents:
            try:
                yield runs.read(run_from_store(document))
            except InvalidInput as fault:
                _log.warning("run %s cannot be read, and is abandoned: %s", shown(document["_id"]), fault)
                broken = {"_id": document["_id"], "state": document["state"]}
                self._runs.update_one(broken, update(abandoned(now, f"it cannot be read: {fault}")))


def readable(documents: Iterable[Document]) -> Iterator[Run]:
    """Yield the runs that can be read."""
    for document in documents:
        try:
            yield runs.read(run_from_store(document))
        except InvalidInput:
            continue


def abandoned(now: datetime, reason: str) -> Changes:
    """Return the changes that close a run of which nothing can be made."""
    return transitions.closed(ABANDONED, now, reason=reason[:500], run_at=None)
