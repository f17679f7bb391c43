"""How do several processes write to one terminal, file or pipe without mixing their lines?"""

from __future__ import annotations

import fcntl
import io
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, TextIO, cast


def one_at_a_time(stream: TextIO, lock: int) -> TextIO:
    """Return a stream to the same place, each of whose writes is whole: others with this lock wait for their turn.

    The system promises that for 4 KiB only, and a traceback is longer. `lock` is the descriptor of a file, in each
    process the same file.
    """
    stream.flush()
    return io.TextIOWrapper(
        cast(BinaryIO, _Whole(stream.fileno(), lock)),
        encoding=stream.encoding,
        errors=stream.errors,
        line_buffering=True,
    )


class _Whole(io.BufferedIOBase):
    """Keeps what is written until it is flushed, and then writes it as a whole."""

    def __init__(self, descriptor: int, lock: int) -> None:
        super().__init__()
        self._descriptor, self._lock = descriptor, lock
        self._kept = bytearray()
        self._threads = threading.Lock()  # the lock of the file is between processes only

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._descriptor

    def isatty(self) -> bool:
        return os.isatty(self._descriptor)

    def write(self, data: bytes) -> int:  # type: ignore[override]
        with self._threads:
            self._kept += data
            if len(self._kept) > _MOST_KEPT:
                self._write_out()
        return len(data)

    def flush(self) -> None:
        with self._threads:
            self._write_out()

    def _write_out(self) -> None:
        kept, self._kept = bytes(self._kept), bytearray()
        with _turn(self._lock):
            while kept:
                kept = kept[os.write(self._descriptor, kept) :]


_MOST_KEPT = 1024 * 1024


@contextmanager
def _turn(lock: int) -> Iterator[None]:
    fcntl.lockf(lock, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.lockf(lock, fcntl.LOCK_UN)
