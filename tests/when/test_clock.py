"""Does a tick read right on every zone's clock, and does nothing but a zone's name open a zone?"""

from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo, available_timezones

import pytest

from cronlite.errors import InvalidInput
from cronlite.when import clock
from cronlite.when.clock import MINUTE, Wall

UTC = timezone.utc
FIRST = datetime.min.replace(tzinfo=UTC)
LAST = datetime.max.replace(tzinfo=UTC)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def minutes(*texts: str) -> tuple[datetime, ...]:
    return tuple(map(datetime.fromisoformat, texts))


@pytest.mark.parametrize(
    ("now", "wake"),
    [
        ("2026-11-21T10:00:00+00:00", "2026-11-21T10:00:01+00:00"),
        ("2026-11-21T10:00:00.500000+00:00", "2026-11-21T10:00:01+00:00"),
        ("2026-11-21T10:00:01+00:00", "2026-11-21T10:01:01+00:00"),
        ("2026-11-21T10:00:01.000001+00:00", "2026-11-21T10:01:01+00:00"),
        ("2026-11-21T10:00:59.999999+00:00", "2026-11-21T10:01:01+00:00"),
        ("2026-12-31T23:59:30+00:00", "2027-01-01T00:00:01+00:00"),
        ("2026-11-21T15:30:00+05:30", "2026-11-21T10:00:01+00:00"),
    ],
)
def test_a_daemon_wakes_one_second_after_each_minute(now: str, wake: str) -> None:
    assert clock.next_wake(at(now)) == at(wake)
    assert clock.next_wake(at(now)).tzinfo is UTC


def test_the_tick_of_an_instant_is_its_minute_in_utc() -> None:
    assert clock.floor_minute(at("2026-11-21T15:30:59.999999+05:30")) == at("2026-11-21T10:00:00+00:00")
    # Before 1893 Berlin's clock stood 53 minutes and 28 seconds ahead.
    berlin = datetime(1890, 1, 1, 12, 0, tzinfo=ZoneInfo("Europe/Berlin"))
    assert clock.floor_minute(berlin) == at("1890-01-01T11:06:00+00:00")


def test_a_naive_instant_is_refused() -> None:
    for ask in (clock.utc, clock.floor_minute, clock.next_wake):
        with pytest.raises(InvalidInput, match="has no time zone; give an aware one"):
            ask(datetime(2026, 1, 1))


def test_the_ends_of_time_are_no_accidents() -> None:
    assert clock.next_wake(FIRST) == FIRST + timedelta(seconds=1)
    assert clock.next_wake(LAST) == LAST
    with pytest.raises(InvalidInput, match="out of range"):
        clock.utc(datetime.min.replace(tzinfo=timezone(timedelta(hours=1))))
    for name in ("Asia/Tokyo", "America/New_York", "UTC"):
        for tick in (FIRST, FIRST + timedelta(hours=4), LAST, LAST - timedelta(hours=4)):
            reading = clock.wall(clock.floor_minute(tick), clock.zone(name))
            assert (reading.repeated, reading.skipped) == (False, ())


def test_every_zone_of_the_database_opens() -> None:
    names = available_timezones() - {"localtime", "posixrules"}
    assert len(names) > 400
    for name in names:
        assert clock.zone(name).key == name


