"""What has a daemon, one of several, to do with the process that started it? It tells how it is, and ends with it."""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Callable, MutableMapping
from contextlib import suppress

from cronlite.daemon.whole_lines import one_at_a_time

VARIABLE = "CRONLITE_LINE_TO_PARENT"
"""In the environment of each of them, and of nothing that their handlers start: its number and two descriptors."""


class Parent:
    """The line to the parent: events go there instead of to systemd, and its end is the order to stop."""

    def __init__(self, number: int, line: socket.socket) -> None:
        self.number = number
        self.running: Callable[[], int] = lambda: 0
        """How many handlers are at work."""
        self._line = line
        self._line.settimeout(1)

    def __call__(self, event: str, status: str) -> None:
        """Send an event as `service.Notifier` has them; a parent that does not listen is no reason to wait."""
        message = json.dumps({"event": event, "status": status, "running": self.running()})
        with suppress(OSError):
            self._line.sendall(f"{message}\n".encode())

    def wait_for_end(self) -> None:
        """Wait until the parent has closed its end of the line, or is gone."""
        with suppress(OSError):
            while _received(self._line):
                pass


def _received(line: socket.socket) -> bytes:
    try:
        return line.recv(1)
    except TimeoutError:
        return b"nothing yet"


def find_parent(environ: MutableMapping[str, str]) -> Parent | None:
    """Return the parent of a process that is one of several; what it prints is from now on printed by whole lines."""
    text = environ.pop(VARIABLE, None)
    if text is None:
        return None
    number, line, lock = map(int, text.split(","))
    for descriptor in (line, lock):
        os.set_inheritable(descriptor, False)
    sys.stdout, sys.stderr = one_at_a_time(sys.stdout, lock), one_at_a_time(sys.stderr, lock)
    return Parent(number, socket.socket(fileno=line))
