"""How does a daemon live as a service: signals in, sd_notify out, and an end that nothing outlives."""

from __future__ import annotations

import logging
import os
import queue
import signal
import socket
import sys
import threading

from cronlite.daemon import Daemon
from cronlite.errors import ConfigurationError

log = logging.getLogger("cronlite.daemon")


def serve(daemon: Daemon) -> None:
    """Run a daemon until SIGTERM or SIGINT, then drain it; a second signal ends the process at once.

    Returns when nothing is left running, and else ends the process with exit code 0. Raises ConfigurationError
    outside the main thread, where signals cannot be taken.
    """
    if threading.current_thread() is not threading.main_thread():
        raise ConfigurationError("run() takes signals and so needs the main thread; in a thread use start()")
    # SimpleQueue.put is the one way to wake a thread that is safe inside a signal handler
    signals: queue.SimpleQueue[int] = queue.SimpleQueue()
    before = {number: signal.signal(number, lambda got, _: signals.put(got)) for number in _ENDING}
    try:
        daemon.start()
        log.info("%s received: stopping", signal.Signals(signals.get()).name)
        for number in _ENDING:
            signal.signal(number, lambda *_: os._exit(1))
        left = daemon.stop(hard=True)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if left:
        logging.shutdown()
        sys.stdout.flush()
        os._exit(0)  # a handler given back must not live on here


_ENDING = (signal.SIGTERM, signal.SIGINT)


class Notifier:
    """Tells systemd how the service is, in the words of sd_notify(3); silent where nobody listens."""

    def __init__(self, address: str | None) -> None:
        self._address = "\0" + address[1:] if address and address.startswith("@") else address

    def __call__(self, event: str, status: str) -> None:
        """Send an event with a line for people.

        Events are "ready", "tick", "waiting" (for the store) and "stopping"; "tick" and "waiting" are signs of life.
        """
        if not self._address:
            return
        # One line, whatever it repeats of an error: each line of a message is an order to systemd.
        told = " ".join(status.split())[:_LONGEST_STATUS]
        message = f"{_WORDS[event]}\nSTATUS={told}".encode(errors="backslashreplace")
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                sender.settimeout(1)
                sender.sendto(message, self._address)
        except OSError as refused:
            log.debug("systemd does not listen: %s", refused)


_LONGEST_STATUS = 300
# A daemon that waits for its store is no reason to kill it: another one would wait, too.
_WORDS = {"ready": "READY=1", "tick": "WATCHDOG=1", "waiting": "WATCHDOG=1", "stopping": "STOPPING=1"}
