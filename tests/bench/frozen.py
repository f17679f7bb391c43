"""Freezes and pauses: what do they add to a tick, when they are about 100,000 schedules?"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing
from datetime import datetime, timedelta, timezone

from cronlite.documents.freezes import Freeze
from cronlite.store import Store, open_store
from tests.bench import scale, stored
from tests.bench.rows import Row, Target
from tests.bench.setting import Setting, say

LATER = datetime(2027, 4, 1, tzinfo=timezone.utc)


def measure(setting: Setting) -> list[Row]:
    return [row for side, opened in setting.stores.items() for row in _of(setting, side, opened)]


def _of(setting: Setting, side: str, opened: Callable[[], AbstractContextManager[str]]) -> Iterator[Row]:
    count, due = setting.sizes.queued, setting.sizes.due
    documents = stored.mixed(count, due, scale.TICKS, timedelta(0))
    with opened() as uri, closing(open_store(uri)) as store:
        say(f"storing {count:,} ({side})")
        stored.fill(uri, documents)
        plain, added = [], []
        for _ in range(setting.sizes.repeats):
            plain.append(_tick(store, uri))
            store.add_freeze(Freeze(id="all", from_at=scale.TICKS[0] - timedelta(days=1), reason="moving"))
            added.append(_tick(store, uri) - plain[-1])
            store.remove_freeze("all")
        yield _row(f"a tick of {due} due of {count:,}, nothing frozen", side, plain)
        yield _row("what one freeze of them all adds to it", side, added, 5)
    documents = stored.mixed(count, due, scale.TICKS, timedelta(0))
    with opened() as uri, closing(open_store(uri)) as store:
        stored.fill(uri, (document | {"enabled": False, "paused_until": LATER} for document in documents))
        paused = [_tick(store, uri) for _ in range(setting.sizes.repeats)]
        yield _row("a tick while all of them are paused until a day", side, paused)


def _row(what: str, side: str, values: list[float], most: float | None = None) -> Row:
    target = None if most is None else Target(most=most)
    return Row(benchmark="frozen", what=what, side=side, values=values, unit="ms", target=target)


def _tick(store: Store, uri: str) -> float:
    """Return the fewest milliseconds that one of some ticks takes: what else this machine does counts least so."""
    ticker, took = scale.ticker(store), []
    for tick in scale.TICKS:
        begun = time.perf_counter()
        ticker.step(tick + timedelta(seconds=1))
        took.append((time.perf_counter() - begun) * 1_000)
        scale.forget(uri, "runs")
    scale.forget(uri, "ticks")
    return min(took)
