"""How does a daemon live as a service: signals in, sd_notify out, and an end that nothing outlives."""

from __future__ import annotations

import gc
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress

from cronlite.daemon.loops import Daemon
from cronlite.daemon.options import Options
from cronlite.daemon.parent import Parent
from cronlite.dispatch import tracing
from cronlite.errors import ConfigurationError, visible
from cronlite.handlers.registry import Home, Registry
from cronlite.logger import logger
from cronlite.store.contract import Store

log = logger("cronlite.daemon")


def run(
    store: Store,
    registry: Registry,
    options: Options,
    *,
    worker: bool = False,
    home: Home | None = None,
    parent: Parent | None = None,
) -> None:
    """Make a daemon, or a worker, that tells its parent how it is, or else systemd, and serve it."""
    notify = parent or Notifier(os.environ.get("NOTIFY_SOCKET"))
    daemon = Daemon(store, registry, options, worker=worker, notify=notify, home=home)
    if parent:
        parent.running = lambda: daemon.claimer.pool.running
    serve(daemon, parent.wait_for_end if parent else None)


def serve(daemon: Daemon, wait_for_end: Callable[[], None] | None = None) -> None:
    """Run a daemon until SIGTERM, SIGINT or SIGHUP, then drain it; a second SIGTERM or SIGINT ends the process at once.

    With a parent, a thread calls `wait_for_end`, which returns when the parent says stop or is gone: then it drains,
    and what a second signal means is for the parent to say, as all of them may have heard one that it passes on; one
    that comes when this process has nothing left to do but to end is ignored.
    Returns when nothing is left running, and else ends the process with exit code 0; with 1 when the daemon gave up.
    Raises ConfigurationError outside the main thread, where signals cannot be taken.
    """
    if threading.current_thread() is not threading.main_thread():
        raise ConfigurationError("run() takes signals and so needs the main thread; in a thread use start()")
    first, numbers = threading.Event(), ending()
    afterwards = signal.SIG_IGN if wait_for_end else None
    with hearing(numbers, afterwards) as (heard, telling), seldom_collecting(), switching_often():
        daemon.on_fall = lambda: _tell(telling, _GAVE_UP)
        try:
            # Before the signal: by then the system may grant no more threads.
            if wait_for_end:
                _in_thread(_pass_on_end, wait_for_end, telling)
            else:
                _in_thread(_end_at_once, heard, first)
            daemon.start()
            if name := _next_ending(heard, [*numbers, *_ORDERED]):
                log.info("%s received: stopping", name)
            first.set()
            if daemon.stop(hard=True, last_words=_say_all):
                os._exit(1 if daemon.fallen else 0)  # a handler given back must not live on here
        finally:
            first.set()
    if daemon.fallen:
        sys.exit(1)


@contextmanager
def hearing(
    numbers: Collection[signal.Signals], afterwards: signal.Handlers | None = None
) -> Iterator[tuple[socket.socket, socket.socket]]:
    """Yield a socket that receives the numbers of these signals, and its other end.

    Each signal gets the handler `afterwards`; None gives it the one back that it had.
    The system may hand a signal to any thread, and only the main one runs Python's handlers, once it wakes up: in a
    lock or a queue it would sleep on. What is written to a socket wakes whoever reads it.
    """
    heard, telling = socket.socketpair()
    telling.setblocking(False)
    telling_before = signal.set_wakeup_fd(telling.fileno(), warn_on_full_buffer=False)  # first: nothing goes unheard
    before = {number: signal.signal(number, _noted) for number in numbers}
    try:
        yield heard, telling
    finally:
        signal.set_wakeup_fd(telling_before)
        for number, handler in before.items():
            signal.signal(number, handler if afterwards is None else afterwards)
        telling.close()


