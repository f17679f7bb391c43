"""What becomes of a call that takes too long, and of those that it keeps waiting?"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable

from cronlite.dispatch import outcomes
from cronlite.dispatch.calls import Call
from cronlite.dispatch.loop import Loop, Loops
from cronlite.documents.runs import Outcome

CUT_SECONDS = 5.0
"""How long a handler that was cut off at its time limit may take to end."""
BEGIN_SECONDS = 5.0
"""How long a coroutine with a seat may take to begin: after that something blocks its loop."""


class Limits:
    """Cuts calls off at their time limits, and gives up on those that cannot be cut off.

    `end` is how to tell of a call's end and hand its seat on; it returns False for a call that has ended by itself.
    `wake_at` is how to have `check` called at some instant.

    A coroutine that does not let go of its loop keeps others waiting: those that did not begin go back, and a new loop
    begins. Once it is over its own limit, all others on its loop go back.
    """

    def __init__(
        self,
        seated: Callable[[], Iterable[Call]],
        end: Callable[..., bool],
        loops: Loops,
        wake_at: Callable[[float], None],
    ) -> None:
        self._seated, self._end, self._loops, self._wake_at = seated, end, loops, wake_at

    @property
    def trouble(self) -> str:
        """Name the calls that block their loops, which others wait for; nothing where none does."""
        return "; ".join(map(_blocked_by, self._loops.blocked))

    def start(self, call: Call, cut: Callable[[], object] | None = None) -> None:
        """Start the clock of a call, if it has a time limit; `cut` is how to cut it off."""
        call.cut = cut or call.cut
        call.deadline = math.inf
        if call.run.timeout_seconds is not None:
            self._at(call, call.run.timeout_seconds)

    def expect_begin(self, call: Call) -> None:
        """Start the clock of a coroutine that got its seat: its loop may be blocked and never come to it."""
        self._at(call, min(BEGIN_SECONDS, call.run.timeout_seconds or math.inf))

    def check(self, now: float) -> float:
        """Deal with every call that is over its limit; return when to look again."""
        for call in self._seated():
            if call.deadline > now:
                continue
            if call.on_loop and not call.begun:
                self._leave(call)
            elif call.cut is not None and not call.cut_off:
                call.deadline, call.cut_off = now + CUT_SECONDS, True
                call.cut()
            elif call.loop is None or call.cancel_heard:
                self._give_up_on(call)
            else:
                self._lose_loop_of(call, call.loop)
        return min((call.deadline for call in self._seated()), default=math.inf)

    def _at(self, call: Call, seconds: float) -> None:
        call.deadline = time.monotonic() + seconds
        self._wake_at(call.deadline)

    def _give_up_on(self, call: Call) -> None:
        """Close a run whose handler goes on, and give its seat to the next one."""
        call.deadline = math.inf
        self._end(call, outcomes.timed_out(call.run.timeout_seconds, still_at=call.stack()), stuck=True)

    def _leave(self, call: Call) -> None:
        """Put nothing more on the loop that does not come to a call, which goes back."""
        if call.loop is not None:
            self._loops.leave(call.loop)
        self._end(call, None)

    def _lose_loop_of(self, call: Call, loop: Loop) -> None:
        """Give up on a call whose loop did not hear of its cancellation, and on the loop; all else on that goes back.

        If another call blocks the loop and is within its own limit, it keeps the loop, and this call alone goes back.
        """
        self._loops.leave(loop)
        blocking = loop.stands_at
        if isinstance(blocking, Call) and blocking is not call and not blocking.is_settled:
            self._end(call, _cut_off_by(blocking))
            return
        self._give_up_on(call)
        for other in self._seated():
            if other.loop is loop:
                _ = self._end(other, None) or self._end(other, _cut_off_by(call))  # if it has begun
        loop.close()


def _blocked_by(loop: Loop) -> str:
    call = loop.stands_at
    who = f"run {call.run.id} of {call.run.handler}" if isinstance(call, Call) else "something"
    return f"{who} blocks its asyncio loop: it should wait in asyncio.to_thread, or not be async"


def _cut_off_by(blocking: Call) -> Outcome:
    return outcomes.cut_off(f"its asyncio loop was blocked by run {blocking.run.id} of {blocking.run.handler}")
