"""What did the handlers do: one line at the start and one at the end of each attempt, which no crash takes back."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

LENGTH = 256
"""Bytes of a line. A page of the file holds whole lines only: the kernel writes page by page, and between two of them a
reader looks or a process is killed.
"""


class Line(NamedTuple):
    """One line: an attempt of a run began or ended in a process. `at` is the host's steady clock."""

    run: str
    attempt: int
    pid: int
    event: str
    at: float


class Journal:
    """A file to which the handlers of many processes append."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def write(self, run: str, attempt: int, event: str) -> None:
        """Append one line in one write: lines of several processes never mix, and one is there whole or not at all.

        It outlives a kill of the process without fsync; only a crash of the host could take it back.
        """
        line = f"{run}\t{attempt}\t{os.getpid()}\t{event}\t{time.monotonic():.6f}".encode()
        assert len(line) < LENGTH, line
        os.write(self._file, line.ljust(LENGTH - 1) + b"\n")


def read(path: Path) -> Iterator[Line]:
    """Yield the lines in the order in which they were written."""
    if path.exists():
        for line in path.read_text().splitlines():
            run, attempt, pid, event, at = line.split("\t")
            yield Line(run, int(attempt), int(pid), event, float(at))
