"""How does a test sit at a terminal: a program on a pseudo-terminal, what is typed, and what it shows?"""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import termios
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from types import TracebackType

LIMIT_SECONDS = 60.0


class Terminal:
    """A program on a terminal of its own, as wide as told; ended with the `with` block."""

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], cwd: str, columns: int | None = None
    ) -> None:
        self.pid, self._screen = pty.fork()
        if self.pid == 0:
            if columns is not None:
                fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
            os.chdir(cwd)
            os.execvpe(command[0], list(command), dict(environment))
        self.shown = ""

    def press(self, keys: str) -> None:
        """Type keys."""
        os.write(self._screen, keys.encode())

    def wait_for(self, text: str) -> str:
        """Wait until the text is shown, and return what was shown up to its end; what comes after is for the next."""
        limit = time.monotonic() + LIMIT_SECONDS
        while text not in self.shown:
            ready, _, _ = select.select([self._screen], [], [], max(limit - time.monotonic(), 0))
            assert ready, f"{text!r} was not shown, but {self.shown!r}"
            self.shown += os.read(self._screen, 65536).decode(errors="replace")
        before, found, self.shown = self.shown.partition(text)
        return before + found

    def wait_for_end(self) -> str:
        """Wait until the program closes its terminal, and return what was shown."""
        limit = time.monotonic() + LIMIT_SECONDS
        with suppress(OSError):  # EIO: nobody has the other side open any more
            while True:
                ready, _, _ = select.select([self._screen], [], [], max(limit - time.monotonic(), 0))
                assert ready, f"it has not ended, but shown {self.shown!r}"
                if not (shown := os.read(self._screen, 65536)):
                    break
                self.shown += shown.decode(errors="replace")
        return self.shown.replace("\r\n", "\n")

    def __enter__(self) -> Terminal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self._screen)
