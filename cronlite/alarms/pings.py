"""How does an outside watcher hear that something began, ended or lives, while nobody here waits for it?

A run's `ping_url` is called as Healthchecks' ping API has it: URL/start, URL, URL/fail, with `rid`, a UUID of the run.
"""

from __future__ import annotations

import queue
import threading
import uuid
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import SplitResult, urlencode, urlsplit

from cronlite.alarms.calls import CallFailed
from cronlite.logger import logger

log = logger("cronlite.pings")

START, SUCCESS, FAIL = "start", "success", "fail"
LANES = 4
"""How many are called at a time; those of one URL go one after the other, in order."""
WAITING = 250
"""How many may wait in each lane; more are dropped, and counted."""
REST_SECONDS = 60.0
MAX_BODY_BYTES = 10_000  # as much as Healthchecks keeps by default
_IDLE_SECONDS = 30.0
_OF_RUNS = uuid.UUID("5f3c2c1e-6f0e-5b7a-9a53-6e1c7d1a0c4b")

Call = Callable[[str, bytes], object]


@dataclass(frozen=True, slots=True)
class Ping:
    """A URL to call, what to send with it, and who hears whether that went well."""

    url: str
    body: bytes = b""
    done: Callable[[str], None] | None = None
    """Is given what went wrong, or nothing."""


def ping(url: str, event: str, run: str, body: str = "") -> Ping:
    """Make the ping of an event of a run, an attempt of which has the id `run`."""
    parts = urlsplit(url)
    suffix = "" if event == SUCCESS else f"/{event}"
    path = f"{parts.path.rstrip('/')}{suffix}" if suffix else parts.path
    query = "&".join(filter(None, (parts.query, urlencode({"rid": rid(run)}))))
    whole = SplitResult(parts.scheme, parts.netloc, path, query, "").geturl()
    return Ping(whole, body.encode("utf-8", "replace")[-MAX_BODY_BYTES:])


def rid(run: str) -> str:
    """Return the UUID that stands for a run's id, which Healthchecks would refuse."""
    return str(uuid.uuid5(_OF_RUNS, run))


class Pinger:
    """Calls URLs in threads of its own, which end when there is nothing to do; `add` never waits.

    A host that could not be reached rests for a minute, so that a dead one costs the others little.
    """

    def __init__(
        self,
        call: Call,
        steady: Callable[[], float],
        *,
        lanes: int = LANES,
        waiting: int = WAITING,
        rest_seconds: float = REST_SECONDS,
    ) -> None:
        self._call, self._steady, self._rest_seconds, self._waiting = call, steady, rest_seconds, waiting
        self._lanes = [_Lane(self, number, waiting) for number in range(lanes)]
        self._resting: dict[str, float] = {}
        self.dropped = 0

    def add(self, new: Ping) -> None:
        """Call a URL soon, unless too many wait."""
        lane = self._lanes[zlib.crc32(urlsplit(new.url).netloc.encode()) % len(self._lanes)]
        if not lane.add(new):
            self.dropped += 1
            # The 1st, 2nd, 4th, 8th … are told; where one may wait, it says the same as the next.
            if self._waiting > 1 and self.dropped & (self.dropped - 1) == 0:
                log.warning("%d pings were dropped: more wait than are answered", self.dropped)

    def close(self, seconds: float) -> None:
        """Wait for what is under way, but no longer than that; the rest is lost."""
        until = self._steady() + seconds
        for lane in self._lanes:
            lane.join(max(0.0, until - self._steady()))

    def send(self, ping: Ping) -> None:
        """Call a URL now, in this thread; whatever comes of it is told, and raises nothing."""
        host, now = urlsplit(ping.url).netloc, self._steady()
        if self._resting.get(host, 0.0) > now:
            return
        self._resting.pop(host, None)
        try:
            self._call(ping.url, ping.body)
            problem = ""
        except CallFailed as failed:
            problem = str(failed)
            log.warning("ping failed: %s", problem)
            if len(self._resting) < 10_000:
                self._resting[host] = self._steady() + self._rest_seconds if self._is_dead(problem) else 0.0
        except Exception as broken:
            problem = type(broken).__name__
            log.error("a fault of cronlite itself in a ping", exc_info=broken)
        if ping.done:
            ping.done(problem)

    @staticmethod
    def _is_dead(problem: str) -> bool:
        return "answered with" not in problem


class _Lane:
    def __init__(self, pinger: Pinger, number: int, waiting: int) -> None:
        self._pinger, self._number = pinger, number
        self._queue: queue.Queue[Ping] = queue.Queue(waiting)
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def add(self, new: Ping) -> bool:
        with self._lock:
            try:
                self._queue.put_nowait(new)
            except queue.Full:
                return False
            if self._thread is None:
                thread = threading.Thread(target=self._main, name=f"cronlite-ping-{self._number}", daemon=True)
                try:
                    thread.start()
                except RuntimeError:  # the system grants no thread now: the next ping asks again
                    return True
                self._thread = thread
            return True

    def join(self, seconds: float) -> None:
        thread = self._thread
        if thread is not None and seconds > 0:
            with self._queue.all_tasks_done:
                self._queue.all_tasks_done.wait_for(lambda: not self._queue.unfinished_tasks, seconds)

    def _main(self) -> None:
        while True:
            try:
                ping = self._queue.get(timeout=_IDLE_SECONDS)
            except queue.Empty:
                with self._lock:
                    if self._queue.empty():
                        self._thread = None
                        return
                continue
            try:
                self._pinger.send(ping)
            finally:
                self._queue.task_done()
