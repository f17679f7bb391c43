"""Where do coroutines run? On one asyncio loop in a thread of its own, which starts when it is first needed."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from cronlite.dispatch.stacks import stack_of
from cronlite.logger import logger

if TYPE_CHECKING:
    import asyncio

log = logger("cronlite.pool")

CLOSING_SECONDS = 1.0


class Loop:
    """An asyncio loop that outlives whatever its tasks raise; `ended` hears when its thread comes to its end."""

    def __init__(self, ended: Callable[[Loop], object] = lambda _: None) -> None:
        self.stands_at: object = None
        """The call whose coroutine is taking a step, and keeps all others waiting if that lasts."""
        self._ended = ended
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._closing = False

    def call(self, function: Callable[..., object], *args: Any) -> None:
        """Call a function on the loop, soon, with context variables of its own; nothing happens after `close`.

        Raises RuntimeError or OSError where the system has no thread or no descriptor for the loop.
        """
        with self._lock:
            if self._closing:
                return
            if self._loop is None:
                self._loop = self._started()
            loop = self._loop
        context = contextvars.Context()
        if threading.current_thread() is self._thread:
            loop.call_soon(function, *args, context=context)
            return
        with suppress(RuntimeError):  # closed meanwhile
            loop.call_soon_threadsafe(function, *args, context=context)

    def close(self) -> None:
        """Cancel what is there, and end the thread; it waits for nothing."""
        with self._lock:
            self._closing = True
            if self._loop is not None:
                with suppress(RuntimeError):
                    self._loop.call_soon_threadsafe(self._loop.stop)

    def stack(self) -> str:
        """Say where its thread is."""
        return stack_of(self._thread.ident) if self._thread else ""

    def _started(self) -> asyncio.AbstractEventLoop:
        import asyncio  # takes longer to import than the rest of cronlite, and many need no loop

        loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._main, args=(loop,), name="cronlite-loop", daemon=True)
        try:
            self._thread.start()
        except BaseException:
            loop.close()
            raise
        return loop

    def _main(self, loop: asyncio.AbstractEventLoop) -> None:
        import asyncio

        asyncio.set_event_loop(loop)
        while True:
            try:
                loop.run_forever()
            except BaseException:  # asyncio lets SystemExit out of tasks that handlers start
                log.warning("a task that a handler had started tried to end the process", exc_info=True)
            if self._closing:
                break
        try:
            loop.run_until_complete(_ended(asyncio.all_tasks(loop)))
        except BaseException:  # the same, from tasks being cancelled
            log.warning("a task refused to be cancelled", exc_info=True)
        loop.close()
        self._ended(self)


class Loops:
    """The loop that coroutines are put on, and those that something blocks, which get no more of them.

    `ended` hears of each whose thread has come to its end.
    """

    def __init__(self, ended: Callable[[Loop], object]) -> None:
        self._told_of_end = ended
        self._lock = threading.Lock()
        self._left: set[Loop] = set()
        self._closed = False
        self.current = Loop(self._ended)

    def leave(self, loop: Loop) -> None:
        """Put nothing more on a loop; the next coroutine begins a new one."""
        with self._lock:
            if loop is self.current and not self._closed:
                self._left.add(loop)
                self.current = Loop(self._ended)

    @property
    def blocked(self) -> list[Loop]:
        """List those that were left and have not ended."""
        with self._lock:
            return list(self._left)

    def close(self) -> None:
        """Close them all."""
        with self._lock:
            self._closed = True
            loops = [self.current, *self._left]
        for loop in loops:
            loop.close()

    def _ended(self, loop: Loop) -> None:
        with self._lock:
            self._left.discard(loop)
        self._told_of_end(loop)


async def _ended(tasks: set[asyncio.Task[Any]]) -> None:
    import asyncio

    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks, timeout=CLOSING_SECONDS)
    await asyncio.get_running_loop().shutdown_asyncgens()
