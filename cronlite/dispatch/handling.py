"""How is the handler of one run called: may the run start, what does the handler see, what comes of its end?"""

from __future__ import annotations

import contextvars
import os
import threading
from collections.abc import Callable
from functools import partial

from cronlite.dispatch import outcomes, tracing
from cronlite.dispatch.calls import Call, stepwise
from cronlite.dispatch.children import Children
from cronlite.dispatch.limits import Limits
from cronlite.dispatch.shortage import Shortage
from cronlite.documents.runs import Outcome, Run
from cronlite.handlers.output import enter_tail
from cronlite.handlers.registry import CurrentRun, Handler, Home, awaited, enter_run
from cronlite.handlers.shortage import NotStarted
from cronlite.logger import logger

log = logger("cronlite.pool")


class Handling:
    """Calls handlers and returns their outcomes; None stands for a run that was not started.

    `may_start` is asked right before each call; `still_mine` answers `CurrentRun.still_mine`.
    """

    def __init__(
        self,
        limits: Limits,
        children: Children,
        shortage: Shortage,
        *,
        may_start: Callable[[Run], bool],
        still_mine: Callable[[Run], bool],
        home: Home | None,
    ) -> None:
        self.is_closed = False
        self.process_ends = False
        """Whether the interpreter is ending, and may refuse handlers what they ask it for."""
        self._limits, self._children, self._shortage = limits, children, shortage
        self._may_start, self._still_mine, self._home = may_start, still_mine, home
        self._pid = os.getpid()

    def run(self, call: Call) -> Outcome | None:
        """Run a handler in this thread or in a child process."""
        if call.handler is None or not self._is_allowed(call.run):
            return None
        call.span = tracing.begin(call.run, call.handler)
        outcome = contextvars.Context().run(self._run, call, call.handler)
        if os.getpid() != self._pid:
            os._exit(0)  # a fork that came back out of its handler: its parent has the pool
        return outcome

    async def run_async(self, call: Call) -> Outcome | None:
        """Run an async handler on the loop that awaits this."""
        if call.handler is None or not self._is_allowed(call.run):
            return None
        call.span = tracing.begin(call.run, call.handler)
        self._enter(call)
        self._limits.start(call)
        try:
            return outcomes.returned(await stepwise(call, call.handler.function(call.run.params)))
        except BaseException as raised:  # noqa: BLE001 - what escapes would end the loop
            return self._raised(raised)

    def _run(self, call: Call, handler: Handler) -> Outcome | None:
        self._enter(call)
        call.thread = threading.get_ident()
        try:
            if handler.isolation == "process":
                ask, begin = partial(self._ask, call), partial(self._limits.start, call)
                traceparent = call.span.traceparent if call.span else call.run.traceparent
                return self._children.call(call.run, handler, ask, begin, traceparent)
            self._limits.start(call)
            return outcomes.returned(awaited(handler.function(call.run.params)))
        except NotStarted as lacking:
            self._shortage.note(lacking)
            return None
        except BaseException as raised:  # noqa: BLE001 - a handler may raise anything, SystemExit included
            return self._raised(raised)

    def _raised(self, error: BaseException) -> Outcome:
        # Python 3.12 before its third release grants no thread at all at that time, not even to asyncio.to_thread.
        if self.process_ends and isinstance(error, RuntimeError):
            return outcomes.cut_off(f"its process came to its end: {error}")
        return outcomes.raised(error)

    def _is_allowed(self, run: Run) -> bool:
        try:
            return self._may_start(run) and not self.is_closed
        except Exception:
            log.exception("run %s is not started: whether it may be cannot be found out", run.id)
            return False

    def _enter(self, call: Call) -> None:
        enter_run(CurrentRun.of(call.run, partial(self._ask, call), self._home))
        enter_tail(call.tail)
        if call.span:
            call.span.enter()

    def _ask(self, call: Call) -> bool:
        is_over = call.is_settled or call.cut_off or self.is_closed
        return not is_over and self._still_mine(call.run)
