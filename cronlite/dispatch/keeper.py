"""Who ends what child processes have started, once the daemon that started them is gone, however it went?

A process of its own: a child that never lets go of its interpreter cannot notice that its daemon was killed, and what
a handler left in the background has no parent any more. This one does nothing but wait for the daemon's end. It is
run as a script, by its path, so that it imports nothing of cronlite.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from subprocess import Popen

_LOOK_MILLISECONDS = 1_000
_LEAVE_SECONDS = 5.0


class Keeper:
    """The daemon's end: names the process groups that must not outlive it.

    The process begins with the first group. One that somebody killed is replaced when the next group is named.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._groups: set[int] = set()
        self._process: Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """Say which process it is, if it was needed yet."""
        return self._process.pid if self._process else None

    def prepare(self) -> None:
        """Begin the process unless it lives. Raises OSError where the system allows no more processes or files."""
        with self._lock:
            self._begin()

    def add(self, group: int) -> None:
        """Name a process group that is to end with this process. Raises OSError as `prepare` does."""
        with self._lock:
            self._groups.add(group)
            if self._begin():
                return  # with all of the groups
            try:
                self._tell(b"+%d\n" % group)
            except OSError:  # it died since it was looked at
                assert self._process
                self._process.kill()
                self._process.wait()
                self._begin()

    def remove(self, group: int) -> None:
        """Take a process group back that was ended, before its number may be another's."""
        with self._lock:
            self._groups.discard(group)
            with suppress(OSError):  # it is gone; the next one never hears of this group
                self._tell(b"-%d\n" % group)

    def close(self) -> None:
        """End all groups that are left, and the process."""
        from subprocess import TimeoutExpired

        with self._lock:
            process, self._process = self._process, None
            self._groups.clear()
        if process is None:
            return
        _close(process)
        with suppress(TimeoutExpired):  # somebody stopped it; it ends when it goes on
            process.wait(_LEAVE_SECONDS)

    def _begin(self) -> bool:
        """Begin the process unless it lives, and name it all groups; tell whether that was necessary."""
        if self._process is not None:
            if self._process.poll() is None:
                return False
            _close(self._process)
        from subprocess import DEVNULL, PIPE, Popen  # the process itself does without

        self._process = Popen(
            [sys.executable, "-I", "-S", __file__, str(os.getpid())],
            env={},
            cwd="/",
            stdin=PIPE,
            stdout=DEVNULL,
            stderr=DEVNULL,
            start_new_session=True,
        )
        for group in self._groups:
            self._tell(b"+%d\n" % group)
        return True

    def _tell(self, line: bytes) -> None:
        if self._process is not None:
            assert self._process.stdin
            self._process.stdin.write(line)
            self._process.stdin.flush()


def _close(process: Popen[bytes]) -> None:
    assert process.stdin
    with suppress(OSError):  # the process is gone, and nobody reads what was not written
        process.stdin.close()


def main(daemon: int) -> None:
    """Wait for the end of a daemon or of what it says, then kill the groups that it had named."""
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)  # a stop of the service is the daemon's affair
    os.set_blocking(0, False)
    poll = select.poll()
    poll.register(0, select.POLLIN)
    with suppress(OSError, AttributeError):  # not on this system
        poll.register(os.pidfd_open(daemon), select.POLLIN)
    groups: set[int] = set()
    received = b""
    # A process that a handler forked may hold the other end of the pipe: whether the daemon lives, its id tells.
    while os.getppid() == daemon:
        poll.poll(_LOOK_MILLISECONDS)
        try:
            more = os.read(0, 65_536)
        except BlockingIOError:
            groups = {group for group in groups if _is_there(group)}
            continue
        if not more:
            break
        *lines, received = (received + more).split(b"\n")
        for line in lines:
            (groups.add if line[:1] == b"+" else groups.discard)(int(line[1:]))
    for group in groups:
        with suppress(OSError):
            os.killpg(group, signal.SIGKILL)


def _is_there(group: int) -> bool:
    """Tell whether a group has members: when the last has gone, its number may become another's."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


if __name__ == "__main__":
    main(int(sys.argv[1]))
