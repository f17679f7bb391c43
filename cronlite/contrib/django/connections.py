"""Who looks after Django's database connections when a handler runs outside of a request?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from typing import Any

from asgiref.sync import sync_to_async
from django.db import close_old_connections, reset_queries

from cronlite.handlers.registry import Handler, Registry

CHILD = "cronlite.contrib.django.child"


class Connected(Registry):
    """The handlers of a registry, each of which runs as Django runs a request.

    Connections that broke or are older than CONN_MAX_AGE are closed before and after it, and with DEBUG the queries of
    the run before are forgotten. A handler with a child process finds the project set up there.
    """

    def __init__(self, registry: Registry) -> None:
        super().__init__()
        self._handlers = registry._handlers  # the same ones, those that will be added included

    def get(self, name: str) -> Handler | None:
        """Return the handler of that name, wrapped; None when there is none."""
        handler = super().get(name)
        if handler is None:
            return None
        if handler.isolation == "process":
            return replace(handler, function=_in_child(name))
        return replace(handler, function=(connected_async if handler.is_async else connected)(handler.function))


def connected(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return a function that calls a handler between two looks after the connections of its thread."""

    @wraps(function)
    def called(params: Any) -> Any:
        _look_after()
        try:
            return function(params)
        finally:
            _look_after()

    return called


def connected_async(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Do the same for an async handler, in the thread where Django's `sync_to_async` calls have their connections."""

    @wraps(function)
    async def called(params: Any) -> Any:
        await sync_to_async(_look_after)()
        try:
            return await function(params)
        finally:
            await sync_to_async(_look_after)()

    return called


def _look_after() -> None:
    reset_queries()
    close_old_connections()


def _in_child(name: str) -> Callable[[Any], Any]:
    """Return what stands for a handler's function in this process: its name says where the child finds the real one."""

    def called(_: Any) -> Any:
        raise AssertionError("a handler in a child process was called in this one")

    called.__module__, called.__qualname__ = CHILD, f"handlers.{name.encode().hex()}"
    return called