@contextmanager
def seldom_collecting() -> Iterator[None]:
    """Let the garbage collector of a daemon's process look at less, since it would find nothing.

    A burst makes many objects that live for a second and have no cycles; looking for cycles took a tenth of its time.
    """
    before = gc.get_threshold()
    gc.freeze()  # what has been imported stays
    gc.set_threshold(_COLLECT_AFTER, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


@contextmanager
def switching_often() -> Iterator[None]:
    """Let a thread that has an answer of the store wait for the interpreter for a millisecond at most, instead of five.

    An answer is read in two steps. Beside handlers that compute, the server was idle for 10 ms after each of them.
    """
    before = sys.getswitchinterval()
    sys.setswitchinterval(_SWITCH_SECONDS)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


_SWITCH_SECONDS = 0.001
_COLLECT_AFTER = 50_000  # objects more, instead of 700
AT_ONCE = (signal.SIGTERM, signal.SIGINT)
"""The signals of which a second one ends the process."""
# In the place of a signal's number.
_GAVE_UP = b"\0"
_ORDERED = b"\xff"


def ending() -> list[signal.Signals]:
    """List the signals that end a daemon: that of a closed terminal, too, unless it was started by nohup(1)."""
    if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:
        return list(AT_ONCE)
    return [*AT_ONCE, signal.SIGHUP]


def _in_thread(work: Callable[..., None], *arguments: object) -> None:
    threading.Thread(target=work, args=arguments, name="cronlite-signals", daemon=True).start()


def _pass_on_end(wait_for_end: Callable[[], None], telling: socket.socket) -> None:
    wait_for_end()
    _tell(telling, _ORDERED)


def _tell(telling: socket.socket, what: bytes) -> None:
    with suppress(OSError):  # stopped meanwhile
        telling.send(what)


def _noted(number: int, frame: object) -> None:
    """Take a signal whose number went to the wakeup socket already."""


def _next_ending(heard: socket.socket, numbers: Collection[int]) -> str:
    """Wait for what ends the daemon, and name it; return nothing when the daemon gave up, or is stopped."""
    while (received := heard.recv(1)) and received != _GAVE_UP:
        if received[0] in numbers:
            return "an order of the parent" if received == _ORDERED else signal.Signals(received[0]).name
    return ""


def _end_at_once(heard: socket.socket, first: threading.Event) -> None:
    """End the process at the next signal after the first."""
    first.wait()
    with heard:
        # A terminal that closes may say so twice, through its shell and through the system.
        if _next_ending(heard, AT_ONCE):
            os._exit(1)


def _say_all() -> None:
    """Write what has been said and not written, as nothing will after this."""
    tracing.flush()
    logging.shutdown()
    with suppress(Exception):  # a handler may have closed it
        sys.stdout.flush()


class Notifier:
    """Tells systemd how the service is, in the words of sd_notify(3); silent where nobody listens."""

    def __init__(self, address: str | None) -> None:
        self._address = "\0" + address[1:] if address and address.startswith("@") else address

    def __call__(self, event: str, status: str) -> None:
        """Send an event with a line for people.

        Events are "ready", "tick", "waiting" (for the store), "failing" and "stopping"; "tick" and "waiting" are signs
        of life.
        """
        if not self._address:
            return
        # A status may repeat what somebody wrote. systemd takes each line of a message for an order, and
        # `systemctl status` shows a status on a terminal.
        one_line = visible(" ".join(status.split()))[:_LONGEST_STATUS]
        message = f"{_WORDS[event]}STATUS={one_line}".encode()
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                sender.settimeout(1)
                sender.sendto(message, self._address)
        except OSError as refused:
            log.debug("systemd does not listen: %s", refused)


_LONGEST_STATUS = 300
# A daemon that waits for its store is no reason to kill it: another one would wait, too.
_WORDS = {
    "ready": "READY=1\n",
    "tick": "WATCHDOG=1\n",
    "waiting": "WATCHDOG=1\n",
    "failing": "",
    "stopping": "STOPPING=1\n",
}
