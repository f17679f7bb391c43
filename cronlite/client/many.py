"""How are many calls queued at once, so that one that is refused stops no other?"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from cronlite.client import runs as requests
from cronlite.client.opened import Opened
from cronlite.client.receipt import Handle
from cronlite.documents.runs import Run
from cronlite.errors import CronliteError, Fault, InvalidInput, QuotaExceeded, StoreError
from cronlite.store.grouping import batches

BATCH = 1_000


@dataclass(frozen=True, slots=True)
class Refused:
    """A call that was not queued: its place in the list, from 0, and why."""

    place: int
    error: CronliteError


@dataclass(slots=True)
class Enqueued:
    """What came of many calls: in `handles`, for each in their order, its handle, or None where it is `refused`."""

    handles: list[Handle | None] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    broken: StoreError | None = None
    """What ended it, where the store failed in the middle: what came behind was not tried."""

    @property
    def queued(self) -> list[Handle]:
        """The handles of those that were queued, or whose key a queued run held."""
        return [handle for handle in self.handles if handle is not None]


def enqueue_many(
    opened: Opened, calls: Iterable[Any], make: Callable[[Any], Run], wake: Callable[[], None], *, dry_run: bool
) -> Enqueued:
    """Queue calls by the thousand, as many as a store takes with one write. Raises StoreError where it takes none.

    `make` makes the run of a call, and `wake` hears of each thousand.
    """
    if isinstance(calls, (str, bytes, Mapping)):
        raise InvalidInput(Fault("calls", calls, "is no list of calls", 'give some like {"handler": "extract"}'))
    enqueued = Enqueued()
    with ThreadPoolExecutor(1, "cronlite-enqueue") as writer:  # which has no thread before there is a second thousand
        writing: Future[None] | None = None
        for batch in batches(calls, BATCH):
            first = len(enqueued.handles)
            enqueued.handles += [None] * len(batch)
            made = dict(_made(make, batch, first, enqueued.refused))
            if writing:
                writing.result()
            if dry_run:
                continue
            writing = _begun(partial(_write, opened, made, enqueued, wake), writer if len(batch) == BATCH else None)
        if writing:
            writing.result()
    enqueued.refused.sort(key=lambda refused: refused.place)
    return enqueued


def _begun(write: Callable[[], None], writer: ThreadPoolExecutor | None) -> Future[None]:
    """Let a writer write a thousand while the next is made; without one, it is written here."""
    if writer:
        with suppress(RuntimeError):  # no thread is granted
            return writer.submit(write)
    done = Future[None]()
    write()
    done.set_result(None)
    return done


def _write(opened: Opened, made: Mapping[int, Run], enqueued: Enqueued, wake: Callable[[], None]) -> None:
    """Queue a thousand, unless the store has failed before: it may take as long to fail, each time."""
    try:
        if enqueued.broken:
            raise enqueued.broken
        _queue(opened, made, enqueued)
    except StoreError as error:
        if not any(enqueued.handles):
            raise
        enqueued.broken = error
        enqueued.refused += [Refused(place, error) for place in made if enqueued.handles[place] is None]
    wake()


def _made(
    make: Callable[[Any], Run], batch: Sequence[Any], first: int, refused: list[Refused]
) -> Iterable[tuple[int, Run]]:
    """Make the run of each call, by its place."""
    for place, call in enumerate(batch, first):
        try:
            yield place, make(call)
        except CronliteError as error:
            refused.append(Refused(place, error))


def _queue(opened: Opened, made: Mapping[int, Run], enqueued: Enqueued) -> None:
    """Add runs to the queue, those of each user as far as the quota has room."""
    of_users: dict[str, list[int]] = {}
    for place, run in made.items():
        try:
            opened.door.params(run.user, run.params)
        except QuotaExceeded as error:
            enqueued.refused.append(Refused(place, error))
        else:
            of_users.setdefault(run.user, []).append(place)
    with opened.door.some("queued", of_users, opened.prepared_store.count_queued) as admitted:
        places = [place for user, places in of_users.items() for place in places[: admitted[user]]]
        places.sort()
        refused = opened.prepared_store.add_runs([made[place] for place in places])
    store = opened.store
    for place in places:
        if made[place].id not in refused:
            enqueued.handles[place] = Handle(store, made[place].id)
    beyond = [place for user, places in of_users.items() for place in places[admitted[user] :]]
    # One by one: their key is taken, or the quota is, and each is told why.
    for place in sorted([*beyond, *(place for place in places if made[place].id in refused)]):
        try:
            enqueued.handles[place] = Handle(store, requests.queue(opened, made[place]))
        except StoreError:
            raise
        except CronliteError as error:
            enqueued.refused.append(Refused(place, error))
