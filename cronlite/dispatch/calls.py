"""What does the pool know of one call of a handler, from the queue for a seat to its end?"""

from __future__ import annotations

import math
import threading
import types
from collections.abc import Awaitable, Callable, Generator
from typing import TYPE_CHECKING, Any

from cronlite.dispatch.stacks import stack_of
from cronlite.documents.runs import Run
from cronlite.handlers.output import Tail
from cronlite.handlers.registry import Handler

if TYPE_CHECKING:
    import asyncio

    from cronlite.dispatch.loop import Loop
    from cronlite.dispatch.tracing import Attempt


class Call:
    """One call of a handler for a run: it waits for a seat, or has one."""

    __slots__ = (
        "_settling",
        "begun",
        "cancel_heard",
        "cut",
        "cut_off",
        "deadline",
        "handler",
        "loop",
        "run",
        "since",
        "span",
        "tail",
        "thread",
    )

    def __init__(self, run: Run, handler: Handler | None, since: float) -> None:
        self.run, self.handler, self.since = run, handler, since
        self._settling = threading.Lock()  # the handler's thread and its time limit may come at the same moment
        self.tail = Tail()
        self.span: Attempt | None = None
        self.thread: int | None = None
        self.loop: Loop | None = None
        self.begun = False  # whether its coroutine runs, perhaps long after it got its seat
        self.deadline = math.inf
        self.cut: Callable[[], object] | None = None
        self.cut_off = False  # at its time limit
        self.cancel_heard = False  # whether its loop has cancelled it, which a blocked loop does not

    def settle(self) -> bool:
        """Take it upon oneself to say how the run ended; only the first who asks may."""
        return self._settling.acquire(blocking=False)

    @property
    def is_settled(self) -> bool:
        """Tell whether somebody has said how the run ended, or is about to."""
        return self._settling.locked()

    def cancel(self, task: asyncio.Task[None]) -> None:
        """Cancel its coroutine, on its loop."""
        self.cancel_heard = True
        task.cancel()

    @property
    def on_loop(self) -> bool:
        """Tell whether it belongs on an asyncio loop."""
        return self.handler is not None and self.handler.is_async

    @property
    def needs_clock(self) -> bool:
        """Tell whether the alarm is needed for it: for its limit, for a loop that may block, for its child process."""
        apart = self.handler is not None and self.handler.isolation == "process"
        return apart or self.on_loop or self.run.timeout_seconds is not None

    def stack(self) -> str:
        """Return the stack where it hangs; empty for a coroutine that waits and for a child process."""
        if self.loop is not None:
            return "" if self.cancel_heard else self.loop.stack()
        return stack_of(self.thread) if self.cut is None else ""


@types.coroutine
def stepwise(call: Call, awaited: Awaitable[Any]) -> Generator[Any, Any, Any]:
    """Await something as `await` does, and note on the loop which call is taking a step.

    A call that is settled takes no further step, but is cancelled: when a blocked loop comes back to it, another
    attempt of its run may be at work.
    """
    from asyncio import CancelledError

    assert call.loop is not None
    steps, stopped = awaited.__await__(), False
    answer: Any = None
    error: BaseException | None = None
    while True:
        if call.is_settled and not stopped:
            stopped, error = True, error or CancelledError()
        call.loop.stands_at = call
        try:
            waits_for = steps.send(answer) if error is None else steps.throw(error)
        except StopIteration as returned:
            return returned.value
        finally:
            call.loop.stands_at = None
        try:
            answer, error = (yield waits_for), None
        except BaseException as thrown:  # noqa: BLE001 - passed on, GeneratorExit too
            answer, error = None, thrown
