"""Which schedules are stored? Those of a burst, all alike, or any number of mixed ones of which a hundred are due."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from itertools import islice
from typing import Any

from bson import ObjectId
from pymongo import MongoClient

from cronlite.documents import ids, schedules, transitions
from cronlite.documents.runs import SUCCEEDED, Run
from cronlite.documents.schedules import Document, Schedule
from cronlite.errors import InvalidInput
from cronlite.store import open_store
from cronlite.store.grouping import batches
from cronlite.store.sqlite import SqliteStore
from cronlite.store.sqlite.tables import SCHEDULES
from cronlite.when.clock import MINUTE

ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata")
CREATED = datetime(2020, 1, 1, tzinfo=timezone.utc)
BURST_AT = datetime(2027, 3, 3, 2, 30, tzinfo=timezone.utc)
BACKGROUND_KINDS, DUE_KINDS = 900, 20
_AT_ONCE = 10_000
_PAST = 100
_SEED = 5


def in_burst(count: int, handler: str, at: datetime = BURST_AT, **more: object) -> Iterator[Document]:
    """Yield schedules that are all due at one minute, and at no other of its day."""
    return _copies([_schedule(handler=handler, minute=at.minute, hour=at.hour, **more)], count)


def every_minute(count: int, handler: str, since: datetime) -> Iterator[Document]:
    """Yield schedules that are due at each minute from one on."""
    return _copies([_schedule(handler=handler, active_from=since)], count)


def mixed(count: int, due: int, ticks: Sequence[datetime], quiet: timedelta) -> Iterator[Document]:
    """Yield schedules of mixed expressions in four zones: `due` of them are due at each of the ticks.

    The others are due at none of the ticks, and none at all from now on for as long as `quiet` says. However many they
    are, their expressions are the same, so that the number stored is all that differs.
    """
    chance = random.Random(_SEED)
    start = datetime.now(timezone.utc).replace(second=0, microsecond=0)
    soon = [start + n * MINUTE for n in range(quiet // MINUTE)]
    if due:
        fitting = (s for s in _anything_around(chance, ticks) if _at_all(s, ticks) and _at_none(s, soon))
        yield from _copies(list(islice(fitting, DUE_KINDS)), due)
    others = (s for s in _anything(chance) if _at_none(s, ticks) and _at_none(s, soon))
    yield from _copies(list(islice(others, BACKGROUND_KINDS)), count - due)


def fill(uri: str, documents: Iterator[Document]) -> None:
    """Store schedules, many at a time, in a store of its own, and make the indexes."""
    store = open_store(uri)
    if isinstance(store, SqliteStore):
        _fill_sqlite(store, documents)
    else:
        _fill_mongo(uri, documents)
    if complaints := store.prepare():
        raise RuntimeError("; ".join(complaints))
    store.close()


def add_past(uri: str, handler: str, at: datetime) -> None:
    """Store the runs of a handler that daemons have left there a day before an instant."""
    ended_at = at - timedelta(days=1)
    ended: dict[str, Any] = {"attempt": 1, "daemon": "before", **transitions.closed(SUCCEEDED, ended_at)}
    ended |= dict.fromkeys(("due_at", "queued_at", "run_at", "started_at"), ended_at)
    store = open_store(uri)
    store.add_runs([Run(id=ids.new_id(), handler=handler, params={}, **ended) for _ in range(_PAST)])
    store.close()


def _fill_mongo(uri: str, documents: Iterator[Document]) -> None:
    with MongoClient[Document](uri) as client:
        collection = client.get_default_database()["schedules"]
        for batch in batches(documents, _AT_ONCE):
            collection.insert_many([{**document, "_id": ObjectId()} for document in batch], ordered=False)


def _fill_sqlite(store: SqliteStore, documents: Iterator[Document]) -> None:
    for batch in batches(documents, _AT_ONCE):
        with store._write() as connection:
            connection.executemany(
                SCHEDULES.insert(), [SCHEDULES.row({**document, "_id": ids.new_id()}) for document in batch]
            )


def _schedule(**given: object) -> Schedule:
    return schedules.new(now=CREATED, **{"user": "alice", "params": {"dataset": "sales", "limit": 100}, **given})


def _copies(kinds: Sequence[Schedule], count: int) -> Iterator[Document]:
    documents = [kind.document() for kind in kinds]
    for number in range(count):
        yield documents[number % len(documents)]


def _anything(chance: random.Random) -> Iterator[Schedule]:
    """Yield schedules as people write them: mostly nightly or weekly, some every few minutes of their working hours."""
    while True:
        minute = chance.choice(
            [0, 30, chance.randrange(60), "*/5", "*/15", "5,35", "10-20/2", f"{chance.randrange(30)}/10"]
        )
        hour = chance.choice(
            [chance.randrange(24), chance.randrange(24), "8-18", "*/6", "0,12", f"{chance.randrange(23)}-23"]
        )
        day = chance.choice(["*", "*", "*", 1, 15, "L", "1-7", chance.randrange(1, 29)])
        month = chance.choice(["*", "*", "*", "*", "1-6", "*/3", chance.randrange(1, 13)])
        weekday = chance.choice(["*", "*", "mon-fri", "sat,sun", chance.randrange(7), "fri#2", "5L"])
        with suppress(InvalidInput):  # such as the 1st when it is the second Friday: never
            yield _schedule(minute=minute, hour=hour, day=day, month=month, weekday=weekday, tz=chance.choice(ZONES))


def _anything_around(chance: random.Random, ticks: Sequence[datetime]) -> Iterator[Schedule]:
    """Yield schedules that may well be due at all of some neighbouring ticks."""
    while True:
        minute = chance.choice(["*", "10-40", "*/1", "0-29", ",".join(str(tick.minute) for tick in ticks)])
        hour = chance.choice([chance.randrange(24), f"{chance.randrange(12)}-23", "*/2", "*/3", "0-12"])
        weekday = chance.choice(["*", "*", "mon-fri", "sat,sun", chance.randrange(7)])
        yield _schedule(minute=minute, hour=hour, weekday=weekday, tz=chance.choice(ZONES))


def _at_all(schedule: Schedule, ticks: Sequence[datetime]) -> bool:
    return all(map(schedule.timetable.due, ticks))


def _at_none(schedule: Schedule, ticks: Sequence[datetime]) -> bool:
    return not any(map(schedule.timetable.due, ticks))
