"""What ends an attempt, and what follows from it."""

from __future__ import annotations

import random
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from cronlite.documents import new_runs, runs, transitions
from cronlite.documents.runs import Outcome, Run
from cronlite.documents.schedules import Schedule
from cronlite.errors import InvalidInput

NOW = datetime(2026, 11, 21, 2, 30, 1, tzinfo=timezone.utc)
TICK = datetime(2026, 11, 21, 2, 30, tzinfo=timezone.utc)
FAILED = Outcome(runs.FAILED, error={"type": "ValueError", "message": "no"})


def run(**given: Any) -> Run:
    usual: dict[str, Any] = {"id": "r", "handler": "h", "params": {}, "due_at": TICK, "queued_at": NOW, "run_at": NOW}
    return Run(**usual | given)


def settled(one: Run, outcome: Outcome) -> runs.Changes:
    return transitions.settled(one, outcome, NOW, random.Random(1))


def test_the_id_of_a_scheduled_run_is_its_schedule_and_its_minute() -> None:
    assert new_runs.scheduled_id("nightly", TICK) == "nightly@2026-11-21T02:30Z"


def test_a_run_carries_copies_of_what_it_needs() -> None:
    schedule = Schedule(id="s", user="alice", handler="extract", params={"a": 1}, retries=3, timeout_seconds=5)
    made = new_runs.of_schedule(schedule, TICK, NOW)
    assert (made.user, made.handler, made.params, made.retries, made.timeout_seconds) == (
        "alice",
        "extract",
        {"a": 1},
        3,
        5,
    )
    assert (made.lane, made.schedule, made.due_at, made.run_at) == ("s", "s", TICK, NOW)


def test_a_schedule_that_allows_overlap_has_no_lane() -> None:
    assert new_runs.of_schedule(Schedule(id="s", overlap="allow"), TICK, NOW).lane is None


def test_success_closes_a_run_and_keeps_it_for_thirty_days() -> None:
    change = settled(run(), Outcome(runs.SUCCEEDED, result=42))
    assert (change["state"], change["result"], change["finished_at"]) == (runs.SUCCEEDED, 42, NOW)
    assert change["expires_at"] == NOW + timedelta(days=30)


def test_a_failure_without_retries_is_final() -> None:
    change = settled(run(), FAILED)
    assert (change["state"], change["failures"], change["error"]["message"]) == (runs.FAILED, 1, "no")


def test_a_failure_with_a_retry_left_goes_back_to_the_queue_after_the_delay() -> None:
    change = settled(run(retries=1, retry_delay_seconds=60), FAILED)
    assert change["state"] == runs.QUEUED
    assert timedelta(seconds=60) <= change["run_at"] - NOW <= timedelta(seconds=75)
    assert change["error"]["message"] == "no"


def test_the_last_retry_that_fails_is_final() -> None:
    assert settled(run(retries=1, failures=1), FAILED)["state"] == runs.FAILED


def test_the_delay_doubles_up_to_an_hour() -> None:
    assert [transitions.backoff_seconds(60, n) for n in (1, 2, 3, 6, 7, 8, 900)] == [
        60,
        120,
        240,
        1920,
        3600,
        3600,
        3600,
    ]


def test_a_delay_longer_than_an_hour_stays_what_it_is() -> None:
    assert transitions.backoff_seconds(7200, 3) == 7200


def test_retry_later_sets_the_delay_and_counts_as_a_retry() -> None:
    change = settled(run(retries=1), Outcome(runs.FAILED, again_in=7))
    assert (change["state"], change["run_at"], change["failures"]) == (runs.QUEUED, NOW + timedelta(seconds=7), 1)
    assert settled(run(retries=1, failures=1), Outcome(runs.FAILED, again_in=7))["state"] == runs.FAILED


def test_give_up_ends_a_run_whatever_retries_are_left() -> None:
    assert settled(run(retries=9), Outcome(runs.FAILED, retriable=False))["state"] == runs.FAILED


def test_a_crash_costs_no_retry_and_the_third_one_ends_the_run() -> None:
    changes = transitions.after_crash(run(), NOW)
    assert [attempt["state"] for attempt in changes.pop("earlier_attempts")] == ["crashed"]
    assert changes == {
        "state": "queued", "run_at": NOW, "daemon": None, "started_at": None, "sent_at": None, "crashes": 1,
    }  # fmt: skip
    assert transitions.after_crash(run(crashes=1), NOW)["state"] == runs.QUEUED
    last = transitions.after_crash(run(crashes=2), NOW)
    assert (last["state"], last["reason"]) == (runs.ABANDONED, "it took 3 daemons with it")


def test_a_run_that_must_not_be_repeated_is_abandoned_at_its_first_crash() -> None:
    assert transitions.after_crash(run(on_crash="abandon"), NOW)["state"] == runs.ABANDONED


def test_a_run_is_late_when_it_was_queued_a_minute_after_it_was_due() -> None:
    assert not run(queued_at=TICK + timedelta(seconds=59)).late
    assert run(queued_at=TICK + timedelta(seconds=60)).late


def test_a_stored_run_reads_back_as_it_was() -> None:
    one = run(state=runs.RUNNING, daemon="d", attempt=2, lane="s", error={"type": "X"}, result=None)
    assert runs.read(one.document()) == one


@pytest.mark.parametrize(
    ("field", "value"),
    [("state", "banana"), ("attempt", "two"), ("params", 3), ("due_at", "soon"), ("handler", 5), ("retries", -1)],
)
def test_a_run_edited_into_nonsense_is_refused_by_field(field: str, value: object) -> None:
    with pytest.raises(InvalidInput, match=field):
        runs.read(run().document() | {field: value})


def test_a_run_with_a_field_gone_is_refused() -> None:
    document = run().document()
    del document["due_at"]
    with pytest.raises(InvalidInput, match="due_at"):
        runs.read(document)


def test_a_deadline_is_for_the_first_start() -> None:
    late = NOW + timedelta(minutes=1)
    missed = transitions.too_late(run(deadline_at=NOW), late)
    assert missed is not None
    assert missed["state"] == runs.MISSED
    assert transitions.too_late(run(deadline_at=NOW), NOW) is None
    assert transitions.too_late(run(deadline_at=NOW, failures=1), late) is None, "it was begun in time"
    assert transitions.too_late(run(deadline_at=NOW, crashes=1), late) is None


def test_a_run_that_is_cut_off_goes_back_unless_it_must_not_be_repeated() -> None:
    working = {"state": runs.RUNNING, "daemon": "d1", "attempt": 1, "started_at": NOW}
    assert transitions.cut_off(run(**working), NOW, "a stop")["state"] == runs.QUEUED
    assert transitions.cut_off(run(**working, on_crash="abandon"), NOW, "a stop")["state"] == runs.ABANDONED
