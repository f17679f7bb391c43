"""Does each instant of an interval get one run, in time or recorded as missed, and never one over another?"""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from cronlite import Cronlite
from cronlite.client import why
from cronlite.documents import runs, transitions
from cronlite.documents.schedules import Schedule
from cronlite.store.contract import ClaimQuery, Store
from cronlite.when.clock import MINUTE
from tests.daemon.test_ticking import START, WAKE, add, made, started_at, ticker

SECOND = timedelta(seconds=1)


def seconds_of(store: Store, schedule: str) -> list[int]:
    return [round((run.due_at - START) / SECOND) for run in made(store, schedule)]


def claim(store: Store, now: datetime) -> list[str]:
    return [run.id.partition("@")[2] for run in store.claim_runs("me", ClaimQuery(["default"], now, 100))]


def test_a_minute_makes_a_run_for_each_of_its_instants_to_start_at_it(store: Store) -> None:
    add(store, "s", every="20s")
    one = started_at(store, -1)
    one.step(START + WAKE)
    new = [run for run in made(store) if run.due_at >= START]
    assert [run.id for run in new] == [f"s@2026-11-21T10:00:{second:02}Z" for second in (0, 20, 40)]
    assert [run.run_at for run in new] == [run.due_at for run in new]
    assert [(run.deadline_at or START) - run.due_at for run in new] == [20 * SECOND] * 3


def test_intervals_of_minutes_and_days_are_due_at_their_ticks(store: Store) -> None:
    for every in ("1m", "7m", "2h", "1d"):
        add(store, every, every=every)
    one = started_at(store, -1)
    for minute in range(4):
        one.step(START + minute * MINUTE + WAKE)
    assert [run.id for run in made(store, "2h")] == ["2h@2026-11-21T10:00Z"]
    assert [run.id for run in made(store, "1d")] == []
    assert [run.due_at for run in made(store, "7m")] == [
        tick for n in range(-5, 4) if Schedule(every="7m").timetable.due(tick := START + n * MINUTE)
    ]
    assert len(made(store, "1m")) == len(range(-5, 4))


def test_two_daemons_make_one_run_of_each_instant(store: Store) -> None:
    add(store, "s", every="10s", overlap="allow")
    daemons = [started_at(store, -1), ticker(store, "another"), ticker(store, "third", ("me", "another"))]
    for minute in range(3):
        for daemon in daemons:
            daemon.step(START + minute * MINUTE + WAKE)
    assert [second for second in seconds_of(store, "s") if second >= 0] == list(range(0, 180, 10))


def test_one_is_never_over_another_and_what_could_not_start_is_missed(store: Store) -> None:
    add(store, "s", every="20s")
    one = started_at(store, -1)
    store.change_runs([(run, transitions.closed(runs.SUCCEEDED, START)) for run in made(store)])
    one.step(START + WAKE)
    assert claim(store, START + WAKE) == ["2026-11-21T10:00:00Z"]
    assert claim(store, START + 20 * SECOND) == []  # the first is still running
    one.step(START + MINUTE + WAKE)
    by_id = {run.id.partition("T")[2]: run for run in made(store, "s")}
    assert by_id["10:00:00Z"].state == runs.RUNNING
    assert by_id["10:00:20Z"].state == runs.MISSED
    assert "not started by its deadline" in (by_id["10:00:20Z"].reason or "")
    assert by_id["10:01:20Z"].state == runs.QUEUED


def test_a_late_tick_makes_no_burst(store: Store) -> None:
    add(store, "s", every="10s")
    one = started_at(store, -1)
    store.change_runs([(run, transitions.closed(runs.SUCCEEDED, START)) for run in made(store)])
    now = START + 3 * MINUTE + WAKE
    one.step(now)
    late = [run for run in made(store) if run.due_at >= START]
    assert len(late) == 4 * 6
    assert [run.due_at for run in late if not transitions.too_late(run, now)] == [
        START + 3 * MINUTE + n * 10 * SECOND for n in range(6)
    ]


@pytest.mark.parametrize(("catch_up", "expected"), [("skip", []), ("latest", [20]), ("all", [0, 10, 20])])
def test_a_gap_is_made_up_for_as_with_fields(store: Store, catch_up: str, expected: list[int]) -> None:
    add(store, "s", every="10m", catch_up=catch_up)
    one = started_at(store, -1)
    one.step(START + 27 * MINUTE + WAKE)
    assert [round((run.due_at - START) / MINUTE) for run in made(store, "s")] == expected


def test_of_a_gap_the_last_instant_below_a_minute_is_made_up_for(store: Store) -> None:
    add(store, "s", every="30s", catch_up="latest")
    one = started_at(store, -1)
    store.change_runs([(run, transitions.closed(runs.SUCCEEDED, START)) for run in made(store)])
    one.step(START + 27 * MINUTE + WAKE)
    [made_up] = [run for run in made(store, "s") if START <= run.due_at < START + 23 * MINUTE]
    assert (made_up.id, made_up.deadline_at) == ("s@2026-11-21T10:22:30Z", None)


def test_after_its_end_nothing_is_due(store: Store) -> None:
    add(store, "s", every="10s", active_until=START + 25 * SECOND)
    one = started_at(store, -1)
    one.step(START + WAKE)
    one.step(START + MINUTE + WAKE)
    assert seconds_of(store, "s")[-3:] == [0, 10, 20]


def test_an_interval_takes_the_place_of_fields_and_they_take_its_place() -> None:
    with Cronlite("memory:") as cron:
        schedule = cron.schedule("ops", minute=5, hour=2, either_day=True)
        assert cron.update(schedule.id, every="90m").minute == "*"
        assert cron.get(schedule.id).either_day is False
        changed = cron.update(schedule.id, hour=3)
        assert (changed.every, changed.hour) == (None, 3)
        assert cron.update(schedule.id, every="1h").every == "1h"
        assert cron.update(schedule.id, cron="* * * * *").every is None


def test_why_knows_each_instant(store: Store) -> None:
    add(store, "s", every="20s")
    started_at(store, 0)
    schedule = Schedule(id="s", every="20s")
    answer = why.why(store, schedule, START + 25 * SECOND)
    assert answer.run is not None
    assert answer.run.due_at == START + 20 * SECOND
    hourly = why.why(store, Schedule(id="t", every="1h"), START + MINUTE)
    assert hourly.verdict == "not_due"
    assert "every hour" in hourly.reasons[0]
