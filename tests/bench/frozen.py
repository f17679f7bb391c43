"""Freezes and pauses: what do they add to a tick, when they are about 100,000 schedules?"""

from __future__ import annotations

import contextlib
import time
from datetime import datetime, timedelta, timezone
from statistics import median

import pymongo

from cronlite.documents.freezes import Freeze
from cronlite.store import Store, open_store
from cronlite.store.mongo import MongoStore
from cronlite.store.sqlite import SqliteStore
from tests.bench import scale, stored
from tests.bench.rows import Row, Target
from tests.bench.setting import Setting, say

LATER = datetime(2027, 4, 1, tzinfo=timezone.utc)


def measure(setting: Setting) -> list[Row]:
    rows, count, due = [], setting.sizes.queued, setting.sizes.due
    for side, opened in setting.stores.items():
        with opened() as uri, contextlib.closing(open_store(uri)) as store:
            say(f"storing {count:,} ({side})")
            stored.fill(uri, stored.mixed(count, due, scale.TICKS, timedelta(0)))
            plain = [_tick(store, uri) for _ in range(setting.sizes.repeats)]
            rows.append(_row(f"a tick of {due} due of {count:,}, nothing frozen", side, plain))
            store.add_freeze(Freeze(id="all", from_at=scale.TICKS[0] - timedelta(days=1), reason="moving"))
            frozen = [_tick(store, uri) for _ in range(setting.sizes.repeats)]
            rows.append(
                _row("what one freeze of them all adds to it", side, [one - median(plain) for one in frozen], 5)
            )
            store.remove_freeze("all")
            _pause_all(store)
            paused = [_tick(store, uri) for _ in range(setting.sizes.repeats)]
            rows.append(_row("a tick while all of them are paused until a day", side, paused))
    return rows


def _row(what: str, side: str, values: list[float], most: float | None = None) -> Row:
    target = None if most is None else Target(most=most)
    return Row(benchmark="frozen", what=what, side=side, values=values, unit="ms", target=target)


def _tick(store: Store, uri: str) -> float:
    """Return the median of the milliseconds that some ticks take, the first of which only warms up."""
    ticker, took = scale.ticker(store), []
    for tick in scale.TICKS:
        begun = time.perf_counter()
        ticker.step(tick + timedelta(seconds=1))
        took.append((time.perf_counter() - begun) * 1_000)
        scale.forget(uri, "runs")
    scale.forget(uri, "ticks")
    return median(took[1:])


def _pause_all(store: Store) -> None:
    if isinstance(store, MongoStore):
        with pymongo.timeout(120):
            store._schedules.update_many({}, {"$set": {"enabled": False, "paused_until": LATER}})
    elif isinstance(store, SqliteStore):
        store._change("UPDATE schedules SET enabled = 0, paused_until = ?", [int(LATER.timestamp() * 1_000)])
