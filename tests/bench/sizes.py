"""Sizes: how long does an answer take with millions of runs kept, hundreds of thousands expired, waiting or queued?"""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from functools import partial
from itertools import islice

from pymongo import MongoClient

from cronlite.documents import runs, transitions
from cronlite.documents.runs import Run
from cronlite.documents.schedules import Document
from cronlite.store import Store, open_store
from cronlite.store.contract import RunQuery, ScheduleQuery
from cronlite.store.grouping import batches
from cronlite.store.mongo.documents import run_to_store
from cronlite.store.sqlite import SqliteStore
from cronlite.store.sqlite.tables import RUNS
from tests.bench import stored
from tests.bench.rows import Row, Target
from tests.bench.setting import Setting, say

NOW = datetime(2027, 3, 3, 2, 30, tzinfo=timezone.utc)
_AT_ONCE = 10_000

# Each is rare among the runs that are kept, and the oldest of them.
RARE: dict[str, RunQuery] = {
    "of a rare user": RunQuery(user="rare", limit=50),
    "of a rare handler": RunQuery(handler="rare", limit=50),
    "in a rare state": RunQuery(states=[runs.FAILED], limit=50),
}


def measure(setting: Setting) -> list[Row]:
    rows: list[Row] = []
    for side, opened in setting.stores.items():
        for part in (_finished, _lanes, _queue, _schedules):
            say(f"sizes: {part.__name__.strip('_')} ({side})")
            with opened() as uri:
                rows += [_row(what, side, value, unit, most) for what, value, unit, most in part(uri, setting)]
    return sorted(rows, key=lambda row: row.what)


Measured = Iterator[tuple[str, float, str, float]]


def _finished(uri: str, setting: Setting) -> Measured:
    """Lists of rare runs among many finished ones, and the pruning of those that have expired."""
    count, expired = setting.sizes.finished, setting.sizes.expired
    store = filled(uri, _finished_runs(count, expired))
    for what, query in RARE.items():
        yield f"runs {what}, {count:,} kept", _milliseconds(partial(_listed, store, query)), "ms", 1_000
    if isinstance(store, SqliteStore):  # MongoDB does so by itself
        yield f"pruning of {expired:,}: others wait", max(_pruned(store)), "ms", 1_000
    store.close()


def _pruned(store: Store) -> Iterator[float]:
    """Prune all that has expired; yield how long each part of it held the file."""
    some = True
    while some:
        started = time.perf_counter()
        some = store.prune_runs(NOW) > 0
        yield (time.perf_counter() - started) * 1_000


def _listed(store: Store, query: RunQuery) -> int:
    return sum(1 for _ in store.runs(query))


def _lanes(uri: str, setting: Setting) -> Measured:
    """What a beat and the end of a run cost while many others wait for their lanes."""
    count = setting.sizes.waiting
    for lanes in (100, count // 2):  # in each of the latter, one may start and one waits
        store = filled(uri, _waiting_runs(count, lanes))
        where = f"{count:,} waiting in {lanes:,} lanes"
        yield f"a beat's look, {where}", _milliseconds(partial(store.release_lanes, NOW)), "ms", 1_000
        yield f"the next of one lane, {where}", _milliseconds(partial(store.release_lanes, NOW, ["lane7"])), "ms", 100
        _forget(uri)
        store.close()


def _queue(uri: str, setting: Setting) -> Measured:
    """What `cronlite status` takes to count a long queue; no tick does."""
    count = setting.sizes.waiting
    store = filled(uri, _queued_runs(count))
    yield f"status counts {count:,} queued", _milliseconds(store.count_runs), "ms", 1_000
    store.close()


def _schedules(uri: str, setting: Setting) -> Measured:
    """A list of many schedules: its first line, all of it, and the memory for that."""
    count = setting.sizes.listed
    stored.fill(uri, stored.in_burst(count, "noop"))
    store, every = open_store(uri), ScheduleQuery()
    yield f"the first of {count:,} schedules", _milliseconds(lambda: next(store.schedules(every))), "ms", 100
    yield f"all of {count:,} schedules", _milliseconds(lambda: sum(1 for _ in store.schedules(every))), "ms", 15_000
    tracemalloc.start()
    for _ in islice(store.schedules(every), 20_000):
        pass
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    yield f"memory for a list of {count:,} schedules", peak / 1e6, "MB", 20
    store.close()


def _finished_runs(count: int, expired: int) -> Iterator[Run]:
    for number in range(count):
        at = NOW - timedelta(days=30) + timedelta(days=30) * number / count
        ended = transitions.closed(runs.FAILED if number == 2 else runs.SUCCEEDED, at, result={"rows": number})
        ended["expires_at"] = NOW + timedelta(days=-1 if number < expired else 1)
        user, handler = ("rare" if number == kind else f"often{number % 20}" for kind in range(2))
        schedule = f"{number % 500:024x}"
        yield _run(number, at, schedule=schedule, user=user, handler=handler, attempt=1, daemon="d1", **ended)


def _waiting_runs(count: int, lanes: int) -> Iterator[Run]:
    for number in range(count):
        at = NOW + timedelta(seconds=number // lanes)
        yield _run(number, at, lane=f"lane{number % lanes}", run_at=NOW if number < lanes else None)


def _queued_runs(count: int) -> Iterator[Run]:
    return (_run(number, NOW, run_at=NOW) for number in range(count))


def _run(number: int, at: datetime, **more: object) -> Run:
    given = {"handler": "noop", "params": {"dataset": "sales"}, "due_at": at, "queued_at": at, **more}
    return Run(id=f"{number:024x}", **given)  # type: ignore[arg-type]


def filled(uri: str, new: Iterator[Run]) -> Store:
    """Store runs, many at a time, in a store of their own, and return it."""
    store = open_store(uri)
    store.prepare()
    for batch in batches(new, _AT_ONCE):
        if isinstance(store, SqliteStore):
            with store._write() as connection:
                connection.executemany(RUNS.insert(), [RUNS.row(run.document()) for run in batch])
        else:
            with MongoClient[Document](uri) as client:
                client.get_default_database()["runs"].insert_many(map(run_to_store, batch), ordered=False)
    return store


def _forget(uri: str) -> None:
    store = open_store(uri)
    if isinstance(store, SqliteStore):
        store._change("DELETE FROM runs")
    else:
        with MongoClient[Document](uri) as client:
            client.get_default_database()["runs"].delete_many({})
    store.close()


def _milliseconds(ask: Callable[[], object]) -> float:
    started = time.perf_counter()
    ask()
    return (time.perf_counter() - started) * 1_000


def _row(what: str, side: str, value: float, unit: str, most: float) -> Row:
    return Row(benchmark="sizes", what=what, side=side, values=[value], unit=unit, target=Target(most=most))
