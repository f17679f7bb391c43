"""A backfill queues what is missing in the past, in order, and never twice."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from cronlite.client import backfills
from cronlite.client.backfills import Backfill
from cronlite.documents import runs, transitions
from cronlite.errors import InvalidInput
from cronlite.handlers.registry import Registry
from cronlite.store.contract import ClaimQuery
from cronlite.testing import START, Rehearsal

HOUR = timedelta(hours=1)


@pytest.fixture
def rehearsal() -> Iterator[Rehearsal]:
    registry = Registry()
    registry.add("call", lambda _: None)
    with Rehearsal(registry=registry) as entered:
        yield entered


def at(hour: int, minute: int = 0, day: int = 1) -> datetime:
    return datetime(2024, 1, day, hour, minute, tzinfo=timezone.utc)


def ran(rehearsal: Rehearsal) -> list[datetime]:
    return [run.due_at for run in rehearsal.drain()]


def often(rehearsal: Rehearsal, **given: Any) -> str:
    """Store a schedule that is as old as the rehearsal's third hour; return its id."""
    rehearsal.outage(hours=3, minutes=10)
    return rehearsal.cron.schedule(name="often", handler="call", **{"minute": "*/20", **given}).id


def test_what_was_due_by_the_fields_of_today_runs_in_order_and_is_marked(rehearsal: Rehearsal) -> None:
    id_ = often(rehearsal, deadline_seconds=60)
    asked = rehearsal.cron.backfill("often", at(0, 20), at(1, 20))
    assert (asked.schedule, asked.asked, dict(asked.left_out), asked.unknown_before) == (id_, 3, {}, None)
    assert asked.progress() == {"queued": 3}
    assert ran(rehearsal) == [at(0, 20), at(0, 40), at(1)]
    found = rehearsal.runs()
    assert [run.id for run in found] == [f"{id_}@2024-01-01T{time}Z" for time in ("00:20", "00:40", "01:00")]
    assert {run.backfill for run in found} == {asked.id}
    assert asked.wait() == asked.progress() == {"succeeded": 3}


def test_a_minute_that_has_a_run_is_left_out_and_told_by_its_state(rehearsal: Rehearsal) -> None:
    rehearsal.cron.schedule(name="often", handler="call", minute="*/20")
    rehearsal.cron.freezes.add(everything=True, start=at(0, 30), until=at(0, 50))
    rehearsal.advance(hours=1, minutes=5)
    rehearsal.cron.schedule(name="often", handler="call", minute="*/10")
    asked = rehearsal.cron.backfill("often", START)
    assert (asked.asked, dict(asked.left_out)) == (4, {"succeeded": 2, "skipped": 1})
    assert ran(rehearsal) == [at(0), at(0, 10), at(0, 30), at(0, 50)]


def test_asking_again_changes_nothing(rehearsal: Rehearsal) -> None:
    often(rehearsal)
    first = rehearsal.cron.backfill("often", START, at(1))
    again = rehearsal.cron.backfill("often", START, at(1))
    assert (first.asked, again.asked, dict(again.left_out), again.id) == (3, 0, {"queued": 3}, first.id)
    assert len(ran(rehearsal)) == 3
    assert rehearsal.cron.backfill("often", START, at(1)).left_out == {"succeeded": 3}


def test_what_was_cut_off_half_way_is_brought_to_its_end(rehearsal: Rehearsal, monkeypatch: pytest.MonkeyPatch) -> None:
    often(rehearsal)
    monkeypatch.setattr(backfills, "PAGE", 2)
    store, add_runs, pages = rehearsal.cron.store, rehearsal.cron.store.add_runs, []

    def cut_off(page: Any) -> set[str]:
        pages.append(page)
        if len(pages) == 3:
            raise KeyboardInterrupt
        return add_runs(page)

    monkeypatch.setattr(store, "add_runs", cut_off)
    with pytest.raises(KeyboardInterrupt):
        rehearsal.cron.backfill("often", START, at(2))
    monkeypatch.setattr(store, "add_runs", add_runs)
    assert len(rehearsal.runs()) == 4
    assert rehearsal.cron.backfill("often", START, at(2)).asked == 2
    assert ran(rehearsal) == [START + n * timedelta(minutes=20) for n in range(6)]


def test_it_never_runs_beside_itself_nor_beside_the_schedule(rehearsal: Rehearsal) -> None:
    often(rehearsal)
    rehearsal.cron.backfill("often", START, at(1))
    store, query = rehearsal.cron.store, ClaimQuery(["call"], rehearsal.now, 10)
    [first] = store.claim_runs("d1", query)
    assert store.claim_runs("d1", query) == []
    rehearsal.outage(minutes=10)
    rehearsal.advance(minutes=1, raising=False)
    [due] = [run for run in rehearsal.runs() if run.due_at == at(3, 20)]
    assert (due.state, due.run_at) == (runs.QUEUED, None)
    store.change_runs([(first, transitions.closed(runs.SUCCEEDED, rehearsal.now))])
    store.release_lanes(rehearsal.now)
    assert ran(rehearsal) == [at(0, 20), at(0, 40), at(3, 20)]


