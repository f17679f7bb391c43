"""In which batches are the runs of a tick made and written?"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from itertools import islice
from typing import Generic, TypeVar

from cronlite.daemon.store_clock import steady
from cronlite.documents.checks import weight
from cronlite.documents.runs import Run

T = TypeVar("T")

FIRST_BATCH = 100  # on its way to the seats while the next one is read
BATCH = 1_000
BATCH_BYTES = 4 * 1024 * 1024  # of params; the writers have a few batches at hand
MAX_AHEAD = 10_000
MAX_AHEAD_BYTES = 16 * 1024 * 1024


class Writing(Generic[T]):
    """A batch that is written once: by a writer thread, or, where none has begun with it, by whoever waits for it."""

    def __init__(self, write: Callable[[], T]) -> None:
        self._write, self._turn, self._written = write, threading.Lock(), Future[T]()

    def begin(self) -> None:
        """Write it, unless somebody does so already."""
        if self._turn.acquire(blocking=False):
            try:
                self._written.set_result(self._write())
            except BaseException as error:  # noqa: BLE001 - for who waits
                self._written.set_exception(error)

    def end(self) -> T:
        """Return what was written, or raise what went wrong."""
        self.begin()
        return self._written.result()


def ahead(new: Iterator[Run], until: float) -> list[Run]:
    """Make some runs, up to a steady instant."""
    made: list[Run] = []
    room = MAX_AHEAD_BYTES
    while len(made) < MAX_AHEAD and room > 0 and steady() < until:
        page = _batch(new, FIRST_BATCH, room)
        if not page:
            break
        made += page
        room -= sum(map(_bytes, page))
    return made


def batches(new: Iterator[Run]) -> Iterator[list[Run]]:
    """Cut runs into batches, the first of which is small."""
    size = FIRST_BATCH
    while batch := _batch(new, size, BATCH_BYTES):
        yield batch
        size = min(2 * size, BATCH)


def _batch(new: Iterator[Run], size: int, room: int) -> list[Run]:
    """Make at most so many runs, no more than have room but for the last."""
    batch: list[Run] = []
    for run in islice(new, size):
        batch.append(run)
        room -= _bytes(run)
        if room <= 0:
            break
    return batch


def _bytes(run: Run) -> int:
    return weight(run.params, BATCH_BYTES)
