"""Scale: what does a tick with a hundred due cost when ever more schedules are stored?"""

from __future__ import annotations

import time
from contextlib import ExitStack
from datetime import datetime, timedelta, timezone
from statistics import median
from typing import Any

from pymongo import MongoClient

from cronlite.daemon.ticking import Inserts, Periods, Ticker
from cronlite.documents import runs, transitions
from cronlite.documents.schedules import Document
from cronlite.store import Store, open_store
from cronlite.store.contract import ClaimQuery
from cronlite.when import clock
from tests.bench import children, stored
from tests.bench.rows import Row, Target
from tests.bench.setting import Setting, say

# In the morning, all over the week, of a day that is far enough away for nothing to be due now.
FIRST = datetime(2027, 3, 3, 6, 17, tzinfo=timezone.utc)
TICKS = [FIRST + n * clock.MINUTE for n in range(11)]
HANDLER = "default"
# No more than the minute itself: an empty ledger knows of no earlier one that was done.
_GRACE, _WINDOW = clock.MINUTE, timedelta(hours=1)

Answer = dict[str, Any]


def measure(setting: Setting) -> list[Row]:
    sizes, due = setting.sizes.stored, setting.sizes.due
    answers: dict[int, list[Answer]] = {count: [] for count in sizes}
    with ExitStack() as databases:
        uris = {count: databases.enter_context(setting.mongodb()) for count in sizes}
        for count, uri in uris.items():
            say(f"storing {count:,}")
            stored.fill(uri, stored.mixed(count, due, TICKS, timedelta(0)))
        for repeat in range(setting.sizes.repeats):
            say(f"ticks over {' and '.join(f'{count:,}' for count in sizes)}, {repeat + 1} of {setting.sizes.repeats}")
            for count, uri in uris.items():
                answers[count].append(_call(uri, due))
        keys = {count: children.call("scale:examined", uri=uri) for count, uri in uris.items()}
    milliseconds = {count: [answer["milliseconds"] for answer in answers[count]] for count in sizes}
    fewest = sizes[0]
    ticks = [
        Row(
            benchmark="scale",
            what=f"a tick of {due} due",
            side=f"of {count:,} stored",
            values=values,
            unit="ms",
            ratio=median(values) / median(milliseconds[fewest]),
            ratio_to=f"{fewest:,} stored",
            target=Target(most=1.5, of="ratio") if count == sizes[-1] else None,
            more={"parts": answers[count]},
        )
        for count, values in milliseconds.items()
    ]
    return ticks + [_examined(count, told) for count, told in keys.items()]


def _examined(count: int, told: dict[str, dict[str, int]]) -> Row:
    return Row(
        benchmark="scale",
        what="index keys examined by the due query",
        side=f"of {count:,} stored",
        values=[told["find"]["keys"]],
        unit="keys",
        more=told,
    )


def file(setting: Setting) -> list[float]:
    """Return the milliseconds of a tick over a file with many stored."""
    with setting.sqlite() as uri:
        stored.fill(uri, stored.mixed(setting.sizes.stored_in_file, setting.sizes.due, TICKS, timedelta(0)))
        return [_call(uri, setting.sizes.due)["milliseconds"] for _ in range(setting.sizes.repeats)]


def ticked(uri: str, due: int) -> float:
    """Return the milliseconds of a tick over what is stored, in a process of its own."""
    return float(_call(uri, due)["milliseconds"])


def _call(uri: str, due: int) -> Answer:
    answer: Answer = children.call("scale:ticks", uri=uri)
    if answer["claimed"] != [due] * len(TICKS):
        raise RuntimeError(f"{due} were due, and claimed at each tick: {answer['claimed']}")
    return answer


def ticks(uri: str) -> dict[str, Any]:
    """Do some ticks one after the other, and tell the median of what query, runs and claims took. The first warms up"""
    store = open_store(uri)
    ticking = ticker(store)
    spent, claimed = [], []
    for tick in TICKS:
        now = tick + timedelta(seconds=1)
        started = time.perf_counter()
        ticking.step(now)
        stepped = time.perf_counter()
        won = store.claim_runs("bench", ClaimQuery([HANDLER], now, 1_000))
        spent.append((stepped - started, time.perf_counter() - stepped))
        claimed.append(len(won))
        # and out of the way, so that the next tick finds no run at work
        store.change_runs([(run, transitions.closed(runs.SUCCEEDED, now)) for run in won])
    forget(uri)
    steps, claims = zip(*spent[1:], strict=True)
    return {
        "milliseconds": median(map(sum, spent[1:])) * 1_000,
        "tick_milliseconds": median(steps) * 1_000,
        "claim_milliseconds": median(claims) * 1_000,
        "claimed": claimed,
    }


def examined(uri: str) -> dict[str, dict[str, int]]:
    """Do a tick under the database profiler, and tell by operation the keys and documents that MongoDB looked at."""
    with MongoClient[Document](uri) as client:
        database = client.get_default_database()
        database.command("profile", 2)
        ticker(open_store(uri)).step(FIRST + timedelta(seconds=1))
        database.command("profile", 0)
        told = {"find": {"keys": 0, "documents": 0}, "distinct": {"keys": 0, "documents": 0}}
        for entry in database["system.profile"].find({"ns": f"{database.name}.schedules"}):
            kind = "distinct" if "distinct" in entry["command"] else "find"
            told[kind]["keys"] += entry.get("keysExamined", 0)
            told[kind]["documents"] += entry.get("docsExamined", 0)
        database.drop_collection("system.profile")
    forget(uri)
    return told


def ticker(store: Store) -> Ticker:
    """Return a ticker that knows of no minute but those that it is told to do."""
    return Ticker(store, Inserts(store.add_runs), lambda: "bench", lambda _: False, Periods(_GRACE, _WINDOW))


def forget(uri: str, *names: str) -> None:
    """Empty runs and ledger, or what is named, so that the same ticks can be done again."""
    names = names or ("runs", "ticks")
    if uri.startswith("mongodb"):
        with MongoClient[Document](uri) as client:
            for name in names:
                client.get_default_database()[name].delete_many({})
    else:
        from cronlite.store.sqlite import SqliteStore

        store = open_store(uri)
        assert isinstance(store, SqliteStore)
        for name in names:
            store._change(f"DELETE FROM {name}")
        store.close()
