"""A pause with an end lifts itself at its minute, on every face; one without an end stays."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone

import pytest

from cronlite.client.why import why
from cronlite.documents import schedules
from cronlite.errors import InvalidInput
from cronlite.handlers.registry import Registry
from cronlite.testing import START, Rehearsal


@pytest.fixture
def rehearsal() -> Iterator[Rehearsal]:
    registry = Registry()
    registry.add("call", lambda _: None)
    with Rehearsal(registry=registry) as entered:
        yield entered


def at(hour: int, minute: int = 0) -> datetime:
    return datetime(2024, 1, 1, hour, minute, tzinfo=timezone.utc)


def due(rehearsal: Rehearsal) -> list[datetime]:
    return [run.due_at for run in rehearsal.runs()]


def test_a_pause_lifts_itself_at_the_first_minute_not_before_its_end_without_a_write(rehearsal: Rehearsal) -> None:
    rehearsal.cron.schedule(name="often", handler="call", minute="*/10")
    paused = rehearsal.cron.pause("often", until=at(1, 20), reason="the disk is full")
    assert (paused.enabled, paused.paused_until, paused.pause_reason) == (False, at(1, 20), "the disk is full")
    rehearsal.advance(hours=1, minutes=45)
    assert due(rehearsal) == [at(1, 20), at(1, 30), at(1, 40)]
    assert rehearsal.cron.get("often") == paused


def test_an_end_within_a_minute_lets_the_next_minute_be_the_first(rehearsal: Rehearsal) -> None:
    rehearsal.cron.schedule(name="often", handler="call")
    rehearsal.cron.schedule(name="quick", handler="call", every="20s")
    for name in ("often", "quick"):
        rehearsal.cron.pause(name, until=START + timedelta(seconds=150))
    assert rehearsal.cron.get("quick").next_runs(START, 1) == [at(0, 3)]
    rehearsal.advance(minutes=3)
    assert set(due(rehearsal)) == {at(0, 3) + timedelta(seconds=n) for n in (0, 20, 40)}


def test_an_outage_across_the_end_makes_up_for_no_paused_minute(rehearsal: Rehearsal) -> None:
    rehearsal.cron.schedule(name="often", handler="call", minute="*/10", catch_up="all", overlap="allow")
    rehearsal.cron.pause("often", until=at(1))
    rehearsal.outage(hours=1, minutes=25)
    rehearsal.advance(minutes=1)
    assert due(rehearsal) == [at(1), at(1, 10), at(1, 20)]


def test_resuming_and_pausing_anew_forget_the_end(rehearsal: Rehearsal) -> None:
    cron = rehearsal.cron
    cron.schedule(name="often", handler="call")
    cron.pause("often", until=timedelta(hours=1), reason="so")
    resumed = cron.resume("often")
    assert (resumed.enabled, resumed.paused_until, resumed.pause_reason) == (True, None, "")
    cron.pause("often", until=timedelta(minutes=1))
    rehearsal.advance(minutes=5)
    assert len(due(rehearsal)) == 5  # from the minute of the end on
    again = cron.update("often", enabled=False)
    assert again.paused_until is None
    rehearsal.advance(minutes=5)
    assert len(due(rehearsal)) == 5


def test_declaring_again_leaves_a_pause_with_its_end_and_reason(rehearsal: Rehearsal) -> None:
    rehearsal.cron.schedule(name="often", handler="call", minute=5)
    paused = rehearsal.cron.pause("often", until=at(1), reason="so")
    declared = rehearsal.cron.schedule(name="often", handler="call", minute=7)
    assert (declared.paused_until, declared.pause_reason, declared.minute) == (paused.paused_until, "so", 7)


@pytest.mark.parametrize("until", [START, START - timedelta(seconds=1), timedelta(0), timedelta(hours=-1)])
def test_an_end_that_is_not_to_come_is_refused(rehearsal: Rehearsal, until: datetime | timedelta) -> None:
    rehearsal.cron.schedule(name="often", handler="call")
    with pytest.raises(InvalidInput, match=r"until.*not to come"):
        rehearsal.cron.pause("often", until=until)
    assert rehearsal.cron.get("often").enabled


def test_an_end_given_to_update_pauses_and_goes_with_nothing_enabled(rehearsal: Rehearsal) -> None:
    rehearsal.cron.schedule(name="often", handler="call")
    assert not rehearsal.cron.update("often", paused_until=at(1)).enabled
    with pytest.raises(InvalidInput, match="leave enabled out"):
        rehearsal.cron.update("often", enabled=True, paused_until=at(1))


def test_why_says_until_when_and_the_reason(rehearsal: Rehearsal) -> None:
    rehearsal.cron.schedule(name="often", handler="call")
    paused = rehearsal.cron.pause("often", until=at(1), reason="the disk is full")
    answer = why(rehearsal.cron.store, paused, at(0, 30))
    assert answer.verdict == "paused"
    assert "until 2024-01-01 01:00:00Z (the disk is full)" in answer.reasons[0]
    assert why(rehearsal.cron.store, paused, at(1)).verdict == "not_yet"


def test_what_is_stored_as_enabled_is_so_whatever_it_says_of_a_pause() -> None:
    stored = {"_id": "odd", "params": {}, "enabled": True, "paused_until": at(23), "active_from": START}
    assert schedules.read(stored).is_due(at(1))
