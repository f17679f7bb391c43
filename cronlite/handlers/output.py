"""What did a handler print and log: the tail of it, kept for each run."""

from __future__ import annotations

import contextvars
import logging
import os
import re
import sys
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Any, TextIO, cast

from cronlite.handlers.registry import current_run_or_none

TAIL_CHARACTERS = 64 * 1024
INFO = 6  # of the priorities of sd-daemon(3)
LONGEST_LINE = 8 * 1024
_CUT = "[earlier output was dropped]\n"
_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")


_NOTHING: deque[str] = deque(maxlen=0)


class Tail:
    """The last 64 Ki characters of a text that comes in pieces, however long it gets."""

    __slots__ = ("_begun", "_cut", "_pieces", "_size")
    _lock = threading.Lock()  # for all: most runs print nothing, and a lock of its own would be most of a tail

    def __init__(self) -> None:
        self._pieces = _NOTHING
        self._size, self._cut = 0, False
        self._begun: dict[_Tee, str] | None = None

    def write(self, text: str) -> None:
        """Add a piece."""
        piece = text[-TAIL_CHARACTERS:]
        with self._lock:
            if self._pieces is _NOTHING:
                self._pieces = deque()
            self._pieces.append(piece)
            self._size += len(piece)
            self._cut |= len(piece) < len(text)
            while self._size > TAIL_CHARACTERS:
                self._cut = True
                surplus, first = self._size - TAIL_CHARACTERS, self._pieces.popleft()
                if len(first) > surplus:
                    self._pieces.appendleft(first[surplus:])
                self._size -= min(surplus, len(first))

    def whole_lines(self, stream: _Tee, text: str) -> str:
        """Return what may go on to a stream now: whole lines, because other runs print there, too.

        What a piece begins is kept for the next one; a line without an end is broken.
        """
        with self._lock:
            if self._begun is None:
                self._begun = {}
            whole, end, begun = (self._begun.get(stream, "") + text).rpartition("\n")
            if len(begun) > LONGEST_LINE:
                whole, end, begun = whole + end + begun, "\n", ""
            self._begun[stream] = begun
        return whole + end

    def end(self) -> str | None:
        """End the lines that were begun, and return what there is as `text` does."""
        with self._lock:
            begun, self._begun = self._begun, None
        for stream, line in (begun or {}).items():
            if line:
                stream.pass_on(f"{line}\n")
        return self.text()

    def text(self) -> str | None:
        """Return what there is, fit for a store and a terminal; None when there is nothing."""
        if not self._pieces:
            return None
        with self._lock:
            kept = "".join(self._pieces)
        return (_CUT if self._cut else "") + printable(kept)


_TAIL: contextvars.ContextVar[Tail | None] = contextvars.ContextVar("cronlite_tail", default=None)


def enter_tail(tail: Tail) -> None:
    """Let what is printed and logged in the rest of this context go to a tail, too."""
    _TAIL.set(tail)


def printable(text: str) -> str:
    r"""Return a text with line ends as \n, and control characters and halves of surrogate pairs written out."""
    if text.isascii() and text.isprintable():
        return text
    lines = text.replace("\r\n", "\n").replace("\r", "\n")
    return _UNPRINTABLE.sub(lambda control: control[0].encode("unicode_escape").decode(), lines)


def leads_to_journal(stream: TextIO) -> bool:
    """Tell whether a stream is the one that systemd connected to its journal (JOURNAL_STREAM in systemd.exec(5))."""
    try:
        there = os.fstat(stream.fileno())
    except (OSError, ValueError, AttributeError):
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{there.st_dev}:{there.st_ino}"


class RunFields(logging.Filter):
    """Put `run`, `schedule` and `attempt` on every record: those of the run that logs it, or None outside of one."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Add the fields that the record does not have; let every record pass."""
        run = current_run_or_none()
        values = (run.id, run.schedule, run.attempt) if run else (None, None, None)
        for name, value in zip(("run", "schedule", "attempt"), values, strict=True):
            if not hasattr(record, name):
                setattr(record, name, value)
        return True


