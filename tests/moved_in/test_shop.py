"""Ten entries of a beat schedule moved in: each runs when it did, and expires when it did."""

from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timezone

import pytest

from cronlite.testing import Rehearsal
from tests.moved_in import before, shop

FRIDAY = datetime(2026, 10, 30, 5, 59, tzinfo=timezone.utc)  # the last Friday of October; on Sunday a month begins


@pytest.fixture
def rehearsal() -> Iterator[Rehearsal]:
    shop.done.clear()
    shop.down.clear()
    with Rehearsal(FRIDAY, registry=shop.registry) as rehearsal:
        shop.declare(rehearsal.cron)
        shop.declare(rehearsal.cron)  # as each process does, at each start
        yield rehearsal


def counted() -> Counter[str]:
    return Counter(what for what, _ in shop.done)


def test_all_ten_are_there_under_their_names(rehearsal: Rehearsal) -> None:
    names = [schedule.name for schedule in rehearsal.cron.schedules()]
    assert len(names) == 10
    for name in names:
        assert f'"{name}"' in (before.__doc__ or "")


def test_a_friday_morning_at_the_shop(rehearsal: Rehearsal) -> None:
    rehearsal.advance(hours=2)  # from 06:00 UTC, which is 07:00 in Berlin
    assert counted() == {"payments": 120, "sessions": 12, "crm": 2, "rates": 4, "digest": 1}
    assert ("digest", {"kind": "daily"}) in shop.done


@pytest.mark.parametrize(("name", "after", "due"), [
    ("rebuild-search", FRIDAY, "Sat 02:00"),
    ("month-end-report", FRIDAY, "Sat 22:30"),
    ("charge-subscriptions", FRIDAY, "Sun 05:00"),
    ("weekly-digest", FRIDAY, "Mon 07:00"),
    ("clean-uploads", FRIDAY, "Fri 11:15"),
])  # fmt: skip
def test_the_rare_ones_come_when_they_did(rehearsal: Rehearsal, name: str, after: datetime, due: str) -> None:
    assert f"{rehearsal.cron.get(name).next_runs(after, 1)[0]:%a %H:%M}" == due


@pytest.mark.parametrize(("name", "seconds"), [("poll-payments", 55), ("refresh-rates", 600), ("sync-crm", 1800)])
def test_what_expired_has_a_deadline(rehearsal: Rehearsal, name: str, seconds: float) -> None:
    assert rehearsal.cron.get(name).deadline_seconds == seconds


def test_a_payment_poll_that_an_outage_held_up_is_missed_and_the_next_one_runs(rehearsal: Rehearsal) -> None:
    rehearsal.outage(minutes=1, seconds=30)
    rehearsal.advance(minutes=1)
    polls = [(f"{run.due_at:%H:%M}", run.state) for run in rehearsal.runs(schedule="poll-payments")]
    assert polls == [("06:00", "missed"), ("06:01", "succeeded")]


def test_a_third_party_that_is_down_is_asked_again(rehearsal: Rehearsal) -> None:
    for name in ("poll-payments", "expire-sessions", "refresh-rates", "clean-uploads"):
        rehearsal.cron.pause(name)
    shop.down.append("since six")
    rehearsal.advance(minutes=2, raising=False)
    shop.down.clear()
    rehearsal.advance(minutes=5)
    (run,) = rehearsal.runs(handler="sync-crm")
    assert (run.state, run.attempt) == ("succeeded", 3)
