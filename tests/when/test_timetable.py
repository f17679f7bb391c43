"""Do fixed times run once and wildcards follow the clock, whatever a zone does to its clock?

The expected runs are written as local instants, checked by hand against the zones' histories.
"""

import time
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from itertools import islice, takewhile
from zoneinfo import ZoneInfo, available_timezones

import pytest

from cronlite.when import clock
from cronlite.when import pattern as cron
from cronlite.when.clock import MINUTE
from cronlite.when.timetable import Timetable

UTC = timezone.utc
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def timetable(line: str, zone: str) -> Timetable:
    return Timetable(cron.parse_line(line), clock.zone(zone))


def ticks(start: datetime, end: datetime) -> Iterator[datetime]:
    return (start + n * MINUTE for n in range((end - start) // MINUTE))


def runs(line: str, zone: str, start: str, end: str) -> list[str]:
    """Return the runs of a stretch as local instants, having seen that `due` and `next_ticks` agree on them."""
    table = timetable(line, zone)
    first, last = (datetime.fromisoformat(text).astimezone(UTC) for text in (start, end))
    due = list(filter(table.due, ticks(first, last)))
    assert list(takewhile(last.__gt__, table.next_ticks(first - MINUTE))) == due
    return [tick.astimezone(table.zone).isoformat(timespec="minutes") for tick in due]


BERLIN_SPRING = ("2025-03-30T00:00+01:00", "2025-03-31T00:00+02:00")  # 02:00 became 03:00
BERLIN_AUTUMN = ("2025-10-26T00:00+02:00", "2025-10-27T00:00+01:00")  # 03:00 became 02:00
LORD_HOWE_SPRING = ("2025-10-05T00:00+10:30", "2025-10-06T00:00+11:00")  # 02:00 became 02:30
LORD_HOWE_AUTUMN = ("2025-04-06T00:00+11:00", "2025-04-07T00:00+10:30")  # 02:00 became 01:30
CHATHAM_SPRING = ("2025-09-28T00:00+12:45", "2025-09-29T00:00+13:45")  # 02:45 became 03:45
CHATHAM_AUTUMN = ("2025-04-06T00:00+13:45", "2025-04-07T00:00+12:45")  # 03:45 became 02:45
CAIRO_SPRING = ("2024-04-25T12:00+02:00", "2024-04-27T00:00+03:00")  # 26 April 00:00 became 01:00
CAIRO_AUTUMN = ("2024-10-31T12:00+03:00", "2024-11-01T12:00+02:00")  # 1 November 00:00 became 31 October 23:00
HAVANA_AUTUMN = ("2025-11-02T00:00-04:00", "2025-11-02T12:00-05:00")  # 01:00 became 00:00
ST_JOHNS_AUTUMN = ("2010-11-06T12:00-02:30", "2010-11-07T12:00-03:30")  # 7 November 00:01 became 6 November 23:01
TROLL_SPRING = ("2025-03-30T00:00+00:00", "2025-03-31T00:00+02:00")  # 01:00 became 03:00
CARACAS_2007 = ("2007-12-09T00:00-04:00", "2007-12-09T12:00-04:30")  # 03:00 became 02:30
CARACAS_2016 = ("2016-05-01T00:00-04:30", "2016-05-01T12:00-04:00")  # 02:30 became 03:00
APIA_2011 = ("2011-12-29T00:00-10:00", "2012-01-01T00:00+14:00")  # 30 December 00:00 became the 31st


@pytest.mark.parametrize(
    ("line", "zone", "stretch", "expected"),
    [
        ("30 2 * * *", "Europe/Berlin", BERLIN_SPRING, ["2025-03-30T03:00+02:00"]),
        ("0,59 2 * * *", "Europe/Berlin", BERLIN_SPRING, ["2025-03-30T03:00+02:00"]),
        ("0 2,3 * * *", "Europe/Berlin", BERLIN_SPRING, ["2025-03-30T03:00+02:00"]),
        (
            "30 1-3 * * *",
            "Europe/Berlin",
            BERLIN_SPRING,
            ["2025-03-30T01:30+01:00", "2025-03-30T03:00+02:00", "2025-03-30T03:30+02:00"],
        ),
        ("*/30 2 * * *", "Europe/Berlin", BERLIN_SPRING, []),
        ("*/30 3 * * *", "Europe/Berlin", BERLIN_SPRING, ["2025-03-30T03:00+02:00", "2025-03-30T03:30+02:00"]),
        ("30 2 29 3 *", "Europe/Berlin", BERLIN_SPRING, []),
        ("30 2 * * *", "Europe/Berlin", BERLIN_AUTUMN, ["2025-10-26T02:30+02:00"]),
        (
            "0 2,3 * * *",
            "Europe/Berlin",
            BERLIN_AUTUMN,
            ["2025-10-26T02:00+02:00", "2025-10-26T03:00+01:00"],
        ),
        (
            "*/30 2 * * *",
            "Europe/Berlin",
            BERLIN_AUTUMN,
            [
                "2025-10-26T02:00+02:00",
                "2025-10-26T02:30+02:00",
                "2025-10-26T02:00+01:00",
                "2025-10-26T02:30+01:00",
            ],
        ),
        ("15 2 * * *", "Australia/Lord_Howe", LORD_HOWE_SPRING, ["2025-10-05T02:30+11:00"]),
        ("45 2 * * *", "Australia/Lord_Howe", LORD_HOWE_SPRING, ["2025-10-05T02:45+11:00"]),
        ("*/15 2 * * *", "Australia/Lord_Howe", LORD_HOWE_SPRING, ["2025-10-05T02:30+11:00", "2025-10-05T02:45+11:00"]),
        ("45 1 * * *", "Australia/Lord_Howe", LORD_HOWE_AUTUMN, ["2025-04-06T01:45+11:00"]),
        (
            "*/45 1 * * *",
            "Australia/Lord_Howe",
            LORD_HOWE_AUTUMN,
            ["2025-04-06T01:00+11:00", "2025-04-06T01:45+11:00", "2025-04-06T01:45+10:30"],
        ),
        ("0 3 * * *", "Pacific/Chatham", CHATHAM_SPRING, ["2025-09-28T03:45+13:45"]),
        ("44 2 * * *", "Pacific/Chatham", CHATHAM_SPRING, ["2025-09-28T02:44+12:45"]),
        ("0 3 * * *", "Pacific/Chatham", CHATHAM_AUTUMN, ["2025-04-06T03:00+13:45"]),
        ("0 */3 * * *", "Pacific/Chatham", CHATHAM_AUTUMN[:1] + ("2025-04-06T05:00+12:45",), [
            "2025-04-06T00:00+13:45", "2025-04-06T03:00+13:45", "2025-04-06T03:00+12:45",
        ]),
        ("0 0 * * *", "Africa/Cairo", CAIRO_SPRING, ["2024-04-26T01:00+03:00"]),
        ("0 0 26 4 *", "Africa/Cairo", CAIRO_SPRING, ["2024-04-26T01:00+03:00"]),
        ("0 0 25 4 *", "Africa/Cairo", CAIRO_SPRING, []),
        ("30 23 * * *", "Africa/Cairo", CAIRO_AUTUMN, ["2024-10-31T23:30+03:00"]),
        ("0 0 * * *", "Africa/Cairo", CAIRO_AUTUMN, ["2024-11-01T00:00+02:00"]),
        ("30 0 * * *", "America/Havana", HAVANA_AUTUMN, ["2025-11-02T00:30-04:00"]),
        ("0 0 * * *", "America/St_Johns", ST_JOHNS_AUTUMN, ["2010-11-07T00:00-02:30"]),
        ("30 23 * * *", "America/St_Johns", ST_JOHNS_AUTUMN, ["2010-11-06T23:30-02:30"]),
        ("1 0 * * *", "America/St_Johns", ST_JOHNS_AUTUMN, ["2010-11-07T00:01-03:30"]),
        ("30 1,2 * * *", "Antarctica/Troll", TROLL_SPRING, ["2025-03-30T03:00+02:00"]),
        ("45 2 * * *", "America/Caracas", CARACAS_2007, ["2007-12-09T02:45-04:00"]),
        ("45 2 * * *", "America/Caracas", CARACAS_2016, ["2016-05-01T03:00-04:00"]),
        ("15 2 * * *", "America/Caracas", CARACAS_2016, ["2016-05-01T02:15-04:30"]),
        ("0 12 30 12 *", "Pacific/Apia", APIA_2011, []),
        ("0 0 * * *", "Pacific/Apia", APIA_2011, ["2011-12-29T00:00-10:00", "2011-12-31T00:00+14:00"]),
        ("30 23 * * *", "Pacific/Apia", APIA_2011, ["2011-12-29T23:30-10:00", "2011-12-31T23:30+14:00"]),
    ],
)  # fmt: skip
def test_on_a_day_when_the_clock_changes_these_run(
    line: str, zone: str, stretch: tuple[str, str], expected: list[str]
) -> None:
    assert runs(line, zone, *stretch) == expected


def ahead(tick: datetime, zone: ZoneInfo) -> timedelta:
    return tick.astimezone(zone).utcoffset() or timedelta(0)


def changes(first: datetime, last: datetime) -> Iterator[tuple[ZoneInfo, datetime, tuple[timedelta, str]]]:
    """Yield each change of any zone's clock: the zone, its first tick after it, and the shape of the change."""
    for name in sorted(available_timezones() - {"localtime", "posixrules"}):
        zone = ZoneInfo(name)
        day = first
        while day < last:
            before, after = (at.astimezone(zone).utcoffset() for at in (day, day + DAY))
            if before is not None and after is not None and before != after:
                tick = next(
                    tick for tick in ticks(day, day + DAY + MINUTE) if tick.astimezone(zone).utcoffset() == after
                )
                yield zone, tick, (after - before, f"{tick.astimezone(zone):%H:%M}")
            day += DAY


def debian_runs(line: str, zone: ZoneInfo, start: datetime, end: datetime) -> list[datetime]:
    """Say when Debian's cron would run a line, told its own way: by the latest minute that the clock has shown."""
    pattern = cron.parse_line(line)
    wildcard = any(word.startswith("*") for word in line.split()[:2])
    latest = (start - MINUTE).astimezone(zone).replace(tzinfo=None)
    found = []
    for tick in ticks(start, end):
        shown = tick.astimezone(zone).replace(tzinfo=None, fold=0)
        new = [latest + n * MINUTE for n in range(1, (shown - latest) // MINUTE + 1)]
        if any(map(pattern.matches, [shown] if wildcard else new)):
            found.append(tick)
        latest = max(latest, shown)
    return found


@pytest.fixture(scope="module")
def shapes() -> dict[tuple[timedelta, str], tuple[ZoneInfo, datetime]]:
    """One zone and change for each shape: by how much a clock is moved, and what it shows then."""
    found = changes(datetime(2026, 1, 1, tzinfo=UTC), datetime(2028, 1, 1, tzinfo=UTC))
    return {shape: (zone, tick) for zone, tick, shape in found}


@pytest.mark.xdist_group("shapes")
def test_every_shape_of_change_in_2026_and_2027_is_handled_as_debian_does(
    shapes: dict[tuple[timedelta, str], tuple[ZoneInfo, datetime]],
) -> None:
    fixed = ["30 0-23 * * *", "0,15,30,45 0-23 * * *", "0-59 0-23 * * *", "0 0 * * *", "30 2 * * *", "15 23 * * *"]
    wildcards = ["* * * * *", "*/15 * * * *", "0 * * * *", "30 */2 * * *", "*/10 0-3 * * *"]
    for shape, (zone, change) in shapes.items():
        start, end = change - 9 * HOUR, change + 9 * HOUR
        for line in fixed + wildcards:
            expected = debian_runs(line, zone, start, end)
            table = Timetable(cron.parse_line(line), zone)
            assert list(filter(table.due, ticks(start, end))) == expected, (line, shape, zone)
            assert list(takewhile(end.__gt__, table.next_ticks(start - MINUTE))) == expected, (line, shape, zone)


@pytest.mark.xdist_group("shapes")
def test_the_shapes_are_as_many_as_the_world_has(
    shapes: dict[tuple[timedelta, str], tuple[ZoneInfo, datetime]],
) -> None:
    assert {
        (timedelta(minutes=60), "03:00"),  # most of Europe and of North America
        (timedelta(minutes=-60), "02:00"),
        (timedelta(minutes=30), "02:30"),  # Lord Howe
        (timedelta(minutes=-30), "01:30"),
        (timedelta(minutes=60), "03:45"),  # Chatham
        (timedelta(minutes=-60), "02:45"),
        (timedelta(minutes=60), "01:00"),  # at midnight: Havana, Beirut
        (timedelta(minutes=-60), "00:00"),
        (timedelta(minutes=120), "03:00"),  # Troll
    } <= shapes.keys()
    assert len(shapes) >= 12


@pytest.mark.parametrize(
    ("line", "tick", "told"),
    [
        ("30 2 * * *", "2025-03-29T02:30+01:00", None),
        ("30 2 * * *", "2025-03-30T03:00+02:00", "02:30 is skipped that day: runs at the first minute after"),
        (
            "0,30 2 * * *",
            "2025-03-30T03:00+02:00",
            "02:00 to 02:30 are skipped that day: runs once, at the first minute after",
        ),
        ("0 3 * * *", "2025-03-30T03:00+02:00", None),
        ("0 * * * *", "2025-03-30T03:00+02:00", "02:00 is skipped that day: not made up for"),
        ("30 2 * * *", "2025-10-26T02:30+02:00", "the clock shows 02:30 twice: runs the first time only"),
        ("30 2 * * *", "2025-10-26T02:30+01:00", "the clock shows 02:30 twice: runs the first time only"),
        ("*/30 2 * * *", "2025-10-26T02:30+02:00", "the clock shows 02:30 twice: runs both times"),
        ("*/30 2 * * *", "2025-10-26T02:30+01:00", "the clock shows 02:30 twice: runs both times"),
        ("30 1 * * *", "2025-10-26T01:30+02:00", None),
        ("0 3 * * *", "2025-10-26T03:00+01:00", None),
        ("30 2 * * *", "2025-10-26T02:31+02:00", None),
    ],
)
def test_an_oddity_is_told_where_there_is_one(line: str, tick: str, told: str | None) -> None:
    assert timetable(line, "Europe/Berlin").oddity(datetime.fromisoformat(tick).astimezone(UTC)) == told


def test_a_change_of_more_than_three_hours_is_no_oddity() -> None:
    table = timetable("0 22 * * *", "Pacific/Kwajalein")  # where, 23 hours on, it was 30 September 1969, 22:00, again
    first, second = datetime(1969, 9, 30, 11, tzinfo=UTC), datetime(1969, 10, 1, 10, tzinfo=UTC)
    assert [(table.due(tick), table.oddity(tick)) for tick in (first, second)] == [(True, None), (True, None)]


def test_the_next_ticks_are_strictly_later() -> None:
    table = timetable("*/30 * * * *", "UTC")
    tick = datetime(2026, 11, 21, 10, 30, tzinfo=UTC)
    assert next(table.next_ticks(tick)) == tick + 30 * MINUTE
    assert next(table.next_ticks(tick - timedelta(microseconds=1))) == tick
    assert next(table.next_ticks(tick + timedelta(seconds=59))) == tick + 30 * MINUTE


@pytest.mark.parametrize(
    ("zone", "first", "last"),
    [
        ("Pacific/Kiritimati", "2026-12-30T10:00+00:00", "2026-12-31T09:59+00:00"),
        ("Pacific/Niue", "2026-12-31T11:00+00:00", "2027-01-01T10:59+00:00"),
    ],
)
def test_a_day_reaches_into_its_neighbours_in_utc(zone: str, first: str, last: str) -> None:
    table = timetable("0,59 0,23 31 12 *", zone)
    found = list(islice(table.next_ticks(datetime(2026, 6, 1, tzinfo=UTC)), 4))
    assert [found[0], found[-1]] == [datetime.fromisoformat(first), datetime.fromisoformat(last)]


def test_a_rare_date_is_found_quickly_even_across_a_century_without_leap_year() -> None:
    table = Timetable(cron.Pattern.of(0, 0, 29, 2, "mon"), clock.zone("UTC"))
    started = time.perf_counter()
    found = list(islice(table.next_ticks(datetime(2026, 1, 1, tzinfo=UTC)), 4))
    assert time.perf_counter() - started < 1
    assert [tick.year for tick in found] == [2044, 2072, 2112, 2140]


def test_the_next_ticks_end_where_there_are_none() -> None:
    # The clock skips 02:00 to 02:59 on every last Sunday of March, and a wildcard is not made up for.
    table = timetable("*/5 2 * mar sunL", "Europe/Berlin")
    assert list(table.next_ticks(datetime(2026, 1, 1, tzinfo=UTC))) == []


@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo", "America/New_York"])
def test_the_ends_of_time_are_no_accidents(zone: str) -> None:
    table = timetable("0 * * * *", zone)
    first, last = (end.replace(tzinfo=UTC) for end in (datetime.min, datetime.max))
    assert list(table.next_ticks(last)) == []
    assert list(table.next_ticks(last - DAY)) == []
    start = datetime(1, 1, 1, tzinfo=UTC)
    due = list(filter(table.due, ticks(start, start + 3 * DAY)))
    assert [tick for tick in islice(table.next_ticks(first), 80) if tick < start + 3 * DAY] == due[due[0] == start :]
    for end in (first, last):
        assert not timetable("0 0 1 6 *", zone).due(clock.floor_minute(end))
        assert table.oddity(clock.floor_minute(end)) is None


def test_sparse_days_are_the_same_ticks_by_search_and_by_due() -> None:
    zone = clock.zone("Europe/London")
    start, end = datetime(2026, 10, 15, tzinfo=UTC), datetime(2026, 11, 5, tzinfo=UTC)
    for fields in ({"day": "L", "hour": 1, "minute": 30}, {"weekday": "sun#1,sunL", "hour": "0-2", "minute": "*/20"}):
        table = Timetable(cron.Pattern.of(**fields), zone)
        expected = list(filter(table.due, ticks(start, end)))
        assert list(takewhile(end.__gt__, table.next_ticks(start - MINUTE))) == expected
