"""What does a child process do: it calls one handler at a time for the daemon that started it.

The two speak JSON lines over a socket. The daemon sends where to import from, `{"path"}`, then a call, `{"run",
"function", "params", "home", "level", "traceparent"}`, when asked `{"mine"}`, and at last `{"bye"}`; the child sends
`{"log"}` and `{"ask"}` any number of times, then `{"outcome"}`, or `{"lacking"}` where the system has no thread or
process left. Both count the calls, and `ask` says during which it was asked: by a thread that a handler left behind, it
may be an earlier one. What the handler prints goes through a pipe in the place of stdout and stderr, and so outlives
the child.
"""

from __future__ import annotations

import contextvars
import importlib
import json
import logging
import os
import queue
import signal
import socket
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from cronlite.dispatch import outcomes, tracing
from cronlite.documents.runs import Outcome
from cronlite.handlers.registry import CurrentRun, Elsewhere, awaited, be_at_home, enter_run
from cronlite.handlers.shortage import NotStarted

MAX_LOGGED = 64 * 1024
_CHUNK = 64 * 1024
Message = dict[str, Any]

_state = {"in_child": False}


def in_child() -> bool:
    """Tell whether this process is such a child: an application that it imports must not start a daemon in it."""
    return _state["in_child"]


def serve(fd: int) -> None:
    """Answer the daemon's calls over a socket until it lets this process go, or dies."""
    _state["in_child"] = True
    os.set_inheritable(fd, False)
    channel = socket.socket(fileno=fd)
    channel.setblocking(True)  # which it is not when it comes from a daemon under gevent
    child = _Child(channel)
    try:
        threading.Thread(target=child.listen, name="cronlite-parent", daemon=True).start()
    except RuntimeError as refused:
        child.send(lacking=str(refused))
        while channel.recv(_CHUNK):  # or the daemon could not send its call, and would take this for a death
            pass
        return
    logging.getLogger().addHandler(_Relay(child))
    child.work()


class _Child:
    def __init__(self, channel: socket.socket) -> None:
        self._number = 0
        self._channel = channel
        self._sending, self._asking = threading.Lock(), threading.Lock()
        self._calls: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self._answers: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self._pid = os.getpid()
        self._output = os.dup(1)
        with suppress(OSError):
            self._folder = Path.cwd()

    def listen(self) -> None:
        """Sort what the daemon says. When it dies, so does this process, and all that the handler started."""
        with self._channel.makefile("rb") as lines:
            for line in lines:
                message = json.loads(line)
                if "mine" in message:
                    self._answers.put(message["mine"])
                elif "path" in message:
                    sys.path[:] = message["path"]
                elif "bye" in message:
                    tracing.flush()
                    os._exit(0)
                else:
                    self._calls.put(message)
        os.killpg(self._pid, signal.SIGKILL)

    def send(self, **message: Any) -> None:
        """Tell the daemon something."""
        if os.getpid() == self._pid:  # not from a fork that a handler made
            with self._sending:
                self._channel.sendall(json.dumps(message).encode() + b"\n")

    def work(self) -> None:
        """Call handlers, one after the other."""
        while True:
            message = self._calls.get()
            self._number += 1
            self._mend()
            logging.getLogger().setLevel(message["level"])
            answer = contextvars.Context().run(self._answer, message)
            if os.getpid() != self._pid:
                os._exit(0)  # a fork that came back out of its handler
            for stream in (sys.stdout, sys.stderr):
                with suppress(Exception):
                    stream.flush()
            self.send(**answer)

    def _answer(self, message: Message) -> Message:
        try:
            return {"outcome": asdict(self._outcome(message))}
        except NotStarted as lacking:
            return {"lacking": str(lacking)}

    def _outcome(self, message: Message) -> Outcome:
        run = message["run"] | {"due_at": datetime.fromisoformat(message["run"]["due_at"])}
        enter_run(CurrentRun(**run, _ask=partial(self._still_mine, self._number)))
        if message["home"]:
            be_at_home(Elsewhere(**message["home"]))
        try:
            function = _function(message["function"])
            tracing.enter(message["traceparent"])  # now that the application is imported, and perhaps OpenTelemetry
            return outcomes.returned(awaited(function(message["params"])))
        except NotStarted:
            raise
        except BaseException as raised:  # noqa: BLE001 - a handler may raise anything
            return outcomes.raised(raised)

    def _still_mine(self, call: int) -> bool:
        with self._asking:
            if call != self._number or os.getpid() != self._pid:
                return False
            self.send(ask=call)
            return self._answers.get()

    def _mend(self) -> None:
        """Undo what the handler before did to the streams and the working directory."""
        for number, name in ((1, "stdout"), (2, "stderr")):
            os.dup2(self._output, number)
            stream = open(number, "w", 1, encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115
            setattr(sys, name, stream)
        with suppress(OSError, AttributeError):
            os.chdir(self._folder)


def _function(qualified: str) -> Callable[[Any], Any]:
    module, _, path = qualified.partition(":")
    target: Any = importlib.import_module(module)
    for name in path.split("."):
        target = getattr(target, name)
    function: Callable[[Any], Any] = target
    return function


class _Relay(logging.Handler):
    """Passes log records on to the daemon, whose handlers write them."""

    def __init__(self, child: _Child) -> None:
        super().__init__()
        self._child = child

    def emit(self, record: logging.LogRecord) -> None:
        try:
            fields = {
                "name": record.name,
                "levelno": record.levelno,
                "levelname": record.levelname,
                "created": record.created,
                "msg": record.getMessage()[-MAX_LOGGED:],
            }
            if record.exc_info:
                fields["exc_text"] = logging.Formatter().formatException(record.exc_info)[-MAX_LOGGED:]
            self._child.send(log=fields)
        except Exception:  # noqa: BLE001 - as every logging handler does
            self.handleError(record)
