"""Is a handler's name one that some daemon alive, or this process, has?"""

from __future__ import annotations

import threading

from cronlite.client.opened import Opened
from cronlite.daemon.store_clock import steady
from cronlite.errors import StoreError, suggestion
from cronlite.handlers.registry import Registry

ASKED_EVERY_SECONDS = 5.0
MOST_DOUBTED = 1_000


class KnownHandlers:
    """What is known of handlers' names, so that a misspelt one is told at once, and each name only once.

    It is no refusal: the daemon that has it may be about to start. The daemons are asked about a name that was not seen
    before, at most every five seconds.
    """

    def __init__(self, opened: Opened) -> None:
        self._opened = opened
        self._lock = threading.Lock()
        self._seen: set[str] = set()
        self._doubted: set[str] = set()
        self._asked = float("-inf")

    def doubt(self, handler: str, registry: Registry) -> str | None:
        """Say what is odd about a name for which daemons are alive, and none has it; None at a second time."""
        with self._lock:
            if handler in self._seen or handler in self._doubted or registry.get(handler) is not None:
                return None
            if steady() - self._asked < ASKED_EVERY_SECONDS or len(self._doubted) >= MOST_DOUBTED:
                return None
            self._asked = steady()
            try:
                now = self._opened.now()
                alive = [daemon for daemon in self._opened.store.daemons() if daemon.is_alive(now)]
            except StoreError:
                return None
            self._seen = {name for daemon in alive for name in daemon.handlers}
            if not alive or handler in self._seen:
                return None
            self._doubted.add(handler)
        hint = suggestion(handler, self._seen | set(registry.names()))
        return f"no daemon alive has the handler {handler!r}; {hint}".rstrip("; ")
