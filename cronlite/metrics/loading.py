"""Is prometheus-client there, which few installations need?"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from cronlite.errors import extra_missing


def load(module: str) -> ModuleType:
    """Import a module of this room that needs it. Raises ConfigurationError where it is missing."""
    try:
        return import_module(f"cronlite.metrics.{module}")
    except ImportError as missing:
        raise extra_missing("figures need", "metrics", missing) from None
