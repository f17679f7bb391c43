"""How does a daemon talk to one child process: let it call a handler, pass on what that says, and end it?"""

from __future__ import annotations

import codecs
import json
import logging
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from cronlite.dispatch.keeper import Keeper
from cronlite.documents.runs import Outcome
from cronlite.handlers.output import relay
from cronlite.handlers.shortage import NotStarted
from cronlite.logger import logger

log = logger("cronlite.pool")

RUNS_PER_CHILD = 100  # then a fresh one: what handlers leak goes with the child
_CHUNK = 64 * 1024
_CHUNKS_AT_ONCE = 64
_LOOK_MILLISECONDS = 1_000
_LEAVE_SECONDS = 1.0
_BOOT = "import sys; sys.path[:] = sys.argv[2:]; from cronlite.dispatch.child import serve; serve(int(sys.argv[1]))"


class Died(Exception):
    """The child ended before it had answered."""


class Child:
    """One child process, in a session of its own, that calls one handler at a time. Making it may raise OSError."""

    def __init__(self, keeper: Keeper) -> None:
        keeper.prepare()
        self._keeper = keeper
        self._channel, theirs = socket.socketpair()
        try:
            self._output, printing = os.pipe()
        except BaseException:
            self._channel.close()
            theirs.close()
            raise
        os.set_blocking(self._output, False)
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _BOOT, str(theirs.fileno()), *_own_path()],
                env=_environment(),
                stdin=subprocess.DEVNULL,
                stdout=printing,
                stderr=printing,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        except BaseException:
            self._close()
            raise
        finally:
            theirs.close()
            os.close(printing)
        self._received = b""
        self._lock = threading.Lock()  # without it a late kill could hit another call, or whoever got the id
        self._calls = 0
        self._at_work = False
        self._ended = False
        try:
            keeper.add(self._process.pid)
            self._send(line({"path": sys.path}))
        except BaseException:
            self.bury()
            raise

    @property
    def fit(self) -> bool:
        """Tell whether it lives and may be called once more."""
        return self._calls < RUNS_PER_CHILD and self._process.poll() is None

    def begin(self) -> Callable[[], None]:
        """Begin a call, and return how to cut it off."""
        with self._lock:
            self._calls += 1
            self._at_work = True
            return partial(self.kill, self._calls)

    def call(self, request: bytes, still_mine: Callable[[], bool]) -> Outcome:
        """Let the child call a handler, in the context of the run. Raises Died."""
        decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        try:
            self._send(request)
            outcome = self._outcome(decode, still_mine)
        except Died:
            self._relay_output(decode)  # what it printed before
            raise
        with self._lock:
            self._at_work = False
        return outcome

    def kill(self, call: int | None = None) -> None:
        """End it at once, with all that it started; given a call, only if it is still at that one."""
        with self._lock:
            if self._ended or (call is not None and (call, True) != (self._calls, self._at_work)):
                return
            with suppress(OSError):  # gone already
                os.killpg(self._process.pid, signal.SIGKILL)

    def wait(self) -> int | None:
        """Return the status of a child that died, or None if it did not, but fell silent."""
        with suppress(subprocess.TimeoutExpired):
            return self._process.wait(_LEAVE_SECONDS)  # its channel closes a moment before it is gone
        return None

    def bury(self) -> None:
        """End it if it has not ended."""
        self.kill()
        with self._lock:
            self._ended = True
        self._keeper.remove(self._process.pid)
        self._process.wait()
        self._close()

    def dismiss(self) -> None:
        """Let it go, but not what its commands left in the background."""
        with suppress(Died, subprocess.TimeoutExpired):
            self._send(line({"bye": True}))
            self._process.wait(_LEAVE_SECONDS)
        with self._lock:
            self._ended = True
            self._process.kill()  # if it does not go by itself
        self._process.wait()
        self._close()

    def _outcome(self, decode: Callable[[bytes], str], still_mine: Callable[[], bool]) -> Outcome:
        """Pass on what it prints and logs, and answer what it asks, until it has an outcome."""
        poll = select.poll()
        poll.register(self._channel, select.POLLIN)
        poll.register(self._output, select.POLLIN)
        while True:
            # Asked before reading, so that its last words are read. The channel does not tell: a fork may hold it open.
            dead = self._process.poll() is not None
            poll.poll(0 if dead else _LOOK_MILLISECONDS)
            messages = self._messages()
            self._relay_output(decode)
            outcome = None
            for message in messages or ():
                if "outcome" in message:
                    outcome = Outcome(**message["outcome"])
                elif "lacking" in message:
                    raise NotStarted(message["lacking"])
                elif "log" in message:
                    _log(message["log"])
                elif outcome:  # so the question is from a thread that the handler left behind
                    with suppress(Died):
                        self._send(line({"mine": False}))
                else:
                    self._send(line({"mine": message["ask"] == self._calls and _asked(still_mine)}))
            if outcome:
                return outcome
            if dead and messages is None:
                raise Died

    def _send(self, line: bytes) -> None:
        try:
            self._channel.sendall(line)
        except OSError:
            raise Died from None

    def _messages(self) -> list[dict[str, Any]] | None:
        """Read some of what the child has said; None when that was all."""
        try:
            received = self._channel.recv(_CHUNK, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return None
        except OSError:
            received = b""
        if not received:
            raise Died
        *lines, self._received = (self._received + received).split(b"\n")
        return [json.loads(line) for line in lines]

    def _relay_output(self, decode: Callable[[bytes], str]) -> None:
        """Pass on what was printed so far, but go on: there may be no end of it."""
        with suppress(BlockingIOError):
            for _ in range(_CHUNKS_AT_ONCE):
                printed = os.read(self._output, _CHUNK)
                if not printed:
                    break
                relay(decode(printed))

    def _close(self) -> None:
        self._channel.close()
        os.close(self._output)


def _own_path() -> list[str]:
    """List where this process imports from, the working directory last.

    That may hold somebody's `json.py`: a child is sent the real order when it has imported what it needs.
    """
    here = {"", str(Path.cwd())}
    path = [entry for entry in sys.path if isinstance(entry, str)]
    return sorted(path, key=lambda entry: entry in here)


def _environment() -> dict[str, str]:
    """Copy this process's environment.

    Left to subprocess, the new process would read it from the memory that both share until it has begun, where another
    thread may be changing it: every so often that ends in EFAULT.
    """
    while True:
        with suppress(RuntimeError, KeyError):  # changed while it was copied
            return dict(os.environ)


def line(message: Mapping[str, Any]) -> bytes:
    """Write a message as both sides send it."""
    return json.dumps(message).encode() + b"\n"


def _log(fields: Mapping[str, Any]) -> None:
    record = logging.makeLogRecord(dict(fields))
    receiver = logging.getLogger(record.name)
    with suppress(Exception):  # an application's own handler may raise; the run is no worse for it
        if receiver.isEnabledFor(record.levelno):
            receiver.handle(record)


def _asked(still_mine: Callable[[], bool]) -> bool:
    try:
        return still_mine()
    except Exception:
        log.warning("whether a run is still this daemon's cannot be found out", exc_info=True)
        return False
