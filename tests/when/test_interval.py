"""Is an interval due where it should be, be it of seconds or of whole days, on clocks that are put forward and back?"""

from datetime import datetime, timedelta, timezone
from itertools import islice, pairwise
from zoneinfo import ZoneInfo

import pytest

from cronlite.documents.schedules import Schedule
from cronlite.errors import InvalidInput
from cronlite.when import interval

MINUTE = timedelta(minutes=1)
NOW = datetime(2026, 11, 21, 2, 30, 7, tzinfo=timezone.utc)


def local(schedule: Schedule, after: datetime, count: int) -> list[str]:
    zone = ZoneInfo(schedule.tz)
    return [f"{tick.astimezone(zone):%m-%d %H:%M:%S}" for tick in schedule.next_runs(after, count)]


@pytest.mark.parametrize(
    ("given", "text", "described"),
    [
        ("10s", "10s", "every 10 seconds"),
        ("1s", "1s", "every second"),
        ("60s", "1m", "every minute"),
        ("90m", "90m", "every 90 minutes"),
        ("120m", "2h", "every 2 hours"),
        ("24h", "1d", "every day at 00:00"),
        ("2w", "14d", "every 14 days at 00:00"),
        ("366d", "366d", "every 366 days at 00:00"),
    ],
)
def test_an_interval_has_one_spelling_and_one_description(given: str, text: str, described: str) -> None:
    schedule = Schedule(every=given)
    assert (schedule.every, schedule.describe()) == (text, described)
    assert given in interval.spellings()


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("7s", "does not divide a minute; below a minute, give one of 1s, 2s, 3s, 4s, 5s, 6s, 10s, 12s, 15s, 20s, 30s"),
        ("90s", "is not of whole minutes; from a minute on, give whole ones, such as '1m'"),
        ("36h", "is not of whole days; from a day on, give whole ones, such as '1d'"),
        ("0s", "is out of range; give 1s to 366d"),
        ("367d", "is out of range; give 1s to 366d"),
        ("01m", "is no interval; say '1m'"),
        ("86400s", "is no interval; say '1d'"),
        ("soon", "is no interval; give a number and a unit, such as '10s', '90m', '2h' or '1d'"),
        ("10s\n", "is no interval; give a number and a unit, such as '10s', '90m', '2h' or '1d'"),
        ("\u0661s", "is no interval; give a number and a unit, such as '10s', '90m', '2h' or '1d'"),
        (10, "is not text; give a number and a unit, such as '10s', '90m', '2h' or '1d'"),
        (["10s"], "is not text; give a number and a unit, such as '10s', '90m', '2h' or '1d'"),
    ],
)
def test_what_is_no_interval_is_refused_with_a_way_out(given: str, told: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        Schedule(every=given)
    assert str(refused.value) == f"every: {given!r} {told}"


def test_an_interval_stands_alone() -> None:
    with pytest.raises(InvalidInput, match=r"minute: 5 goes with no every; .*either_day: True goes with no every"):
        Schedule(every="10s", minute=5, either_day=True)
    with pytest.raises(InvalidInput, match="every: '10s' goes with no cron line"):
        Schedule(every="10s", cron="* * * * *")


def test_below_a_minute_nothing_waits_and_no_gap_is_made_up_for_in_full() -> None:
    with pytest.raises(InvalidInput, match=r"overlap: 'wait' .* catch_up: 'all' .*burst"):
        Schedule(every="30s", overlap="wait", catch_up="all")
    Schedule(every="1m", overlap="wait", catch_up="all")


def test_instants_are_multiples_in_utc_whatever_the_clock() -> None:
    assert local(Schedule(every="20s"), NOW, 3) == ["11-21 02:30:20", "11-21 02:30:40", "11-21 02:31:00"]
    assert local(Schedule(every="90m"), NOW, 3) == ["11-21 03:00:00", "11-21 04:30:00", "11-21 06:00:00"]
    # Put forward from 02:00 to 03:00: still 90 minutes apart.
    before = datetime(2026, 3, 29, 0, 0, tzinfo=timezone.utc)
    berlin = Schedule(every="90m", tz="Europe/Berlin")
    assert local(berlin, before - MINUTE, 3) == ["03-29 01:00:00", "03-29 03:30:00", "03-29 05:00:00"]


@pytest.mark.parametrize(
    ("zone", "changing"),
    [("Europe/Berlin", datetime(2026, 3, 28)), ("America/New_York", datetime(2026, 10, 31))],
)
def test_whole_days_are_midnights_of_the_zone_over_changes_of_its_clock(zone: str, changing: datetime) -> None:
    after = changing.replace(tzinfo=ZoneInfo(zone))
    assert [text[6:] for text in local(Schedule(every="1d", tz=zone), after, 5)] == ["00:00:00"] * 5
    every_third = Schedule(every="3d", tz=zone).next_runs(after, 4)
    days = [tick.astimezone(ZoneInfo(zone)).date() for tick in every_third]
    assert [(day - datetime(1970, 1, 1).date()).days % 3 for day in days] == [0] * 4
    assert {later - earlier for earlier, later in pairwise(days)} == {timedelta(days=3)}


def test_a_midnight_that_is_skipped_is_made_up_for_right_after() -> None:
    """In Santiago the clock went from 00:00 to 01:00 on 2026-09-06."""
    after = datetime(2026, 9, 5, 12, tzinfo=timezone.utc)
    assert local(Schedule(every="1d", tz="America/Santiago"), after, 2) == ["09-06 01:00:00", "09-07 00:00:00"]


def test_a_midnight_that_comes_twice_counts_once() -> None:
    """In Havana the clock went from 01:00 back to 00:00 on 2026-11-01."""
    after = datetime(2026, 10, 31, 12, tzinfo=timezone.utc)
    ticks = Schedule(every="1d", tz="America/Havana").next_runs(after, 2)
    assert [f"{tick:%d %H:%M}" for tick in ticks] == ["01 04:00", "02 05:00"]


@pytest.mark.parametrize("every", ["1s", "1m", "7m", "90m", "2h", "1d", "3d"])
def test_what_comes_next_is_what_is_due(every: str) -> None:
    table = Schedule(every=every, tz="America/Santiago").timetable
    start = datetime(2026, 9, 5, tzinfo=timezone.utc)
    due = [start + n * MINUTE for n in range(3 * 1440) if table.due(start + n * MINUTE)]
    instants = [instant for tick in due for instant in table.instants(tick)]
    assert list(islice(table.next_ticks(start - MINUTE / 60_000), len(instants))) == instants


def test_below_a_minute_it_begins_with_the_minute_after_it_was_made() -> None:
    schedule = Schedule(every="30s", active_from=NOW)
    assert not schedule.is_due(NOW.replace(second=0))
    assert [f"{tick:%M:%S}" for tick in schedule.next_runs(NOW, 2)] == ["31:00", "31:30"]