def test_a_zone_is_opened_once() -> None:
    assert clock.zone("Europe/Berlin") is clock.zone("Europe/Berlin")


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("Europe/berlin", "did you mean 'Europe/Berlin'?"),
        ("Berlin", "did you mean 'Europe/Berlin'?"),
        ("Eruope/Berlin", "did you mean 'Europe/Berlin'?"),
        ("new york", "did you mean 'America/New_York'?"),
        ("utc", "did you mean 'UTC'?"),
        ("Europe/Berlin\n", "did you mean 'Europe/Berlin'?"),
        ("right/Europe/Berlin", "is not a time zone"),
        ("posix/Europe/Berlin", "is not a time zone"),
        ("Europe", "is not a time zone"),
        ("+02:00", "an offset is no zone"),
        ("", "is not a time zone"),
        (".", "is not a time zone"),
        ("..", "is not a time zone"),
        ("../zoneinfo/UTC", "is not a time zone"),
        ("Europe/../UTC", "is not a time zone"),
        ("/etc/localtime", "is not a time zone"),
        ("/usr/share/zoneinfo/UTC", "is not a time zone"),
        ("localtime", "is not a time zone"),
        ("posixrules", "is not a time zone"),
        ("leapseconds", "is not a time zone"),
        ("zone.tab", "is not a time zone"),
        ("__init__", "is not a time zone"),
        ("UTC\0", "is not a time zone"),
        ("\u0665", "is not a time zone"),
        ("x" * 2_000_000, "is not a time zone"),
        (None, "is not a name"),
        (5, "is not a name"),
        (["UTC"], "is not a name"),
    ],
)
def test_what_is_not_a_zone_is_refused_with_a_way_out(name: object, told: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        clock.zone(name)
    (fault,) = refused.value.faults
    assert fault.field == "tz"
    assert told in str(fault)
    assert "'localtime'?" not in str(fault)
    assert len(str(fault)) < 300


BERLIN = {
    "2025-03-30T00:59+00:00": Wall(at("2025-03-30T01:59")),
    "2025-03-30T01:00+00:00": Wall(
        at("2025-03-30T03:00"), skipped=minutes(*(f"2025-03-30T02:{n:02}" for n in range(60)))
    ),
    "2025-03-30T01:01+00:00": Wall(at("2025-03-30T03:01")),
    "2025-10-26T00:59+00:00": Wall(at("2025-10-26T02:59")),
    "2025-10-26T01:00+00:00": Wall(at("2025-10-26T02:00"), repeated=True),
    "2025-10-26T01:59+00:00": Wall(at("2025-10-26T02:59"), repeated=True),
    "2025-10-26T02:00+00:00": Wall(at("2025-10-26T03:00")),
}
LORD_HOWE = {
    "2025-04-05T14:59+00:00": Wall(at("2025-04-06T01:59")),
    "2025-04-05T15:00+00:00": Wall(at("2025-04-06T01:30"), repeated=True),
    "2025-04-05T15:29+00:00": Wall(at("2025-04-06T01:59"), repeated=True),
    "2025-04-05T15:30+00:00": Wall(at("2025-04-06T02:00")),
    "2025-10-04T15:30+00:00": Wall(
        at("2025-10-05T02:30"), skipped=minutes(*(f"2025-10-05T02:{n:02}" for n in range(30)))
    ),
}
APIA = {  # a whole day left out: no DST, and nothing to make up
    "2011-12-30T09:59+00:00": Wall(at("2011-12-29T23:59")),
    "2011-12-30T10:00+00:00": Wall(at("2011-12-31T00:00")),
}
KWAJALEIN = {  # a whole day twice, all but an hour
    "1969-09-30T12:59+00:00": Wall(at("1969-09-30T23:59")),
    "1969-09-30T13:00+00:00": Wall(at("1969-09-30T01:00")),
    "1969-09-30T14:00+00:00": Wall(at("1969-09-30T02:00")),
}
BERLIN_1893 = {  # from 0:53:28 ahead to an hour, between two ticks
    "1893-03-31T23:06+00:00": Wall(at("1893-03-31T23:59")),
    "1893-03-31T23:07+00:00": Wall(
        at("1893-04-01T00:07"), skipped=minutes(*(f"1893-04-01T00:{n:02}" for n in range(7)))
    ),
}
NEW_YORK_1883 = {  # from 4:56:02 behind to five hours: put back by 3 minutes and 58 seconds
    "1883-11-18T16:59+00:00": Wall(at("1883-11-18T12:02")),
    "1883-11-18T17:00+00:00": Wall(at("1883-11-18T12:00"), repeated=True),
    "1883-11-18T17:02+00:00": Wall(at("1883-11-18T12:02"), repeated=True),
    "1883-11-18T17:03+00:00": Wall(at("1883-11-18T12:03")),
}
GRAND_TURK_1890 = {  # from 4:44:32 behind to 5:07:10: put back by 22 minutes and 38 seconds
    "1890-01-01T04:44+00:00": Wall(at("1889-12-31T23:59")),
    "1890-01-01T04:45+00:00": Wall(at("1889-12-31T23:37"), repeated=True),
    "1890-01-01T05:07+00:00": Wall(at("1889-12-31T23:59"), repeated=True),
    "1890-01-01T05:08+00:00": Wall(at("1890-01-01T00:00")),
}
MONROVIA = {  # from 0:44:30 behind to none
    "1972-01-07T00:44+00:00": Wall(at("1972-01-06T23:59")),
    "1972-01-07T00:45+00:00": Wall(
        at("1972-01-07T00:45"), skipped=minutes(*(f"1972-01-07T00:{n:02}" for n in range(45)))
    ),
}


@pytest.mark.parametrize(
    ("zone", "readings"),
    [
        ("Europe/Berlin", BERLIN),
        ("Australia/Lord_Howe", LORD_HOWE),
        ("Pacific/Apia", APIA),
        ("Pacific/Kwajalein", KWAJALEIN),
        ("Europe/Berlin", BERLIN_1893),
        ("America/New_York", NEW_YORK_1883),
        ("America/Grand_Turk", GRAND_TURK_1890),
        ("Africa/Monrovia", MONROVIA),
    ],
)
def test_a_clock_shows_these_minutes(zone: str, readings: dict[str, Wall]) -> None:
    assert {tick: clock.wall(at(tick), clock.zone(zone)) for tick in readings} == readings


@pytest.mark.parametrize("name", ["Europe/Dublin", "America/St_Johns", "Africa/Casablanca", "Europe/Lisbon"])
def test_a_minute_is_repeated_where_an_earlier_tick_showed_it(name: str) -> None:
    """These had double summer time, changes at 00:01, and a winter time for Ramadan."""
    zone, day = clock.zone(name), timedelta(days=1)
    start = datetime(1930, 1, 1, tzinfo=UTC)
    days = [start + n * day for n in range(365 * 90)]
    changes = [d for d in days if d.astimezone(zone).utcoffset() != (d + day).astimezone(zone).utcoffset()]
    assert len(changes) > 20
    for change in changes[:: max(1, len(changes) // 20)]:
        shown: list[datetime] = []
        for n in range(-240, 24 * 60 + 240):
            tick = change + n * MINUTE
            minute = tick.astimezone(zone).replace(tzinfo=None, fold=0, second=0)
            reading = clock.wall(tick, zone)
            assert reading.minute == minute
            if n >= 0:
                assert reading.repeated is (minute in shown[-180:]), (tick, reading)
                assert len(reading.skipped) == max(0, (minute - shown[-1]) // MINUTE - 1), (tick, reading)
            shown.append(minute)