class _ToTail(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        formatter = logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%H:%M:%SZ")
        formatter.converter = time.gmtime
        self.setFormatter(formatter)

    def emit(self, record: logging.LogRecord) -> None:
        if (tail := _TAIL.get()) is not None:
            try:
                tail.write(self.format(record) + "\n")
            except Exception:  # noqa: BLE001 - a record with wrong arguments is logging's to complain about
                self.handleError(record)
        # An application without handlers relies on the last resort, which this handler's presence would switch off.
        last = logging.lastResort
        if last is not None and logging.getLogger().handlers == [self] and record.levelno >= last.level:
            last.handle(record)


class _Tee:
    """Stands for sys.stdout or sys.stderr: what a run prints goes to its tail, and on to the stream by the line.

    The stream is None in a process that was started without it, as by `2>&-`. In the journal each line has a priority,
    so that none can have one of its own: `<0>` would be an emergency, and shown on every terminal.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream
        self._passing = threading.Lock()
        self._to_journal = stream is not None and leads_to_journal(stream)
        self._between_lines = True

    def write(self, text: str) -> int:
        if not isinstance(text, str):  # not even b"" is taken: by that, click tells a binary stream
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        if (tail := _TAIL.get()) is not None:
            tail.write(text)
            self.pass_on(tail.whole_lines(self, text))
        else:
            self.pass_on(text)
        return len(text)

    def pass_on(self, text: str) -> None:
        """Write to the stream, if there still is one."""
        # A reader that is gone, or a closed descriptor, is no fault of the run.
        with suppress(OSError), self._passing:
            if text and self._stream is not None and not self._stream.closed:
                self._stream.write(self._prioritized(text) if self._to_journal else text)

    def _prioritized(self, text: str) -> str:
        goes_on, self._between_lines = not self._between_lines, text.endswith("\n")
        first, *others = printable(text).split("\n")
        lines = [first if goes_on else f"<{INFO}>{first}", *(f"<{INFO}>{line}" for line in others)]
        return "\n".join(lines).removesuffix(f"<{INFO}>")

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        with suppress(OSError):
            if self._stream is not None and not self._stream.closed:
                self._stream.flush()

    def close(self) -> None:
        """Stay open: the stream belongs to the daemon and to the other runs."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class _Capture:
    """A change to this process that the first user makes and the last one takes back."""

    def __init__(self) -> None:
        self._users = 0
        self._lock = threading.Lock()

    @contextmanager
    def used(self) -> Iterator[None]:
        with self._lock:
            self._users += 1
            if self._users == 1:
                self.begin()
        try:
            yield
        finally:
            with self._lock:
                self._users -= 1
                if self._users == 0:
                    self.end()

    def begin(self) -> None:
        raise NotImplementedError

    def end(self) -> None:
        raise NotImplementedError


class _Logs(_Capture):
    def __init__(self) -> None:
        super().__init__()
        self._handler = _ToTail()

    def begin(self) -> None:
        logging.getLogger().addHandler(self._handler)

    def end(self) -> None:
        logging.getLogger().removeHandler(self._handler)


class _Prints(_Capture):
    def __init__(self) -> None:
        super().__init__()
        self._before: tuple[TextIO, TextIO] | None = None
        self._tees: tuple[TextIO, TextIO] | None = None

    def begin(self) -> None:
        self._before = sys.stdout, sys.stderr
        self._tees = cast(TextIO, _Tee(sys.stdout)), cast(TextIO, _Tee(sys.stderr))
        self.mend()

    def end(self) -> None:
        self._tees, before = None, self._before
        if before is not None:
            sys.stdout, sys.stderr = before

    def mend(self) -> None:
        if self._tees is not None:
            sys.stdout, sys.stderr = self._tees


_logs, _prints = _Logs(), _Prints()


def capture_logs() -> AbstractContextManager[None]:
    """Let what runs log go to their tails: one handler on the root logger, as long as anybody wants it.

    `logging.basicConfig` does nothing while the root logger has a handler: call it before.
    """
    return _logs.used()


def capture_prints() -> AbstractContextManager[None]:
    """Let what runs print go to their tails, and on to where it went before: for a process that is all cronlite's.

    What goes past sys.stdout and sys.stderr (their `buffer`, their file descriptors, other processes) is not seen.
    """
    return _prints.used()


def mend_streams() -> None:
    """Put back what a handler that is over put in the place of sys.stdout or sys.stderr while prints are captured."""
    _prints.mend()


def relay(text: str) -> None:
    """Print on behalf of a run what its child process printed; the run's tail gets it, captured or not."""
    if not isinstance(sys.stdout, _Tee) and (tail := _TAIL.get()) is not None:
        tail.write(text)
    with suppress(OSError, ValueError, AttributeError):  # closed, unable to encode it, or None
        sys.stdout.write(text)
        sys.stdout.flush()
