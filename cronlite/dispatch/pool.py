"""Which claimed runs execute now: seats in this process, and the outcome of each run by callback."""

from __future__ import annotations

import contextvars
import math
import os
import queue
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial

from cronlite.dispatch import outcomes
from cronlite.dispatch.alarm import Alarm
from cronlite.dispatch.loop import Loop
from cronlite.dispatch.process import Children, NotStarted
from cronlite.documents.runs import Outcome, Run
from cronlite.errors import CronliteError
from cronlite.handlers.output import Tail, enter_tail, mend_streams
from cronlite.handlers.registry import CurrentRun, Handler, Home, Registry, awaited, enter_run
from cronlite.logger import logger

log = logger("cronlite.pool")

CUT_SECONDS = 5.0
"""How long a handler that was cut off at its time limit may take to end."""


class Execution:
    """A run in the pool: it waits for a seat, or has one."""

    __slots__ = ("cut", "cut_off", "deadline", "handler", "run", "since", "tail", "thread", "word")

    def __init__(self, run: Run, handler: Handler | None, since: float) -> None:
        self.run, self.handler, self.since = run, handler, since
        self.word = threading.Lock()  # whoever gets it says how the run ended
        self.tail = Tail()
        self.thread: int | None = None
        self.deadline = math.inf
        self.cut: Callable[[], object] | None = None
        self.cut_off = False  # at its time limit

    @property
    def on_loop(self) -> bool:
        """Tell whether it belongs on the asyncio loop."""
        return self.handler is not None and self.handler.is_async


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
        self._home = home
        self._registry = registry
        self._done, self._may_start, self._still_mine = done, may_start, still_mine or may_start
        # While runs wait, a thread goes from one to the next by single operations on these two, which are atomic: with
        # a lock it took four times as long, as threads queue up for it. All runs are present until they are done.
        self._waiting: deque[Execution] = deque()
        self._present: dict[Execution, None] = {}
        # A seat is idle or taken by an execution, which hands it to the next. The lock is for these, and for `present`
        # growing or being found empty.
        self._lock = threading.Lock()
        self._quiet = threading.Condition(self._lock)
        self._stuck: set[Execution] = set()
        self._idle_seats = seats
        self._threads = 0
        self._parked = 0
        self._closed = False
        self._handed: queue.SimpleQueue[Execution | None] = queue.SimpleQueue()
        self._loop = Loop()
        self._alarm = Alarm(self._check_limits)
        self._children = Children(self._alarm.at, home)
        self._pid = os.getpid()

    # what the daemon asks

    @property
    def free(self) -> int:
        """Count the seats that would be left if every waiting run had one."""
        with self._lock:
            return max(0, self._idle_seats - len(self._waiting))

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
        return [execution.run for execution in self._seated()]

    # what the daemon does

    def submit(self, runs: Iterable[Run]) -> None:
        """Queue runs, and start those that find a seat. Raises CronliteError after `close`."""
        new = [Execution(run, self._registry.get(run.handler), time.monotonic()) for run in runs]
        with self._lock:
            if self._closed:
                raise CronliteError("the pool is closed")
            self._present.update(dict.fromkeys(new))
            self._waiting.extend(new)
            started = self._take(self._idle_seats)
            self._idle_seats -= len(started)
        for execution in started:
            self._begin(execution)

    def withdraw(self) -> list[Run]:
        """Take back the runs that wait for a seat; `done` does not hear of them."""
        with self._lock:
            taken = self._take(len(self._waiting))
            for execution in taken:
                del self._present[execution]
            self._quiet.notify_all()
        return [execution.run for execution in taken]

    def drain(self, seconds: float) -> list[Run]:
        """Wait until nothing runs or waits, up to a limit; return the runs that have a seat then."""
        with self._lock:
            self._quiet.wait_for(lambda: not self._present and self._idle_seats == self.seats, timeout=seconds)
        return self.executing()

    def close(self) -> None:
        """End: kill child processes, cancel coroutines, leave threads to themselves. `done` hears of nothing more."""
        with self._lock:
            self._closed = True
            self._waiting.clear()
            for _ in range(self._threads):
                self._handed.put(None)
        self._alarm.close()
        self._children.close()
        self._loop.close()

    # how a seat goes from run to run

    def _seated(self) -> list[Execution]:
        present = list(self._present)  # looked at before those that wait, or one between the two would be missed
        waiting = set(self._waiting.copy())
        return [execution for execution in present if execution not in waiting]

    def _take(self, count: int) -> list[Execution]:
        """Take up to so many runs off the queue, in order."""
        taken: list[Execution] = []
        try:
            while len(taken) < count:
                taken.append(self._waiting.popleft())
        except IndexError:
            pass
        return taken

    def _begin(self, execution: Execution) -> None:
        """Start an execution where it belongs, on a seat that is no thread's own."""
        if execution.on_loop:
            self._loop.call(self._begin_on_loop, execution)
            return
        with self._lock:
            if self._closed:
                return
            if self._parked:
                self._parked -= 1
                self._handed.put(execution)
                return
            self._threads += 1
        threading.Thread(target=self._serve, args=(execution,), name="cronlite-seat", daemon=True).start()

    def _next(self, execution: Execution, *, parking: bool = False) -> Execution | None:
        """End an execution and return the next one for its seat, or leave that idle when there is none.

        With `parking`, the calling thread counts as parked then.
        """
        self._present.pop(execution, None)
        try:
            return self._waiting.popleft()
        except IndexError:
            pass
        with self._lock:
            for following in self._take(1):  # submitted meanwhile, when this seat was not idle yet
                return following
            self._idle_seats += 1
            self._parked += parking
            if not self._present:
                mend_streams()
                self._quiet.notify_all()
            return None

    def _serve(self, first: Execution) -> None:
        """Work as one of the pool's threads."""
        execution: Execution | None = first
        while execution is not None:
            if execution.on_loop:
                with self._lock:
                    self._parked += 1
                self._begin(execution)
                execution = self._handed.get()
            elif self._report(execution, self._attempt(execution)):
                execution = self._next(execution, parking=True) or self._handed.get()
            else:
                return  # another thread has its seat

    def _begin_on_loop(self, execution: Execution) -> None:
        import asyncio

        task = asyncio.get_running_loop().create_task(self._serve_on_loop(execution))
        execution.cut = partial(self._loop.call, task.cancel)  # which also keeps the task alive

    async def _serve_on_loop(self, execution: Execution) -> None:
        if self._report(execution, await self._attempt_on_loop(execution)) and (following := self._next(execution)):
            self._begin(following)

    # one run, step by step

    def _attempt(self, execution: Execution) -> Outcome | None:
        """Run a handler in this thread or in a child: ask, enter, call."""
        if execution.handler is None or not self._allowed(execution.run):
            return None
        outcome = contextvars.Context().run(self._call, execution, execution.handler)
        if os.getpid() != self._pid:
            os._exit(0)  # a fork that came back out of its handler: its parent has the pool
        return outcome

    def _call(self, execution: Execution, handler: Handler) -> Outcome | None:
        self._enter(execution)
        execution.thread = threading.get_ident()
        try:
            if handler.isolation == "process":
                ask, begin = partial(self._ask, execution), partial(self._limit, execution)
                return self._children.call(execution.run, handler, ask, begin)
            self._limit(execution)
            return outcomes.returned(awaited(handler.function(execution.run.params)))
        except NotStarted as scarce:
            log.warning("run %s is given back, as no process can be started for it: %s", execution.run.id, scarce)
            return None
        except BaseException as raised:  # noqa: BLE001 - a handler may raise anything, SystemExit included
            return outcomes.raised(raised)

    async def _attempt_on_loop(self, execution: Execution) -> Outcome | None:
        """Run an async handler: ask, enter, await."""
        if execution.handler is None or not self._allowed(execution.run):
            return None
        self._enter(execution)
        self._limit(execution)
        try:
            return outcomes.returned(await execution.handler.function(execution.run.params))
        except BaseException as raised:  # noqa: BLE001 - as above; what escapes would end the loop
            return outcomes.raised(raised)

    def _allowed(self, run: Run) -> bool:
        try:
            return self._may_start(run) and not self._closed
        except Exception:
            log.exception("run %s is not started: whether it may be cannot be found out", run.id)
            return False

    def _enter(self, execution: Execution) -> None:
        run, ask = execution.run, partial(self._ask, execution)
        enter_run(CurrentRun.of(run, ask, self._home))
        enter_tail(execution.tail)

    def _ask(self, execution: Execution) -> bool:
        over = execution.word.locked() or execution.cut_off or self._closed
        return not over and self._still_mine(execution.run)

    def _report(self, execution: Execution, outcome: Outcome | None) -> bool:
        """Say how a run ended, and tell whether it still has its seat: if not, its end was told at its time limit."""
        if not execution.word.acquire(blocking=False):
            with self._lock:
                self._stuck.discard(execution)
            return False
        if execution.cut_off:
            outcome = outcomes.timed_out(execution.run.timeout_seconds)
        self._tell(execution, outcome)
        return True

    def _tell(self, execution: Execution, outcome: Outcome | None) -> None:
        if self._closed:
            return
        printed = execution.tail.text()
        try:
            self._done(execution.run, replace(outcome, output=printed) if outcome and printed else outcome)
        except Exception:
            log.exception("the outcome of run %s was not taken", execution.run.id)

    # time limits

    def _limit(self, execution: Execution, cut: Callable[[], object] | None = None) -> None:
        """Start the clock of a run, if it has a time limit; `cut` is how to cut it off."""
        execution.cut = cut or execution.cut
        if execution.run.timeout_seconds is not None:
            execution.deadline = time.monotonic() + execution.run.timeout_seconds
            self._alarm.at(execution.deadline)

    def _check_limits(self, now: float) -> float:
        """Cut off what is over its limit, give up on what was cut off in vain, and return when to look again."""
        for execution in self._seated():
            if execution.deadline > now:
                continue
            if execution.cut is None or execution.cut_off:
                self._give_up_on(execution)
            else:
                execution.deadline, execution.cut_off = now + CUT_SECONDS, True
                execution.cut()
        following = self._children.retire(now)
        return min([following, *(execution.deadline for execution in self._seated())])

    def _give_up_on(self, execution: Execution) -> None:
        """Close a run whose handler goes on, and give its seat to the next one."""
        execution.deadline = math.inf
        still_at = _stack(execution)
        with self._lock:
            if not execution.word.acquire(blocking=False):
                return  # it ended at the last moment
            self._stuck.add(execution)
        self._tell(execution, outcomes.timed_out(execution.run.timeout_seconds, still_at=still_at))
        if following := self._next(execution):
            self._begin(following)


def _stack(execution: Execution) -> str:
    """Say where a thread hangs; of the others it is not known."""
    frame = sys._current_frames().get(execution.thread or 0) if execution.cut is None else None
    return "".join(traceback.format_stack(frame)) if frame else ""
