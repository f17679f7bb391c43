"""Do all stores outline and count runs and schedules alike, and as they would be counted one by one?"""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from cronlite.documents import runs
from cronlite.documents.outlines import Outline
from cronlite.store.contract import RunQuery, Store
from tests.store.samples import (
    LANE,
    MINUTE,
    NOW,
    OTHER,
    SECOND,
    a_foreign_schedule,
    a_run,
    a_run_in,
    a_running,
    a_schedule,
    add,
)


def in_outline(run: runs.Run) -> Outline:
    return Outline(
        id=run.id,
        state=run.state,
        due_at=run.due_at,
        queued_at=run.queued_at,
        schedule=run.schedule,
        started_at=run.started_at,
        finished_at=run.finished_at,
    )


@pytest.fixture
def added(store: Store) -> list[runs.Run]:
    """Some runs, the last queued first: of two schedules, and one on demand."""
    ended = {"state": runs.SUCCEEDED, "attempt": 1, "started_at": NOW, "finished_at": NOW + 2 * SECOND}
    made = [
        a_run_in(LANE, queued_at=NOW + n * MINUTE, due_at=NOW + n * MINUTE, result={"n": n}, output="x" * 99, **ended)
        for n in range(5)
    ]
    made += [
        a_run_in(OTHER, due_at=NOW + MINUTE, queued_at=NOW + 90 * SECOND, state=runs.FAILED, attempt=1),
        a_running(OTHER, queued_at=NOW + 150 * SECOND),
        a_run("on-demand", queued_at=NOW + 10 * MINUTE),
    ]
    add(store, *made)
    return sorted(made, key=lambda run: run.queued_at, reverse=True)


def test_runs_are_outlined_in_the_order_of_lists(store: Store, added: list[runs.Run]) -> None:
    assert store.outlines(RunQuery()) == [in_outline(run) for run in added]
    assert store.outlines(RunQuery(limit=2)) == [in_outline(run) for run in added[:2]]
    assert store.outlines(RunQuery(limit=0)) == []
    of_lane = [in_outline(run) for run in added if run.schedule == LANE]
    assert store.outlines(RunQuery(schedule=LANE, limit=3)) == of_lane[:3]
    assert store.outlines(RunQuery(schedule=LANE, since=NOW + 3 * MINUTE)) == of_lane[:2]
    assert [one.state for one in store.outlines(RunQuery(states=[runs.FAILED, runs.RUNNING]))] == ["running", "failed"]
    assert [one.seconds for one in of_lane[:1]] == [2]


def test_runs_are_counted_by_the_time_they_were_queued_and_by_state(store: Store, added: list[runs.Run]) -> None:
    since, until, step = NOW - MINUTE, NOW + 9 * MINUTE, 2 * MINUTE
    apart = Counter(((run.queued_at - since) // step, run.state) for run in added if since <= run.queued_at < until)
    assert store.tally(since, until, step) == apart
    assert sum(apart.values()) == len(added) - 1
    assert store.tally(until + timedelta(days=1), until + timedelta(days=2), step) == {}


def test_schedules_are_counted_by_when_they_are_due(store: Store) -> None:
    kinds: tuple[dict[str, Any], ...] = (
        *[{"minute": 5, "hour": "8-18", "tz": "Europe/Berlin"}] * 3,
        *[{"every": "10s"}] * 2,
        {"day": 1, "weekday": "mon", "either_day": True, "hour": 3, "minute": 0},
        {"minute": 5, "hour": "8-18", "tz": "Europe/Berlin", "enabled": False},
    )
    for fields in kinds:
        store.add_schedule(a_schedule(**fields))
    store.add_schedule(a_foreign_schedule(minute=7))
    found = {
        tuple(timing.fields.get(name) for name in ("minute", "hour", "day", "every", "tz")): timing.schedules
        for timing in store.timings()
    }
    defaults = {None: "*"}
    found = {tuple(defaults.get(value, value) for value in key[:3]) + key[3:]: n for key, n in found.items()}
    assert {key[:4]: n for key, n in found.items()} == {
        (5, "8-18", "*", None): 3,
        ("*", "*", "*", "10s"): 2,
        (0, 3, 1, None): 1,
        (7, "*", "*", None): 1,
    }
    assert [timing.fields.get("either_day") for timing in store.timings() if timing.fields.get("hour") == 3] == [True]


def test_schedules_that_begin_later_or_end_or_are_paused_for_a_time_are_listed_apart(store: Store) -> None:
    always = a_schedule(active_from=NOW - MINUTE)
    later = a_schedule(active_from=NOW + MINUTE)
    ending = a_schedule(active_from=NOW - MINUTE, active_until=NOW + MINUTE)
    ended = a_schedule(active_from=NOW - MINUTE, active_until=NOW - SECOND)
    paused = a_schedule(active_from=NOW + MINUTE, enabled=False)
    lifting = a_schedule(active_from=NOW - MINUTE, enabled=False, paused_until=NOW + MINUTE)
    for document in (always, later, ending, ended, paused, lifting, a_foreign_schedule()):
        store.add_schedule(document)
    listed = {document["_id"] for document in store.not_always_active(NOW, 10)}
    assert listed == {document["_id"] for document in (later, ending, ended, lifting)}
    assert len(store.not_always_active(NOW, 2)) == 2
