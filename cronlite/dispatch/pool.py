"""Which of the claimed runs execute now, and how does a seat go from one to the next?"""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial

from cronlite.dispatch import outcomes
from cronlite.dispatch.alarm import Alarm
from cronlite.dispatch.calls import Call
from cronlite.dispatch.children import Children
from cronlite.dispatch.handling import Handling
from cronlite.dispatch.limits import Limits
from cronlite.dispatch.loop import Loop, Loops
from cronlite.dispatch.shortage import SHORTAGES, Shortage
from cronlite.documents.runs import Outcome, Run
from cronlite.errors import CronliteError
from cronlite.handlers.output import Tail, mend_streams
from cronlite.handlers.registry import Home, Registry
from cronlite.logger import logger

log = logger("cronlite.pool")


class Pool:
    """Calls the handlers of runs: at most `seats` at a time, in threads, child processes and on an asyncio loop.

    `may_start` is asked right before each call. `done` is called once for each run, with None where it was not started,
    from the pool's threads and its loop; it must not block. `still_mine` answers `CurrentRun.still_mine`;
    inside of runs the module-level functions go to `home`.
    """

    def __init__(
        self,
        registry: Registry,
        seats: int,
        *,
        done: Callable[[Run, Outcome | None], None],
        may_start: Callable[[Run], bool],
        still_mine: Callable[[Run], bool] | None = None,
        home: Home | None = None,
    ) -> None:
        self.seats = seats
        self._registry, self._done = registry, done
        # A thread takes its next run by single operations on these two, which Python makes atomic: under a lock this
        # took four times as long, as all threads queue for the lock. A run is present until it is done, and waits
        # until it has a seat.
        self._waiting: deque[Call] = deque()
        self._present: dict[Call, None] = {}
        # A seat is idle, or a call has it and hands it to the next call. The lock guards what follows, and `_present`
        # where it grows or is found to be empty.
        self._lock = threading.Lock()
        self._quiet = threading.Condition(self._lock)
        self._stuck: set[Call] = set()
        self._idle_seats = seats
        self._threads = 0
        self._parked = 0
        self._closed = False
        self._handovers: queue.SimpleQueue[Call | None] = queue.SimpleQueue()
        self._loops = Loops(self._loop_ended)
        self._alarm = Alarm(self._check_limits)
        self._limits = Limits(self._seated, self._end, self._loops, self._alarm.at)
        self._children = Children(self._alarm.at, home)
        self._shortage = Shortage()
        parts = self._limits, self._children, self._shortage
        self._handling = Handling(*parts, may_start=may_start, still_mine=still_mine or may_start, home=home)

    # what the daemon asks

    @property
    def free(self) -> int:
        """Count the seats that would be left if every waiting run had one; none while there is a shortage."""
        with self._lock:
            return 0 if self.is_short else max(0, self._idle_seats - len(self._waiting))

    @property
    def is_short(self) -> bool:
        """Tell whether something could not be begun a moment ago, for want of a thread, say."""
        return self._shortage.is_now

    @property
    def trouble(self) -> str:
        """Say what keeps the pool from its work, in a sentence; nothing where nothing does."""
        return "; ".join(filter(None, [self._shortage.trouble, self._limits.trouble]))

    @property
    def process_ends(self) -> bool:
        """Tell whether the interpreter refuses what handlers ask it for: that is no fault of theirs."""
        return self._handling.process_ends

    @process_ends.setter
    def process_ends(self, ends: bool) -> None:
        self._handling.process_ends = ends

    @property
    def running(self) -> int:
        """Count the runs that have a seat."""
        return max(0, len(self._present) - len(self._waiting))

    @property
    def waiting(self) -> int:
        """Count the runs that wait for a seat."""
        return len(self._waiting)

    @property
    def stuck(self) -> int:
        """Count the handlers that could not be cut off at their time limit and go on without a seat."""
        return len(self._stuck)

    @property
    def longest_wait(self) -> float:
        """Say for how many seconds the first of the runs that wait has done so."""
        first = next(iter(self._waiting), None)
        return time.monotonic() - first.since if first else 0.0

    def executing(self) -> list[Run]:
        """List the runs that have a seat."""
        return [call.run for call in self._seated()]

    def tails(self) -> list[tuple[Run, Tail]]:
        """List the runs that have a seat, each with what its handler printed and logged so far."""
        return [(call.run, call.tail) for call in self._seated() if not call.is_settled]

    # what the daemon does

    def submit(self, runs: Iterable[Run]) -> None:
        """Queue runs, and start those that find a seat. Raises CronliteError after `close`.

        What cannot be started for want of a thread, say, is told to `done` with None.
        """
        new = [Call(run, self._registry.get(run.handler), time.monotonic()) for run in runs]
        if not self._has_clock_for(new):
            for call in new:
                self._tell(call, None)
            return
        with self._lock:
            if self._closed:
                raise CronliteError("the pool is closed")
            self._present.update(dict.fromkeys(new))
            self._waiting.extend(new)
            started = self._take(self._idle_seats)
            self._idle_seats -= len(started)
        for call in started:
            self._begin(call)

    def withdraw(self) -> list[Run]:
        """Take back the runs that wait for a seat; `done` does not hear of them."""
        with self._lock:
            taken = self._take(len(self._waiting))
            for call in taken:
                del self._present[call]
            self._quiet.notify_all()
        return [call.run for call in taken]

    def drain(self, seconds: float) -> list[Run]:
        """Wait until nothing runs or waits, up to a limit; return the runs that have a seat then."""
        with self._lock:
            self._quiet.wait_for(lambda: not self._present and self._idle_seats == self.seats, timeout=seconds)
        return self.executing()

    def close(self) -> None:
        """End: kill child processes, cancel coroutines, leave threads to themselves. `done` hears of nothing more."""
        with self._lock:
            self._closed = self._handling.is_closed = True
            self._waiting.clear()
            for _ in range(self._threads):
                self._handovers.put(None)
        for call in self._seated():
            if call.span:  # nothing more is heard of it
                call.span.end(None)
        self._alarm.close()
        self._children.close()
        self._loops.close()

    def wait_closed(self, seconds: float) -> None:
        """Wait, after `close`, until what it ends has ended, up to a limit."""
        with self._lock:
            self._quiet.wait_for(lambda: all(call.cut is None for call in self._seated()), timeout=seconds)

    # how a seat goes from run to run

    def _seated(self) -> list[Call]:
        present = list(self._present)  # read first, or a call that gets its seat between the two reads is missed
        waiting = set(self._waiting.copy())
        return [call for call in present if call not in waiting]

    def _take(self, count: int) -> list[Call]:
        """Take up to so many runs off the queue, in order."""
        taken: list[Call] = []
        try:
            while len(taken) < count:
                taken.append(self._waiting.popleft())
        except IndexError:
            pass
        return taken

    def _begin(self, call: Call) -> None:
        """Start a call that was given a seat, in a thread or on a loop; one that cannot be started goes back."""
        try:
            if call.on_loop:
                call.loop = self._loops.current
                self._limits.expect_begin(call)
                call.loop.call(self._begin_on_loop, call)
            else:
                self._begin_in_thread(call)
        except SHORTAGES as refused:
            self._shortage.note(refused)
            if call.settle():
                self._tell(call, None)
                with self._lock:  # no waiting run begins here: it waits for a seat with a thread, or is withdrawn
                    del self._present[call]
                    self._leave_seat()

    def _begin_in_thread(self, call: Call) -> None:
        with self._lock:
            if self._closed:
                return
            if self._parked:
                self._parked -= 1
                self._handovers.put(call)
                return
            self._threads += 1
        try:
            threading.Thread(target=self._serve, args=(call,), name="cronlite-seat", daemon=True).start()
        except BaseException:
            with self._lock:
                self._threads -= 1
            raise

    def _has_clock_for(self, new: list[Call]) -> bool:
        try:
            if any(call.needs_clock for call in new):
                self._alarm.start()
        except SHORTAGES as refused:
            self._shortage.note(refused)
            return False
        return True

    def _next(self, call: Call, *, parking: bool = False) -> Call | None:
        """Forget a call that has ended and return the next one for its seat; without a next one the seat is idle.

        With `parking`, the calling thread then counts as parked: it waits to be handed a call.
        """
        self._present.pop(call, None)
        try:
            return self._waiting.popleft()
        except IndexError:
            pass
        with self._lock:
            for following in self._take(1):  # submitted since the look above, while this seat counted as taken
                return following
            self._parked += parking
            self._leave_seat()
            return None

    def _leave_seat(self) -> None:
        """Leave a seat idle. The caller holds the lock."""
        self._idle_seats += 1
        if not self._present:
            mend_streams()
        if self._closed or not self._present:
            self._quiet.notify_all()

    def _end(self, call: Call, outcome: Outcome | None, *, stuck: bool = False) -> bool:
        """Tell how a call ended that does not tell so itself, and give its seat to the next call.

        Return False if its end was told already. None says that the handler was not called, and is refused for a
        coroutine that has begun.
        """
        with self._lock:
            if (outcome is None and call.begun) or not call.settle():
                return False
            if stuck:
                self._stuck.add(call)
        self._tell(call, outcome)
        if following := self._next(call):
            self._begin(following)
        return True

    def _serve(self, first: Call) -> None:
        """Work as one of the pool's threads."""
        call: Call | None = first
        while call is not None:
            if call.on_loop:
                with self._lock:
                    self._parked += 1
                self._begin(call)
                call = self._handovers.get()
            elif self._report(call, self._handling.run(call)):
                call = self._next(call, parking=True) or self._handovers.get()
            else:
                return  # another thread has its seat

    def _begin_on_loop(self, call: Call) -> None:
        import asyncio

        assert call.loop is not None
        task = asyncio.get_running_loop().create_task(self._serve_on_loop(call))
        call.cut = partial(call.loop.call, call.cancel, task)  # which also keeps the task alive

    async def _serve_on_loop(self, call: Call) -> None:
        outcome = await self._handling.run_async(call) if self._has_begun(call) else None
        if self._report(call, outcome) and (following := self._next(call)):
            self._begin(following)
        if call.loop in self._loops.blocked and all(other.loop is not call.loop for other in self._seated()):
            call.loop.close()

    def _has_begun(self, call: Call) -> bool:
        """Note that a coroutine begins; tell whether it may: its run went back if its loop was blocked for long."""
        with self._lock:
            call.begun = not call.is_settled
            return call.begun

    def _loop_ended(self, loop: Loop) -> None:
        with self._lock:
            self._stuck = {call for call in self._stuck if call.loop is not loop}

    # how a run's end is told

    def _report(self, call: Call, outcome: Outcome | None) -> bool:
        """Tell how a run ended; return False if that was told at its time limit, when its seat went to another."""
        if not call.settle():
            with self._lock:
                self._stuck.discard(call)
            return False
        if call.cut_off:
            outcome = outcomes.timed_out(call.run.timeout_seconds)
        self._tell(call, outcome)
        return True

    def _tell(self, call: Call, outcome: Outcome | None) -> None:
        if call.span:
            call.span.end(outcome)
        if self._closed:
            return
        printed = call.tail.end()
        try:
            self._done(call.run, replace(outcome, output=printed) if outcome and printed else outcome)
        except Exception:
            log.exception("the outcome of run %s was not taken", call.run.id)

    def _check_limits(self, now: float) -> float:
        """Deal with what is over its time, and return when to look again."""
        return min(self._limits.check(now), self._children.retire(now))
