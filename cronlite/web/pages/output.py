"""How does a page follow what a run prints? As events (Server-Sent Events) that the site's script asks for."""

from __future__ import annotations

import json
from collections.abc import Iterator
from queue import Empty, SimpleQueue

from cronlite.client.following import Follower
from cronlite.documents import runs
from cronlite.errors import CronliteError
from cronlite.web.exchange import Answer
from cronlite.web.templating import BLOCK
from cronlite.web.visit import Visit
from cronlite.wording.text import printable

MOST = 50
"""How many may follow at a time, of all runs: each asks the store once a second."""
LOOKS = 600
"""After so many the stream ends, and a browser that is still there begins another."""
_SILENCE = 15
"""After so many looks without anything new a blank line goes out, by which a browser that is gone is noticed."""


def places(count: int) -> SimpleQueue[None]:
    """Make so many places.

    They are a queue, since the garbage collector may give one up in the midst of anything. A semaphore has a lock,
    which the very thread may hold in which that happens; this queue is made for it.
    """
    free = SimpleQueue[None]()
    for _ in range(count):
        free.put(None)
    return free


_places = places(MOST)


def output(visit: Visit) -> Answer:
    """Stream what a run prints, until it has ended."""
    visit.cron.run_of(visit.asked("id"))  # or else a page says that there is none
    try:
        _places.get_nowait()
    except Empty:
        return Answer(status=204)  # which tells a browser not to come back; the page refreshes itself all the same
    stream = _events(Follower(visit.cron, visit.asked("id")))
    return Answer(kind="text/event-stream", stream=_Placed(stream), headers=[("X-Accel-Buffering", "no")])


def _events(follower: Follower) -> Iterator[bytes]:
    """Yield events; an empty one says that it is time to wait until the next look."""
    attempt, quiet, first = 0, 0, True
    for _ in range(LOOKS):
        try:
            run, text = follower.look()
        except CronliteError:  # gone, or the store is out of reach: the browser asks again
            return
        if first or text or run.attempt != attempt:
            begins = first or run.attempt != attempt
            yield _event("output", {"text": printable(text)[-BLOCK:], "begins": begins, "attempt": run.attempt})
            first, quiet, attempt = False, 0, run.attempt
        if run.state in runs.FINAL:
            yield _event("end", {"state": run.state})
            return
        quiet += 1
        if quiet % _SILENCE == 0:
            yield b":\n\n"
        yield b""


def _event(name: str, data: object) -> bytes:
    return f"event: {name}\ndata: {json.dumps(data)}\n\n".encode()


class _Placed:
    """Events that give their place up when they end, or when nobody wants them any more."""

    def __init__(self, events: Iterator[bytes]) -> None:
        self._events, self._has_place = events, True

    def __iter__(self) -> _Placed:
        return self

    def __next__(self) -> bytes:
        try:
            return next(self._events)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Give the place up."""
        if self._has_place:
            self._has_place = False
            _places.put(None)

    def __del__(self) -> None:
        self.close()
