"""How do several daemons fill one machine, as one service: started, watched, started again and stopped together?"""

from __future__ import annotations

import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from typing import IO, Any

from cronlite.daemon.parent import VARIABLE
from cronlite.daemon.service import AT_ONCE, ending, hearing
from cronlite.logger import logger

log = logger("cronlite.daemon")

USAGE = 2
"""With this exit code a daemon says that only a person can help."""
ALIVE_SECONDS = 30.0
"""A daemon tells of itself every five seconds; one that was silent for longer than this is not vouched for."""
SILENT_SECONDS = 90.0
"""One that was silent for so long does nothing more: a new process may."""
LONGEST_PAUSE_SECONDS = 60.0
STOP_SECONDS = 30.0
"""What a stop may take beside the drain."""


class Processes:
    """Keeps `count` processes of this very command, each a daemon of its own, and tells `notify` of them as one.

    A process that ends is started again, after a pause that doubles each time. All end together: at SIGTERM, SIGINT or
    SIGHUP they drain, at a second SIGTERM or SIGINT they are killed, and when this process is gone they drain, too.
    """

    def __init__(self, count: int, notify: Callable[[str, str], None], drain_seconds: float) -> None:
        self._notify, self._stop_seconds = notify, drain_seconds + STOP_SECONDS
        self._children = [Child(number) for number in range(1, count + 1)]
        self._selector = selectors.DefaultSelector()
        self._is_ready = False
        self._kill_at: float | None = None
        """When those are killed that have not stopped; None before the order to stop."""
        self._code = 0

    def run(self) -> int:
        """Keep them running until a signal, and return the exit code: 1 where one was killed or ended badly."""
        with ExitStack() as ends:
            ends.enter_context(_standard_streams())
            lock = ends.enter_context(_file_to_lock())
            heard, _ = ends.enter_context(hearing([*ending(), signal.SIGCHLD]))
            ends.enter_context(self._selector)
            ends.enter_context(heard)
            self._selector.register(heard, selectors.EVENT_READ, self._hear_signals)
            while self._kill_at is None or any(child.process for child in self._children):
                self._start_those_due(lock)
                self._wait()
                self._bury()
                self._kill_those_silent()
        return self._code

    def _wait(self) -> None:
        """Wait until something is heard, or is due."""
        seconds, began = self._seconds_to_next(), time.monotonic()
        heard = self._selector.select(seconds)
        overslept = time.monotonic() - began - seconds
        for child in self._children:
            child.heard_at += max(0.0, overslept)  # whatever stopped this process has stopped them, too
        for key, _ in heard:
            key.data(key.fileobj)

    def _start_those_due(self, lock: IO[bytes]) -> None:
        for child in self._children:
            if child.process is None and self._kill_at is None and time.monotonic() >= child.start_at:
                try:
                    child.start(lock)
                except OSError as refused:  # no memory, no process left
                    self._start_later(child, f"could not be started: {refused}")
                else:
                    self._selector.register(child.line, selectors.EVENT_READ, lambda _, child=child: self._hear(child))

    def _start_later(self, child: Child, why: str) -> None:
        seconds = child.pause()
        log.warning("process %d %s; another is started in %g s", child.number, why, seconds)
        self._tell()

    def _seconds_to_next(self) -> float:
        """Return how long nothing happens unless it is heard of."""
        starts = [child.start_at for child in self._children if child.process is None and self._kill_at is None]
        silences = [child.heard_at + SILENT_SECONDS for child in self._children if child.process and child.event]
        next_at = min(
            [*starts, *silences, time.monotonic() + SILENT_SECONDS, *([self._kill_at] if self._kill_at else [])]
        )
        return max(0.0, next_at - time.monotonic())

    # what is heard

    def _hear_signals(self, heard: socket.socket) -> None:
        for number in heard.recv(4096):
            if number == signal.SIGCHLD:
                continue
            if self._kill_at is None:
                log.info("%s received: stopping %d processes", signal.Signals(number).name, len(self._children))
                self._stop()
            elif number in AT_ONCE:
                self._kill_all()

    def _hear(self, child: Child) -> None:
        if child.hear():
            self._tell()
        else:
            self._selector.unregister(child.line)

    def _tell(self) -> None:
        """Tell how all are; a sign of life only where each of them has given one."""
        if self._kill_at is not None:
            return
        if not self._is_ready and all(child.is_ready for child in self._children):
            self._is_ready = True
            self._notify("ready", self._status())
        elif not all(child.is_alive for child in self._children):
            self._notify("failing", self._status())
        else:
            self._notify("tick" if self._is_ready else "waiting", self._status())

    def _status(self) -> str:
        ready = sum(child.is_ready for child in self._children)
        running = sum(child.running for child in self._children)
        worst = min(self._children, key=lambda child: (child.is_alive, child.event != "waiting", child.number))
        return f"{ready} of {len(self._children)} processes ready, {running} running; {worst.described}"

    # how they end

    def _stop(self) -> None:
        self._kill_at = time.monotonic() + self._stop_seconds
        self._notify("stopping", "waiting for running handlers")
        for child in self._children:
            child.tell_to_stop()

    def _kill_all(self) -> None:
        self._code = 1
        for child in self._children:
            child.kill()

    def _kill_those_silent(self) -> None:
        now = time.monotonic()
        if self._kill_at is not None and now >= self._kill_at:
            log.error("processes that do not stop are killed")
            self._kill_at = now + self._stop_seconds
            self._kill_all()
        for child in self._children:
            if child.process and child.event and now >= child.heard_at + SILENT_SECONDS:
                log.error("process %d (pid %d) has been silent for %g s: it is killed", *child.name, SILENT_SECONDS)
                child.heard_at = now
                child.kill()

    def _bury(self) -> None:
        """Take note of processes that have ended, also of those that were left to this one, as to any PID 1."""
        by_pid = {child.process.pid: child for child in self._children if child.process}
        for pid, code in _ended():
            if child := by_pid.get(pid):
                with suppress(KeyError):
                    self._selector.unregister(child.line)
                self._note_end(child, code)

    def _note_end(self, child: Child, code: int) -> None:
        _, pid = child.name
        # One that has not come to hear signals yet has nothing that it could leave undone.
        is_orderly = code == 0 or (not child.is_ready and -code in ending())
        child.bury(code)
        if self._kill_at is not None:
            if not is_orderly:
                log.error("process %d (pid %d) has ended %s", child.number, pid, _how(code))
                self._code = self._code or 1
        elif code == USAGE and not any(other.was_ready for other in self._children):
            self._code = USAGE  # what it complained of is the same for all
            self._stop()
        else:
            self._start_later(child, f"(pid {pid}) has ended {_how(code)}")


