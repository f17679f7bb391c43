"""Which store does an application work on, and what time is it there?"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from cronlite.client.quota import Door, Quota
from cronlite.daemon.store_clock import StoreClock, steady
from cronlite.logger import logger
from cronlite.store import from_anywhere, open_store
from cronlite.store.contract import Store

log = logger("cronlite")

RESYNC_SECONDS = 30.0


class Opened:
    """A store that is opened at its first use, in each process anew, and its clock."""

    def __init__(self, uri: str | None = None, quota: Quota | None = None) -> None:
        self.door = Door(quota or Quota())
        self.uri = from_anywhere(uri or os.environ.get("CRONLITE_URI") or default_uri(os.environ))
        self.lock = threading.RLock()
        self._opened: tuple[int, Store] | None = None
        self._prepared: Store | None = None
        self._clock = StoreClock()
        self._synced = float("-inf")
        _EVERY.add(self)

    @classmethod
    def on(cls, store: Store, clock: StoreClock) -> Opened:
        """Stand for a store that is open already, in this process, and go by a clock of its own."""
        opened = cls(store.address)
        opened._opened, opened._clock = (os.getpid(), store), clock
        return opened

    @property
    def store(self) -> Store:
        """The store, opened at the first use in each process."""
        with self.lock:
            if self._opened is None or self._opened[0] != os.getpid():
                self._opened = os.getpid(), open_store(self.uri)
            return self._opened[1]

    @property
    def prepared_store(self) -> Store:
        """The store with its indexes, so that what has to be unique is so from the first write on."""
        store = self.store
        if self._prepared is not store:
            for complaint in store.prepare():
                log.warning("%s", complaint)
            self._prepared = store
        return store

    def now(self) -> datetime:
        """Return the store's time, asked for every half minute and carried on in between."""
        if steady() - self._synced > RESYNC_SECONDS:
            self._clock.set(self.store.now())
            self._synced = steady()
        return self._clock.now()

    def close(self) -> None:
        """Close the store's connections."""
        with self.lock:
            if self._opened and self._opened[0] == os.getpid():
                self._opened[1].close()
            self._opened = None


def _after_fork() -> None:
    # Whoever held the lock is not in this process, and would never give it back.
    for opened in list(_EVERY):
        opened.lock = threading.RLock()


# A hook cannot be taken back, so there is one for all, and it keeps none of them alive.
_EVERY: weakref.WeakSet[Opened] = weakref.WeakSet()
os.register_at_fork(after_in_child=_after_fork)


def default_uri(environ: Mapping[str, str]) -> str:
    """Name the file of the embedded mode: under $STATE_DIRECTORY as systemd sets it, or the XDG state folder."""
    if state := environ.get("STATE_DIRECTORY"):
        return f"sqlite:{Path(state.split(':')[0]) / 'cronlite.db'}"
    home = environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return f"sqlite:{Path(home) / 'cronlite' / 'cronlite.db'}"
