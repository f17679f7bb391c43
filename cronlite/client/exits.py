"""What happens to the daemons inside a process that comes to its end?"""

from __future__ import annotations

import atexit
import threading
from typing import TYPE_CHECKING

from cronlite.logger import logger

if TYPE_CHECKING:
    from cronlite.client.embedded import Embedded

log = logger("cronlite.daemon")

_at_work: list[Embedded] = []
_lock = threading.Lock()


def drain_at_exit(embedded: Embedded) -> None:
    """Drain a daemon as the first thing at the end of the process, and end it as one of the last.

    It is drained first because running handlers still need what Python shuts down early: `concurrent.futures`, and with
    it asyncio.to_thread, takes no more work once the main thread has ended, well before `atexit`. It is ended late
    because from then on another daemon may run what this one has cut off.
    """
    with _lock:
        if not _at_work:
            _drain_before_futures_end()
        _at_work.append(embedded)
    atexit.register(embedded.end)


def forget(embedded: Embedded) -> None:
    """Take a daemon off the list that was stopped."""
    atexit.unregister(embedded.end)
    with _lock:
        if embedded in _at_work:
            _at_work.remove(embedded)


def _drain_before_futures_end() -> None:
    # What was registered last is called first, and concurrent.futures registers when it is imported: this imports it,
    # and registers after it. Python has no public way to do that. Without this one, draining begins at `atexit`, which
    # is too late for some handlers.
    import concurrent.futures.thread  # noqa: F401

    if "drain" not in _registered and (register := getattr(threading, "_register_atexit", None)):
        register(_drain_all)
        _registered.add("drain")


_registered: set[str] = set()


def _drain_all() -> None:
    with _lock:
        at_work = list(_at_work)
    for embedded in reversed(at_work):
        try:
            embedded.drain()
        except Exception:
            log.exception("a daemon could not be drained")
