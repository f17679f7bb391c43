"""Expressions: what does it take to turn a hundred thousand of them, in forty zones, into the queries of a tick?"""

from __future__ import annotations

import random
import resource
import time
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from statistics import median
from typing import Any

from cronlite.daemon.due import Expressions, due
from cronlite.documents import schedules
from cronlite.documents.schedules import Document
from cronlite.store import open_store
from cronlite.when import clock
from tests.bench import children, stored
from tests.bench.rows import Row, Target
from tests.bench.setting import Setting, say

FIRST = datetime(2027, 3, 3, 6, 17, tzinfo=timezone.utc)
TICKS = [FIRST + number * clock.MINUTE for number in range(6)]
ZONES = 40
_WARM_MILLISECONDS, _COLD_MILLISECONDS = 50, 2_000


def measure(setting: Setting) -> list[Row]:
    rows = []
    for side, database in setting.stores.items():
        with database() as uri:
            say(f"storing {setting.sizes.expressions:,} expressions, {side}")
            stored.fill(uri, different(setting.sizes.expressions))
            answers = [children.call("expressions:clauses", uri=uri) for _ in range(setting.sizes.repeats)]
        rows += [
            _row(side, "the queries of a tick, CPU, warm", answers, "warm", Target(most=_WARM_MILLISECONDS)),
            _row(side, "the queries of a tick, CPU, cold", answers, "cold", Target(most=_COLD_MILLISECONDS)),
            _row(side, "listing what is stored", answers, "listed", None),
            _row(side, "finding what is due", answers, "found", None),
            _row(side, "memory that it takes", answers, "megabytes", None, "MB"),
        ]
    return rows


def _row(side: str, what: str, answers: list[Any], of: str, target: Target | None, unit: str = "ms") -> Row:
    values = [answer[of] for answer in answers]
    return Row(benchmark="expressions", what=what, side=side, values=values, unit=unit, target=target, more=answers[0])


def different(count: int) -> Iterator[Document]:
    """Yield schedules each of which has a list of minutes of its own, in many zones; few are due at a time."""
    chance, zones, made = random.Random(7), _zones(), set[str]()
    while len(made) < count:
        text = ",".join(map(str, sorted(chance.sample(range(60), chance.randrange(3, 20)))))
        if text not in made:
            made.add(text)
            hour, zone = chance.randrange(24), zones[len(made) % len(zones)]
            yield schedules.new(now=stored.CREATED, minute=text, hour=hour, tz=zone, day=3).document()


def _zones() -> list[str]:
    """Choose zones of different offsets first: those that read alike share a part of the query."""
    by_reading: dict[timedelta, str] = {}
    for name in clock.zones():
        by_reading.setdefault(clock.wall(FIRST, clock.zone(name)).minute - FIRST.replace(tzinfo=None), name)
    chosen = [*by_reading.values(), *clock.zones()]
    return list(dict.fromkeys(chosen))[:ZONES]


def clauses(uri: str) -> dict[str, Any]:
    """Prepare some ticks one after the other, and tell the milliseconds of the first and the median of the others."""
    store = open_store(uri)
    store.prepare()
    before = _megabytes()
    expressions, spent, listed, found, most = Expressions(), list[float](), list[float](), list[float](), 0
    for tick in TICKS:
        begun = time.perf_counter()
        texts = store.expressions()
        asked = time.perf_counter()
        computing = time.thread_time()
        expressions.update(texts)
        expressions.clauses(tick)
        most = max(most, sum(len(each.texts) for each in expressions.uncommon(tick)))
        computed, made = time.thread_time(), time.perf_counter()
        count = sum(1 for _ in due(store, tick, expressions=expressions))
        for seconds, kept in (
            (computed - computing, spent),
            (asked - begun, listed),
            (time.perf_counter() - made, found),
        ):
            kept.append(seconds * 1_000)
    store.close()
    return {
        "cold": spent[0],
        "warm": median(spent[1:]),
        "listed": median(listed),
        "found": median(found),
        "due": count,
        "texts": most,
        "megabytes": _megabytes() - before,
    }


def _megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
