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
    """Have a daemon drained as the first thing at the end of the process, and ended as one of the last.

    First, because handlers still need what ends early: `concurrent.futures` takes no more work from the moment on in
    which the main thread ends, well before `atexit`, and asyncio.to_thread none with it. Late, because from then on
    another daemon may run what this one has cut off.
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
    # What threading calls at its end it calls in the opposite order, and concurrent.futures registers at its import.
    # Python has no public way to come before that; without this one it is atexit, and too late for some handlers.
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
