"""The module-level functions: the same as on Cronlite, for an application that has just one."""

from __future__ import annotations

import inspect
import json
import threading
from collections.abc import Callable
from functools import lru_cache, wraps
from typing import Concatenate, ParamSpec, TypeVar

from cronlite.client.app import Cronlite
from cronlite.errors import ConfigurationError
from cronlite.handlers.registry import home

P = ParamSpec("P")
R = TypeVar("R")

_lock = threading.Lock()
_default: Cronlite | None = None


def default() -> Cronlite:
    """Return the Cronlite that the module-level functions work on.

    Inside a run it is that of the run's daemon, or one on the same store; elsewhere the default Cronlite, on
    $CRONLITE_URI or the embedded file as they are at the first call.
    """
    global _default
    if (its := home()) is not None:
        return its if isinstance(its, Cronlite) else _at(its.uri, json.dumps(dict(its.quota)))
    with _lock:
        if _default is None:
            _default = Cronlite()
        return _default


@lru_cache(maxsize=8)
def _at(uri: str, quota: str) -> Cronlite:
    """Return the Cronlite of a child process, whose daemon has told it the URI of its store, and the quota."""
    if uri.startswith("memory"):
        problem = "the store of this run is in the memory of its daemon, where no child process reaches it"
        raise ConfigurationError(f"{problem}; keep it in a file, sqlite:PATH, or leave isolation='process' out")
    return Cronlite(uri, quota=json.loads(quota))


def _on_default(method: Callable[Concatenate[Cronlite, P], R]) -> Callable[P, R]:
    """Make a function of a method of the default Cronlite; types, signature and documentation are the method's."""

    @wraps(method)
    def function(*args: P.args, **kwargs: P.kwargs) -> R:
        return method(default(), *args, **kwargs)

    _, *others = inspect.signature(method).parameters.values()
    function.__dict__["__signature__"] = inspect.Signature(others)
    function.__module__, function.__qualname__ = __name__, method.__name__
    return function


schedule = _on_default(Cronlite.schedule)
current_schedules = _on_default(Cronlite.current_schedules)
enqueue = _on_default(Cronlite.enqueue)
enqueue_many = _on_default(Cronlite.enqueue_many)