def test_so_many_as_are_asked_for_run_at_a_time(rehearsal: Rehearsal) -> None:
    often(rehearsal)
    rehearsal.cron.backfill("often", START, at(2), parallel=2)
    claimed = rehearsal.cron.store.claim_runs("d1", ClaimQuery(["call"], rehearsal.now, 10))
    assert [run.due_at for run in claimed] == [at(0), at(0, 20)]
    assert rehearsal.cron.store.claim_runs("d1", ClaimQuery(["call"], rehearsal.now, 10)) == []


def test_it_can_be_called_off_as_a_whole_and_asked_for_again(rehearsal: Rehearsal) -> None:
    often(rehearsal)
    asked = rehearsal.cron.backfill("often", START, at(1))
    [begun] = rehearsal.cron.store.claim_runs("d1", ClaimQuery(["call"], rehearsal.now, 10))
    assert asked.cancel(rehearsal.now) == 2
    assert asked.progress() == {"running": 1, "cancelled": 2}
    rehearsal.cron.store.change_runs([(begun, transitions.closed(runs.SUCCEEDED, rehearsal.now))])
    assert ran(rehearsal) == []
    again = rehearsal.cron.backfill("often", START, at(1))
    assert (again.asked, dict(again.left_out)) == (2, {"succeeded": 1})
    assert ran(rehearsal) == [at(0, 20), at(0, 40)]


def test_a_dry_run_queues_nothing(rehearsal: Rehearsal) -> None:
    often(rehearsal)
    assert rehearsal.cron.backfill("often", START, at(1), dry_run=True).asked == 3
    assert rehearsal.runs() == []


def test_neither_a_pause_nor_when_it_was_made_counts_but_its_end_does(rehearsal: Rehearsal) -> None:
    often(rehearsal, active_until=at(0, 30))
    rehearsal.cron.pause("often")
    rehearsal.cron.backfill("often", START)
    assert ran(rehearsal) == [at(0), at(0, 20)]


def test_times_below_a_minute_are_each_one(rehearsal: Rehearsal) -> None:
    often(rehearsal, minute="*", every="30s")
    rehearsal.cron.backfill("often", at(1), at(1, 1))
    assert ran(rehearsal) == [at(1), at(1) + timedelta(seconds=30)]


def test_the_minute_that_is_under_way_is_left_to_the_tick(rehearsal: Rehearsal) -> None:
    often(rehearsal, minute="*")
    rehearsal.outage(seconds=30)
    rehearsal.cron.backfill("often", at(3, 8), rehearsal.now + HOUR)
    assert ran(rehearsal) == [at(3, 8), at(3, 9)]


def test_of_what_is_older_than_runs_are_kept_it_says_that_nobody_knows(rehearsal: Rehearsal) -> None:
    often(rehearsal, minute=0, hour=0)
    rehearsal.outage(days=40)
    asked = rehearsal.cron.backfill("often", START)
    assert asked.unknown_before == rehearsal.now - transitions.KEPT
    assert asked.asked == 41


def test_more_than_ten_thousand_have_to_be_asked_for(rehearsal: Rehearsal, monkeypatch: pytest.MonkeyPatch) -> None:
    often(rehearsal, minute="*")
    with pytest.raises(InvalidInput, match="more than 100 runs; shorten the stretch, or say most=None"):
        rehearsal.cron.backfill("often", START, most=100)
    assert rehearsal.runs() == []
    assert rehearsal.cron.backfill("often", START, most=190).asked == 190
    assert backfills.MOST == 10_000


@pytest.mark.parametrize(
    ("start", "end", "parallel", "told"),
    [
        (at(4), None, 1, "has no minute behind it"),
        (START, START, 1, "has no minute behind it"),
        (START, None, 0, "parallel"),
        (datetime(2024, 1, 1), None, 1, "no instant with a time zone"),
    ],
)
def test_nonsense_is_refused(
    rehearsal: Rehearsal, start: datetime, end: datetime | None, parallel: int, told: str
) -> None:
    often(rehearsal)
    with pytest.raises(InvalidInput, match=told):
        rehearsal.cron.backfill("often", start, end, parallel=parallel)


def test_waiting_tells_each_change(rehearsal: Rehearsal, monkeypatch: pytest.MonkeyPatch) -> None:
    often(rehearsal)
    asked: Backfill = rehearsal.cron.backfill("often", START, at(1))
    told: list[dict[str, int]] = []
    monkeypatch.setattr("cronlite.client.backfills.time.sleep", lambda _: rehearsal.drain())
    assert asked.wait(lambda progress: told.append(dict(progress))) == {"succeeded": 3}
    assert told == [{"queued": 3}, {"succeeded": 3}]