class Child:
    """One of the processes, or the place of one that is to be started."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.process: subprocess.Popen[bytes] | None = None
        self.line: socket.socket
        self.start_at = float("-inf")
        self.was_ready = False
        self.event, self.status, self.running = "", "starting", 0
        self.is_ready = False
        self.heard_at = self._ready_at = 0.0
        self._ends = 0
        self._begun = b""

    @property
    def name(self) -> tuple[int, int]:
        """Its number and its pid."""
        return self.number, self.process.pid if self.process else 0

    @property
    def is_alive(self) -> bool:
        """Whether it has given a sign of life of late."""
        return self.event in ("ready", "tick", "waiting") and time.monotonic() < self.heard_at + ALIVE_SECONDS

    @property
    def described(self) -> str:
        return f"process {self.number}: {self.status}"

    def start(self, lock: IO[bytes]) -> None:
        """Start this command once more, with a line between it and this process. Raises OSError."""
        self.line, theirs = socket.socketpair()
        with theirs, ExitStack() as undone:
            undone.callback(self.line.close)
            descriptors = theirs.fileno(), lock.fileno()
            self.process = subprocess.Popen(
                [sys.executable, *sys.orig_argv[1:]],
                stdin=subprocess.DEVNULL,
                pass_fds=descriptors,
                env={**os.environ, VARIABLE: ",".join(map(str, (self.number, *descriptors)))},
            )
            undone.pop_all()
        self.event, self.status, self._begun = "", "starting", b""

    def pause(self) -> float:
        """Settle when the next one is started; return in how many seconds."""
        if self._ready_at and time.monotonic() - self._ready_at > LONGEST_PAUSE_SECONDS:
            self._ends = 0
        seconds = min(2.0**self._ends, LONGEST_PAUSE_SECONDS)
        self._ends, self._ready_at, self.start_at = self._ends + 1, 0.0, time.monotonic() + seconds
        return seconds

    def hear(self) -> bool:
        """Take what it has sent; return whether there is more to come."""
        with suppress(ConnectionError):
            *lines, self._begun = (self._begun + (received := self.line.recv(65_536))).split(b"\n")
            for line in lines:
                with suppress(ValueError, KeyError):  # cut off
                    self._take(json.loads(line))
            return received != b""
        return False

    def _take(self, message: Mapping[str, Any]) -> None:
        self.event, self.status, self.running = message["event"], message["status"], message["running"]
        self.heard_at = time.monotonic()
        if self.event == "ready":
            self.is_ready = self.was_ready = True
            self._ready_at = time.monotonic()

    def tell_to_stop(self) -> None:
        """Close this end of the line, which is the order to stop."""
        if self.process:
            with suppress(OSError):
                self.line.shutdown(socket.SHUT_WR)

    def kill(self) -> None:
        if self.process:
            self.process.kill()

    def bury(self, code: int) -> None:
        """Take note of its end."""
        if self.process:
            self.process.returncode = code
        self.process, self.is_ready, self.running = None, False, 0
        self.event, self.status = "ended", f"has ended {_how(code)}"
        self.line.close()


def _ended() -> Iterator[tuple[int, int]]:
    """Yield pid and exit code of each child that has ended, -N for signal N."""
    with suppress(ChildProcessError):  # there are none
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            yield ended[0], os.waitstatus_to_exitcode(ended[1])


def _how(code: int) -> str:
    with suppress(ValueError):
        if code < 0:
            return f"by {signal.Signals(-code).name}"
    return f"with exit code {code}"


def _file_to_lock() -> IO[bytes]:
    """Open a file that all can lock, in memory where the system has such: a container may have no place to write."""
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("cronlite-lines"), "r+b", buffering=0)
    return tempfile.TemporaryFile()


@contextmanager
def _standard_streams() -> Iterator[None]:
    """Open /dev/null where this process was started without a standard stream: a line would take its place."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)
    yield
