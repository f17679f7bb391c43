"""Cron for applications: schedules as documents, any number of daemons, each minute's runs exactly once."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from cronlite.version import VERSION as __version__

if TYPE_CHECKING:
    from cronlite.client.app import Cronlite
    from cronlite.client.default import current_schedules, enqueue, enqueue_many, schedule
    from cronlite.client.receipt import Handle
    from cronlite.documents.runs import Run
    from cronlite.documents.schedules import Schedule
    from cronlite.errors import (
        BrokerUnavailable,
        ConfigurationError,
        Conflict,
        CronliteError,
        Fault,
        GiveUp,
        InvalidExpression,
        InvalidInput,
        NotFound,
        QuotaExceeded,
        RetryLater,
        StoreError,
        StoreTooSlow,
        StoreUnavailable,
    )
    from cronlite.handlers.registry import current_run, handler

# Names are looked up when they are first used, so that importing cronlite costs an application next to nothing.
_HOMES = {
    "client.app": ["Cronlite"],
    "client.default": ["current_schedules", "enqueue", "enqueue_many", "schedule"],
    "errors": [
        "BrokerUnavailable",
        "ConfigurationError",
        "Conflict",
        "CronliteError",
        "Fault",
        "GiveUp",
        "InvalidExpression",
        "InvalidInput",
        "NotFound",
        "QuotaExceeded",
        "RetryLater",
        "StoreError",
        "StoreTooSlow",
        "StoreUnavailable",
    ],
    "client.receipt": ["Handle"],
    "handlers.registry": ["current_run", "handler"],
    "documents.runs": ["Run"],
    "documents.schedules": ["Schedule"],
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "BrokerUnavailable",
    "ConfigurationError",
    "Conflict",
    "Cronlite",
    "CronliteError",
    "Fault",
    "GiveUp",
    "Handle",
    "InvalidExpression",
    "InvalidInput",
    "NotFound",
    "QuotaExceeded",
    "RetryLater",
    "Run",
    "Schedule",
    "StoreError",
    "StoreTooSlow",
    "StoreUnavailable",
    "__version__",
    "current_run",
    "current_schedules",
    "enqueue",
    "enqueue_many",
    "handler",
    "schedule",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'cronlite' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"cronlite.{_HOME[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
