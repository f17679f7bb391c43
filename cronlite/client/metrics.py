"""Which figures can an application show to Prometheus itself, at an address of its own?"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from cronlite.client.embedded import Embedded
from cronlite.metrics.loading import load
from cronlite.store.contract import Store

if TYPE_CHECKING:
    from cronlite.metrics.exposition import Exposition


class Metrics:
    """The figures of the store, and those of the daemon that `start(metrics=…)` has running in this process."""

    def __init__(self, store: Callable[[], Store], embedded: Embedded) -> None:
        self._store, self._embedded = store, embedded
        self._lock = threading.Lock()
        self._of_store: tuple[Store, Exposition] | None = None

    def text(self, accept: str = "") -> tuple[bytes, str]:
        """Return them in the form that an Accept header asks for, and their content type; within a second.

        Raises ConfigurationError where prometheus-client is missing.
        """
        daemon = self._embedded.daemon
        exposition = daemon.measured.exposition if daemon else None
        return (exposition or self._exposition()).text(accept)

    def _exposition(self) -> Exposition:
        store = self._store()
        with self._lock:
            if self._of_store is None or self._of_store[0] is not store:
                self._of_store = store, load("exposition").Exposition(store)
            return self._of_store[1]
