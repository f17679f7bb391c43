"""Where does a child process find a Django project's handlers: here, set up, under their names in hexadecimal digits.

A child imports its handler by the name of a module, and an app's `handlers.py` cannot be imported before the set-up.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import django

from cronlite.contrib.django.connections import connected
from cronlite.handlers.registry import default_registry

django.setup()


class _Handlers:
    def __getattr__(self, digits: str) -> Callable[[Any], Any]:
        name = bytes.fromhex(digits).decode()
        handler = default_registry.get(name)
        if handler is None:
            raise LookupError(f"no handler is called {name!r} in the child process: does an app's handlers.py have it?")
        return connected(handler.function)


handlers = _Handlers()
