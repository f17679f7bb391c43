"""What a freeze holds back is recorded and not run, and made up for once where that was asked for."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone

import pytest

from cronlite.client.why import why
from cronlite.documents import runs, transitions
from cronlite.documents.runs import Run
from cronlite.errors import Conflict, InvalidInput, NotFound, StoreUnavailable
from cronlite.handlers.registry import Registry
from cronlite.testing import START, Rehearsal

HOUR = timedelta(hours=1)


@pytest.fixture
def rehearsal() -> Iterator[Rehearsal]:
    registry = Registry()
    registry.add("call", lambda _: None)
    registry.add("other", lambda _: None)
    with Rehearsal(registry=registry) as entered:
        yield entered


def at(hour: int, minute: int = 0, second: int = 0) -> datetime:
    return datetime(2024, 1, 1, hour, minute, second, tzinfo=timezone.utc)


def ended(rehearsal: Rehearsal, schedule: str | None = None) -> list[tuple[datetime, str]]:
    return [(run.due_at, run.state) for run in rehearsal.runs(schedule=schedule)]


def ran(rehearsal: Rehearsal, schedule: str | None = None) -> list[datetime]:
    return [run.due_at for run in rehearsal.runs(schedule=schedule, state=runs.SUCCEEDED)]


def skipped(rehearsal: Rehearsal, schedule: str | None = None) -> list[datetime]:
    return [run.due_at for run in rehearsal.runs(schedule=schedule, state=runs.SKIPPED)]


def test_what_comes_due_in_a_freeze_is_recorded_with_the_reason_and_not_run(rehearsal: Rehearsal) -> None:
    rehearsal.cron.schedule(name="often", handler="call", minute="*/20")
    freeze = rehearsal.cron.freezes.add(
        everything=True, start=at(0, 30), until=at(1, 20), reason="moving house", actor="ann"
    )
    rehearsal.advance(hours=2)
    assert ended(rehearsal) == [
        (at(0, 20), "succeeded"),
        (at(0, 40), "skipped"),
        (at(1), "skipped"),
        (at(1, 20), "succeeded"),
        (at(1, 40), "succeeded"),
        (at(2), "succeeded"),
    ]
    [record, _] = rehearsal.runs(state=runs.SKIPPED)
    assert record.reason == f"frozen until 2024-01-01 01:20:00Z by ann: moving house (freeze {freeze.id})"
    assert (record.freeze, record.attempt, record.finished_at) == (freeze.id, 0, at(0, 40))
    answer = why(rehearsal.cron.store, rehearsal.cron.get("often"), at(0, 40))
    assert (answer.verdict, record.reason in answer.reasons) == ("skipped", True)
    [entry] = [one for one in rehearsal.cron.store.ledger(at(1), at(1)) if one.minute == at(1)]
    assert (entry.due, entry.frozen) == (1, 1)


@pytest.mark.parametrize(
    "picks", [{"tag": "billing"}, {"user": "eve"}, {"handler": "other"}, {"queue": "slow"}, {"tag": "a", "user": "eve"}]
)
def test_it_picks_what_has_all_that_is_named(rehearsal: Rehearsal, picks: dict[str, str]) -> None:
    rehearsal.cron.schedule("eve", name="meant", handler="other", queue="slow", tags=["a", "billing"], minute=30)
    rehearsal.cron.schedule("bob", name="not meant", handler="call", tags=["a"], minute=30)
    rehearsal.cron.freezes.add(**picks)  # type: ignore[arg-type]
    rehearsal.advance(hours=1)
    assert ended(rehearsal, "meant") == [(at(0, 30), "skipped")]
    assert ended(rehearsal, "not meant") == [(at(0, 30), "succeeded")]


def test_then_run_makes_up_for_the_last_time_once_when_it_ends(rehearsal: Rehearsal) -> None:
    rehearsal.cron.schedule(name="often", handler="call", minute="*/20")
    rehearsal.cron.schedule(name="rare", handler="call", minute=5, hour=7)
    rehearsal.cron.freezes.add(everything=True, until=at(1, 5), then="run")
    rehearsal.advance(hours=1, minutes=4)
    assert ran(rehearsal) == []
    rehearsal.advance(minutes=3)
    assert ran(rehearsal) == [at(1)]
    [made_up] = rehearsal.runs(state=runs.SUCCEEDED)
    assert (made_up.id.endswith("@2024-01-01T01:00Z"), made_up.started_at, made_up.late) == (True, at(1, 5), True)
    assert (made_up.reason, made_up.expires_at) == (None, at(1, 5) + transitions.KEPT)
    rehearsal.advance(hours=1)
    assert ran(rehearsal) == [at(1), at(1, 20), at(1, 40), at(2)]
    assert skipped(rehearsal) == [at(0, 20), at(0, 40)]


def test_thawing_early_ends_it_and_makes_up_at_the_next_minute(rehearsal: Rehearsal) -> None:
    rehearsal.cron.schedule(name="often", handler="call", minute="*/20")
    freeze = rehearsal.cron.freezes.add(everything=True, then="run")
    rehearsal.advance(minutes=50)
    assert rehearsal.cron.freezes.in_force() == [freeze]
    thawed = rehearsal.cron.freezes.thaw(freeze.id, actor="bob")
    assert (thawed.until_at, thawed.thawed_by) == (at(0, 50), "bob")
    assert rehearsal.cron.freezes.in_force() == []
    rehearsal.advance(minutes=1)
    assert ran(rehearsal) == [at(0, 40)]
    assert rehearsal.cron.freezes.get(freeze.id).done_at == at(0, 51)
    with pytest.raises(Conflict, match="has ended already"):
        rehearsal.cron.freezes.thaw(freeze.id)


def test_one_that_has_not_begun_never_does_once_it_is_thawed(rehearsal: Rehearsal) -> None:
    rehearsal.cron.schedule(name="often", handler="call", minute="*/20")
    freeze = rehearsal.cron.freezes.add(everything=True, start=HOUR, until=2 * HOUR, then="run")
    rehearsal.cron.freezes.thaw(freeze.id)
    rehearsal.advance(hours=3)
    assert len(ran(rehearsal)) == 9
    assert rehearsal.cron.freezes.list() == []
    assert [one.id for one in rehearsal.cron.freezes.list(ended=True)] == [freeze.id]


def test_ending_it_anew_after_a_failure_makes_up_for_nothing_twice(
    rehearsal: Rehearsal, monkeypatch: pytest.MonkeyPatch
) -> None:
    rehearsal.cron.schedule(name="often", handler="call", minute="*/20")
    rehearsal.cron.freezes.add(everything=True, until=at(1, 5), then="run")
    rehearsal.advance(hours=1, minutes=4)
    store, change = rehearsal.cron.store, rehearsal.cron.store.change_freeze

    def unreachable(*_: object) -> bool:
        raise StoreUnavailable("before it was signed off")

    monkeypatch.setattr(store, "change_freeze", unreachable)
    with pytest.raises(StoreUnavailable):
        rehearsal.advance(minutes=1)
    rehearsal.drain()
    monkeypatch.setattr(store, "change_freeze", change)
    rehearsal.advance(minutes=5)
    assert (ran(rehearsal), skipped(rehearsal)) == ([at(1)], [at(0, 20), at(0, 40)])
    [made_up] = rehearsal.runs(state=runs.SUCCEEDED)
    assert made_up.attempt == 1


def test_overlapping_ones_make_up_when_the_last_of_them_has_ended(rehearsal: Rehearsal) -> None:
    rehearsal.cron.schedule(name="often", handler="call", minute="*/20", tags=["a"])
    rehearsal.cron.schedule(name="free", handler="call", minute="*/20")
    rehearsal.cron.freezes.add(everything=True, until=at(1, 5), then="run")
    rehearsal.cron.freezes.add(tag="a", start=at(0, 30), until=at(2, 5))
    rehearsal.advance(hours=1, minutes=10)
    assert (ran(rehearsal, "free"), ran(rehearsal, "often")) == ([at(1)], [])
    rehearsal.advance(hours=1)
    assert ran(rehearsal, "often") == [at(1)]
    assert skipped(rehearsal, "often") == [at(0, 20), at(0, 40), at(1, 20), at(1, 40), at(2)]
    rehearsal.advance(hours=1)
    assert len(ran(rehearsal, "often")) == 4


def test_two_that_end_in_one_minute_make_up_once(rehearsal: Rehearsal) -> None:
    rehearsal.cron.schedule(name="often", handler="call", minute="*/20")
    rehearsal.cron.freezes.add(everything=True, until=at(0, 30), then="run")
    rehearsal.cron.freezes.add(handler="call", start=at(0, 35), until=at(1, 5), then="run")
    rehearsal.outage(hours=1, minutes=10)
    rehearsal.advance(minutes=1)
    assert ran(rehearsal) == [at(1)]


@pytest.mark.parametrize("catch_up", ["skip", "latest", "all"])
def test_an_outage_in_a_freeze_makes_up_for_no_frozen_minute(rehearsal: Rehearsal, catch_up: str) -> None:
    rehearsal.cron.schedule(name="often", handler="call", minute="*/20", catch_up=catch_up, overlap="allow")  # type: ignore[arg-type]
    rehearsal.cron.freezes.add(everything=True, start=at(0, 30), until=at(1, 30))
    rehearsal.outage(hours=2, minutes=10)
    rehearsal.advance(minutes=1)
    expected = {"skip": [], "latest": [at(2)], "all": [at(0, 20), at(1, 40), at(2)]}
    assert ran(rehearsal) == expected[catch_up]
    assert skipped(rehearsal) == [at(1, 20)]  # of a gap, the last is recorded, and the others are counted
    answer = why(rehearsal.cron.store, rehearsal.cron.get("often"), at(0, 40))
    assert answer.verdict == "gap"
    assert any(reason.startswith("it was frozen until") for reason in answer.reasons)


def test_an_outage_across_the_end_still_makes_up_once(rehearsal: Rehearsal) -> None:
    rehearsal.cron.schedule(name="often", handler="call", minute="*/20")
    rehearsal.cron.freezes.add(everything=True, until=at(1, 5), then="run")
    rehearsal.outage(hours=3, minutes=10)
    rehearsal.advance(minutes=2)
    assert ran(rehearsal) == [at(1)]


def test_each_time_below_a_minute_is_held_back_for_itself(rehearsal: Rehearsal) -> None:
    rehearsal.cron.schedule(name="quick", handler="call", every="20s")
    rehearsal.cron.freezes.add(everything=True, start=at(0, 1, 20), until=at(0, 2, 20), then="run")
    rehearsal.advance(minutes=4)
    assert skipped(rehearsal) == [at(0, 1, 20), at(0, 1, 40)]
    assert at(0, 2) in ran(rehearsal)  # made up for, between those of a minute and the next
    assert {at(0, 1), at(0, 2, 20), at(0, 2, 40)} <= set(ran(rehearsal))


def test_a_paused_or_a_removed_schedule_is_not_made_up_for(rehearsal: Rehearsal) -> None:
    for name in ("paused", "removed", "left"):
        rehearsal.cron.schedule(name=name, handler="call", minute="*/20")
    rehearsal.cron.freezes.add(everything=True, until=at(0, 50), then="run")
    rehearsal.advance(minutes=45)
    rehearsal.cron.pause("paused")
    rehearsal.cron.remove("removed")
    rehearsal.advance(minutes=10)
    assert [run.schedule for run in rehearsal.runs(state=runs.SUCCEEDED)] == [rehearsal.cron.get("left").id]


def test_what_makes_up_waits_for_what_is_still_at_work(rehearsal: Rehearsal) -> None:
    rehearsal.cron.schedule(name="often", handler="call", minute="*/20")
    rehearsal.cron.freezes.add(everything=True, until=at(0, 50), then="run")
    rehearsal.advance(minutes=45)
    store, [record, last] = rehearsal.cron.store, rehearsal.runs()
    long = Run(
        id="long",
        handler="elsewhere",
        params={},
        due_at=at(0),
        queued_at=at(0),
        schedule=record.schedule,
        lane=record.lane,
        state=runs.RUNNING,
        daemon="another",
        attempt=1,
        started_at=at(0),
    )
    assert store.add_runs([long]) == set()
    rehearsal.advance(minutes=8)
    waiting = rehearsal.cron.run_of(last.id)
    assert (waiting.state, waiting.run_at) == (runs.QUEUED, None)
    store.change_runs([(long, transitions.closed(runs.SUCCEEDED, rehearsal.now))])
    store.release_lanes(rehearsal.now)
    rehearsal.drain()
    assert rehearsal.cron.run_of(last.id).state == runs.SUCCEEDED


def test_what_is_on_demand_runs_in_a_freeze_without_a_hold(rehearsal: Rehearsal) -> None:
    rehearsal.cron.schedule(name="often", handler="call", minute=20)
    rehearsal.cron.freezes.add(everything=True)
    rehearsal.cron.trigger("often")
    assert [run.state for run in rehearsal.drain()] == ["succeeded"]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({}, "name a tag, user, handler or queue"),
        ({"everything": True, "tag": "a"}, "goes with no other choice"),
        ({"everything": True, "until": START - HOUR}, "until.*not to come"),
        ({"everything": True, "start": 2 * HOUR, "until": HOUR}, "before its beginning"),
        ({"tag": " a"}, "tag"),
        ({"everything": True, "then": "twice"}, "skip or run"),
    ],
)
def test_nonsense_is_refused_with_what_to_give(rehearsal: Rehearsal, given: dict[str, object], told: str) -> None:
    with pytest.raises(InvalidInput, match=told):
        rehearsal.cron.freezes.add(**given)  # type: ignore[arg-type]
    with pytest.raises(NotFound, match="cronlite freezes"):
        rehearsal.cron.freezes.thaw("none")


def test_a_hold_keeps_queued_runs_waiting_until_it_is_thawed(rehearsal: Rehearsal) -> None:
    cron = rehearsal.cron
    cron.schedule("eve", name="often", handler="call", minute=20, tags=["a"])
    queued = [cron.trigger("often"), cron.enqueue("call", user="eve"), cron.enqueue("other")]
    later = cron.enqueue("call", user="eve", run_at=2 * HOUR)
    freeze = cron.freezes.add(user="eve", hold=True)
    assert [run.id for run in rehearsal.drain()] == [queued[2].id]
    rehearsal.advance(minutes=5)
    assert [one.state for one in queued] == ["queued", "queued", "succeeded"]
    told = why(cron.store, cron.get("often"), at(0, 20)).reasons
    assert any("cronlite thaw" in reason for reason in told)
    cron.freezes.thaw(freeze.id)
    rehearsal.drain()
    assert [one.state for one in queued] == ["succeeded"] * 3
    assert later.state == "queued"


def test_a_hold_that_begins_later_takes_what_is_queued_then(rehearsal: Rehearsal) -> None:
    cron = rehearsal.cron
    cron.freezes.add(everything=True, hold=True, start=at(0, 10), until=at(0, 30))
    queued = cron.enqueue("call", run_at=at(0, 9, 30))
    waiting = cron.enqueue("call", run_at=at(0, 15, 30))
    rehearsal.advance(minutes=20)
    assert (queued.run.started_at, waiting.state) == (at(0, 9, 30), "queued")
    rehearsal.advance(minutes=10)
    assert (waiting.run.started_at, waiting.run.attempt) == (at(0, 30), 2)  # the first claim was given back
