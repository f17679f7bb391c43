"""Which child process runs a handler, and what becomes of the run when its process ends?"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable

from cronlite.dispatch import outcomes
from cronlite.dispatch.keeper import Keeper
from cronlite.dispatch.process import Child, Died, line
from cronlite.documents.runs import Outcome, Run
from cronlite.errors import GiveUp
from cronlite.handlers.registry import Handler, Home
from cronlite.handlers.shortage import NotStarted, is_shortage

IDLE_SECONDS = 60.0
_SCARCE_SECONDS = 1.0
_RUN_FIELDS = ("id", "user", "handler", "schedule", "attempt", "key")


class Children:
    """The child processes of a pool: made when needed, kept for the next run, let go after a minute without one.

    `wake_at` is told when to call `retire` next.
    """

    def __init__(self, wake_at: Callable[[float], None], home: Home | None = None) -> None:
        self._wake_at, self._home = wake_at, home
        self._keeper = Keeper()
        self._lock = threading.Lock()
        self._idle: list[tuple[float, Child]] = []
        self._busy: set[Child] = set()
        self._closed = False

    def call(
        self,
        run: Run,
        handler: Handler,
        still_mine: Callable[[], bool],
        begin: Callable[[Callable[[], None]], None],
        traceparent: str | None = None,
    ) -> Outcome:
        """Run a handler in a child, and return what becomes of that; `begin` hears how to cut it off.

        Raises NotStarted, after a moment's wait, where there can be no child now.
        """
        request = _request(run, handler, self._home, traceparent)
        try:
            return self._call(request, still_mine, begin)
        except NotStarted:
            time.sleep(_SCARCE_SECONDS)  # with its seat taken: asked for at once, the run would come back at once
            raise

    def retire(self, now: float) -> float:
        """Let go of children without work; return when to look again."""
        with self._lock:
            old = [child for since, child in self._idle if since <= now - IDLE_SECONDS]
            self._idle = self._idle[len(old) :]
            following = self._idle[0][0] + IDLE_SECONDS if self._idle else math.inf
        for child in old:
            child.dismiss()
        return following

    def close(self) -> None:
        """End them all, at once."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
            busy = list(self._busy)
        for child in busy:
            child.kill()  # buried by the thread that waits for it
        for _, child in idle:
            child.dismiss()
        self._keeper.close()

    def _call(
        self, request: bytes, still_mine: Callable[[], bool], begin: Callable[[Callable[[], None]], None]
    ) -> Outcome:
        child = self._take()
        try:
            begin(child.begin())
            outcome = child.call(request, still_mine)
        except Died:
            status = child.wait()
            self._bury(child)
            return outcomes.died(status)
        except BaseException:
            self._bury(child)
            raise
        self._give_back(child)
        return outcome

    def _take(self) -> Child:
        with self._lock:
            child = self._idle.pop()[1] if self._idle else None
        if child is not None and not child.fit:
            child.dismiss()
            child = None
        child = child or self._new()
        with self._lock:
            self._busy.add(child)
            closed = self._closed
        if closed:
            child.kill()
        return child

    def _new(self) -> Child:
        try:
            return Child(self._keeper)
        except OSError as refused:
            if is_shortage(refused):
                raise NotStarted(str(refused)) from None
            raise

    def _give_back(self, child: Child) -> None:
        with self._lock:
            now = time.monotonic()
            self._busy.discard(child)
            kept = not self._closed
            if kept:
                self._idle.append((now, child))
        if kept:
            self._wake_at(now + IDLE_SECONDS)
        else:
            child.dismiss()

    def _bury(self, child: Child) -> None:
        child.bury()
        with self._lock:
            self._busy.discard(child)


def _request(run: Run, handler: Handler, home: Home | None, traceparent: str | None = None) -> bytes:
    request = {
        "run": {name: getattr(run, name) for name in _RUN_FIELDS} | {"due_at": run.due_at.isoformat()},
        "function": handler.qualified,
        "params": run.params,
        # The URI may hold a password, so it goes by no argument and no environment.
        "home": home and {"uri": home.uri, "quota": home.quota},
        "level": logging.getLogger().getEffectiveLevel(),
        "traceparent": traceparent,
    }
    try:
        return line(request)
    except (TypeError, ValueError) as refused:
        raise GiveUp(f"its params cannot go to a child process, as they are no JSON: {refused}") from None
