"""Limits: what does a poll cost while 100,000 runs wait behind a limit of three?"""

from __future__ import annotations

import contextlib
import time
from dataclasses import replace
from datetime import datetime
from statistics import median

from cronlite.documents import ids, limits
from cronlite.documents.runs import Run
from cronlite.store import open_store
from cronlite.store.contract import ClaimQuery, Store
from tests.bench.rows import Row, Target
from tests.bench.setting import Setting, say

HANDLERS = ["extract", "load"]
MOST = 3
POLLS = 50
BATCH = 10_000
USERS = [f"user{n}" for n in range(10)]


def measure(setting: Setting) -> list[Row]:
    rows = []
    for side, opened in setting.stores.items():
        say(f"{setting.sizes.queued:,} runs behind a limit of {MOST} ({side})")
        with opened() as uri, contextlib.closing(open_store(uri)) as store:
            store.prepare()
            _fill(store, setting.sizes.queued)
            rows.append(
                Row(
                    benchmark="limits",
                    what=f"a poll, {setting.sizes.queued:,} waiting behind a limit of {MOST}",
                    side=side,
                    values=[_poll(store) for _ in range(setting.sizes.repeats)],
                    unit="ms",
                    target=Target(most=10),
                )
            )
    return rows


def _fill(store: Store, count: int) -> None:
    """Queue runs of all priorities and some users under one limit, and take all its slots."""
    now = store.now()
    store.set_limit(limits.new("api", MOST, now))
    for begun in range(0, count, BATCH):
        store.add_runs([_run(begun + n, now) for n in range(min(BATCH, count - begun))])
    taken = store.claim_runs("bench", ClaimQuery(HANDLERS, now, 100))
    assert len(taken) == MOST, len(taken)


def _run(number: int, now: datetime) -> Run:
    user, priority = USERS[number % len(USERS)], number % 10
    at_once = Run(id=ids.new_run_id(), handler="extract", params={}, due_at=now, queued_at=now, run_at=now)
    return replace(at_once, user=user, limit="api", priority=priority)


def _poll(store: Store) -> float:
    """Return how many milliseconds a daemon's poll takes, in which users take turns and nothing is claimed."""
    took = []
    for _ in range(POLLS):
        begun = time.perf_counter()
        users = store.queued_users(None, 20)
        claimed = store.claim_runs("bench", ClaimQuery(HANDLERS, store.now(), 20, users=users))
        store.next_run_at(HANDLERS)
        took.append((time.perf_counter() - begun) * 1_000)
        assert not claimed
    return median(took)
