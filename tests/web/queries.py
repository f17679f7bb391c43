"""How many queries does a page ask its store?"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pymongo import MongoClient, monitoring

from cronlite.client.app import Cronlite
from cronlite.store.mongo import MongoStore
from cronlite.store.sqlite import SqliteStore

_OF_THE_DRIVER = ("killCursors", "endSessions", "ping", "hello")


class Queries(monitoring.CommandListener):
    """Counts what one Cronlite asks of its store."""

    def __init__(self) -> None:
        self.count = 0

    @contextmanager
    def of(self, uri: str) -> Iterator[Cronlite]:
        """Open a Cronlite on a store, and listen."""
        if uri.startswith("mongodb"):
            client = MongoClient[dict[str, Any]](uri, event_listeners=[self], timeoutMS=5_000)
            with Cronlite(uri) as cron:
                _put(cron, MongoStore(client, client.get_default_database().name, "mongodb:"))
                yield cron
            return
        with Cronlite(uri) as cron:
            store = cron.store
            assert isinstance(store, SqliteStore)
            store._connected().set_trace_callback(self._sqlite)
            yield cron

    def _sqlite(self, statement: str) -> None:
        self.count += statement.lstrip().upper().startswith(("SELECT", "WITH", "INSERT", "UPDATE", "DELETE"))

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        self.count += event.command_name not in _OF_THE_DRIVER

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None: ...

    def failed(self, event: monitoring.CommandFailedEvent) -> None: ...


def _put(cron: Cronlite, store: Any) -> None:
    """Let a Cronlite work on a store that is open already."""
    assert store.prepare() == []
    cron._opened._opened = os.getpid(), store
