"""Who ends the servers and removes their folder when the tests themselves are killed? This process, started by them.

Run as `keeper.py FOLDER PARENT`, it reads lines from stdin: `+PID` (a process group to end), `-PID` (it has ended) and
`end`. At `end`, or when the parent is gone, it kills the groups and removes the folder. It stands alone, so that it
starts quickly. A death signal (prctl) would not do: it is tied to the thread that started the server, and asks for a
preexec_fn, against which Python 3.12 warns in a process with threads.
"""

import contextlib
import os
import select
import shutil
import signal
import sys


def main(folder: str, parent: int) -> None:
    groups = follow(parent)
    for group in groups:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)
    # A killed process may still write for a moment, which makes a removal fail half-way.
    for _ in range(200):
        shutil.rmtree(folder, ignore_errors=True)
        if not os.path.exists(folder):  # noqa: PTH110 - pathlib would double the start-up time
            break
        select.select([], [], [], 0.05)


def follow(parent: int) -> set[int]:
    """Return the groups to end, once the parent says `end` or is gone."""
    groups: set[int] = set()
    unread = b""
    while True:
        # End of file is not enough: a child that a test forked keeps the pipe open.
        ready, _, _ = select.select([0], [], [], 0.5)
        if not ready:
            if os.getppid() != parent:
                return groups
            continue
        received = os.read(0, 4096)
        *lines, unread = (unread + received).split(b"\n")
        for line in lines:
            if line == b"end":
                return groups
            (groups.add if line.startswith(b"+") else groups.discard)(int(line[1:]))
        if not received:
            return groups


if __name__ == "__main__":
    # Ctrl-C and the like are for the tests; their end is what ends this.
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    main(sys.argv[1], int(sys.argv[2]))
