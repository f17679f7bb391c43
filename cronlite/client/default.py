"""The module-level functions: the same as on Cronlite, for an application that has just one."""

from __future__ import annotations

import threading
from typing import Any

from cronlite.client.app import Cronlite
from cronlite.client.receipt import Handle
from cronlite.documents.schedules import Schedule

_lock = threading.Lock()
_default: Cronlite | None = None


def default() -> Cronlite:
    """Return the default Cronlite, on $CRONLITE_URI or the embedded file as they are at the first call."""
    global _default
    with _lock:
        if _default is None:
            _default = Cronlite()
        return _default


def schedule(*args: Any, **kwargs: Any) -> Schedule:
    """Store a schedule on the default Cronlite: see `Cronlite.schedule`."""
    return default().schedule(*args, **kwargs)


def current_schedules(*args: Any, **kwargs: Any) -> list[Schedule]:
    """List what is due on the default Cronlite: see `Cronlite.current_schedules`."""
    return default().current_schedules(*args, **kwargs)


def enqueue(*args: Any, **kwargs: Any) -> Handle:
    """Queue a run on the default Cronlite: see `Cronlite.enqueue`."""
    return default().enqueue(*args, **kwargs)
