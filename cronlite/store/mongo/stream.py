"""How does a daemon hear of a new run before its next poll?"""

from __future__ import annotations

import math
import threading
import time
from contextlib import suppress
from typing import Any, cast

import pymongo
from pymongo.collection import Collection
from pymongo.command_cursor import RawBatchCommandCursor
from pymongo.errors import ConnectionFailure, OperationFailure, PyMongoError

from cronlite.documents.runs import QUEUED
from cronlite.documents.schedules import Document

_Cursor = RawBatchCommandCursor[Document]

# A server that has no streams now (a standalone one) may be made a replica set one day.
_ASK_AGAIN_SECONDS = 600.0
_CLOSE_SECONDS = 1.0
_PIPELINE: list[dict[str, Any]] = [
    {"$changeStream": {}},
    {
        "$match": {
            "$or": [
                # Before MongoDB 5.0, a run whose change is looked up is replaced.
                {"operationType": {"$in": ["insert", "replace"]}, "fullDocument.state": QUEUED},
                {"operationType": "update", "updateDescription.updatedFields.state": QUEUED},
                {"operationType": "update", "updateDescription.updatedFields.run_at": {"$exists": True}},
            ]
        }
    },
    # The resume token has to stay.
    {"$project": {"_id": True}},
]


class Stream:
    """A change stream on the runs, kept open from one wait to the next.

    It is a plain cursor of whole batches and not pymongo's ChangeStream: a tick's thousand new runs are to wake once,
    and another thread needs the cursor's id to end a wait. What ChangeStream adds, going on without a gap after an
    error, is not needed, since every daemon also polls.
    """

    def __init__(self, runs: Collection[Document]) -> None:
        self._runs = runs
        self._one_at_a_time = threading.Lock()
        self._cursor: _Cursor | None = None
        self._await_ms = 0
        # A stream keeps a connection for itself. Where the URI grants only one, nothing else would ever get it.
        is_alone = runs.database.client.options.pool_options.max_pool_size == 1
        self._not_before = math.inf if is_alone else 0.0
        self._closed = threading.Event()

    def wait(self, seconds: float) -> bool:
        """Wait for an event; return False, at once, where there are no streams.

        While another thread waits, nobody but that one hears of events: this one waits no longer than it wanted to.
        """
        if not self._one_at_a_time.acquire(timeout=seconds):
            return self._may_ask
        try:
            with pymongo.timeout(seconds + 5):
                return self._wait(max(1, int(seconds * 1000)))
        finally:
            self._one_at_a_time.release()

    @property
    def _may_ask(self) -> bool:
        return not self._closed.is_set() and time.monotonic() >= self._not_before

    def _wait(self, await_ms: int) -> bool:
        if not self._may_ask:
            return False
        cursor = self._open(await_ms)
        # Asked again: before there was a cursor, close() could end no wait.
        if cursor is None or self._closed.is_set():
            return False
        try:
            cursor.try_next()
        except PyMongoError as error:
            self._drop()
            if isinstance(error, ConnectionFailure) and not self._closed.is_set():
                raise
            return False  # the server ended the cursor; the next wait opens another
        return True

    def interrupt(self) -> None:
        """End the wait that is under way, if one is; the next one opens another cursor."""
        cursor = self._cursor
        if cursor is not None and cursor.cursor_id:
            with suppress(PyMongoError), pymongo.timeout(_CLOSE_SECONDS):
                self._runs.database.command("killCursors", self._runs.name, cursors=[cursor.cursor_id])

    def close(self) -> None:
        """End all waits, without waiting for one under way: the server may notice its end only at the next write."""
        self._closed.set()
        self.interrupt()
        if self._one_at_a_time.acquire(blocking=False):
            self._drop()
            self._one_at_a_time.release()

    def _open(self, await_ms: int) -> _Cursor | None:
        if self._cursor is not None and (not self._cursor.alive or self._await_ms != await_ms):
            self._drop()
        if self._cursor is None:
            try:
                self._cursor = cast("_Cursor", self._runs.aggregate_raw_batches(_PIPELINE, maxAwaitTimeMS=await_ms))
            except NotImplementedError:  # mongomock
                self._not_before = math.inf
            except OperationFailure as refused:
                if refused.timeout:
                    raise
                self._not_before = time.monotonic() + _ASK_AGAIN_SECONDS
            self._await_ms = await_ms
        return self._cursor

    def _drop(self) -> None:
        cursor, self._cursor = self._cursor, None
        if cursor is not None:
            with suppress(PyMongoError):
                cursor.close()
