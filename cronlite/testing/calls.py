"""How does a rehearsal call a handler: in the thread of the test, or in the pool of a daemon?"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from queue import SimpleQueue
from types import TracebackType
from typing import Any

from cronlite.dispatch import outcomes
from cronlite.dispatch.pool import Pool
from cronlite.documents.runs import Outcome, Run
from cronlite.handlers.output import Tail, enter_tail
from cronlite.handlers.registry import CurrentRun, Handler, Home, Registry, enter_run

Ask = Callable[[Run], bool]
Call = Callable[[Run, Handler], "tuple[Outcome, BaseException | None]"]
"""Calls the handler of a run; returns what to record, and what it raised, if that is known."""


def in_this_thread(still_mine: Ask, home: Home, run: Run, handler: Handler) -> tuple[Outcome, BaseException | None]:
    """Call a handler as the pool does, but here and now, so that a debugger and a test's transaction reach it."""
    tail = Tail()
    ask = partial(still_mine, run)

    def called() -> Any:
        enter_run(CurrentRun.of(run, ask, home))
        enter_tail(tail)
        result = handler.function(run.params)
        return _awaited(result) if inspect.iscoroutine(result) else result

    raised: BaseException | None = None
    try:
        outcome = outcomes.returned(contextvars.copy_context().run(called))
    # whatever a handler may raise; but Ctrl-C and pytest.fail() are the test's own
    except (Exception, SystemExit, asyncio.CancelledError) as error:  # noqa: BLE001
        outcome, raised = outcomes.raised(error), error
    return replace(outcome, output=tail.end()), raised


def _awaited(coroutine: Coroutine[Any, Any, Any]) -> Any:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(coroutine)
    with ThreadPoolExecutor(1) as thread:  # the test is a coroutine itself
        return thread.submit(contextvars.copy_context().run, asyncio.run, coroutine).result()


class InPool:
    """Calls handlers through the pool of a daemon, one at a time."""

    def __init__(self, still_mine: Ask, registry: Registry, home: Home) -> None:
        self._ended: SimpleQueue[Outcome | None] = SimpleQueue()
        self._pool = Pool(
            registry,
            1,
            done=lambda _, outcome: self._ended.put(outcome),
            may_start=lambda _: True,
            still_mine=still_mine,
            home=home,
        )

    def __call__(self, run: Run, _: Handler) -> tuple[Outcome, BaseException | None]:
        self._pool.submit([run])
        outcome = self._ended.get()
        assert outcome is not None, "it may start, and its handler is known"
        return outcome, None

    def __enter__(self) -> InPool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.close()
