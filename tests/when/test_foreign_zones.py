"""Is somebody who gives an abbreviation or an offset offered zones of that offset or region, or nothing?"""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo, available_timezones

import pytest

from cronlite.errors import InvalidInput
from cronlite.when import clock, foreign_zones

OFFERED = re.compile(r"'([A-Z]\w+(?:/[\w+-]+)*)'")
YEAR = [datetime(2025, month, 15, tzinfo=timezone.utc) for month in range(1, 13)]


def told(name: str) -> str:
    with pytest.raises(InvalidInput) as refused:
        clock.zone(name)
    return str(refused.value).partition("is not a time zone; ")[2]


def offsets(zone: str) -> set[timedelta | None]:
    return {at.astimezone(ZoneInfo(zone)).utcoffset() for at in YEAR}


@pytest.mark.parametrize(
    ("name", "hours"),
    [
        ("GMT+5", 5), ("GMT 5", 5), ("UTC+2", 2), ("UTC+02:00", 2), ("+0200", 2), ("-0800", -8), ("utc-8", -8),
        ("Etc/UTC+3", 3), ("UTC+5:30", 5.5), ("UTC-3:30", -3.5), ("UTC+5:45", 5.75), ("UTC+13", 13), ("gmt-3", -3),
    ],
)  # fmt: skip
def test_an_offset_is_offered_zones_of_that_very_offset(name: str, hours: float) -> None:
    zones = OFFERED.findall(told(name))
    assert zones
    for zone in zones:
        assert timedelta(hours=hours) in offsets(zone), (zone, told(name))


@pytest.mark.parametrize("name", ["UTC+15", "GMT-15", "+2300", "UTC+4:17"])
def test_an_offset_that_no_zone_has_is_offered_none(name: str) -> None:
    assert foreign_zones.EXAMPLE in told(name)


@pytest.mark.parametrize(
    ("name", "zones"),
    [
        ("CEST", ["Europe/Berlin", "Europe/Paris"]),
        ("BST", ["Europe/London", "Asia/Dhaka"]),
        ("PST", ["America/Los_Angeles", "Asia/Manila"]),
        ("PDT", ["America/Los_Angeles"]),
        ("cst", ["America/Chicago", "Asia/Shanghai", "America/Havana"]),
        ("IST", ["Asia/Kolkata", "Europe/Dublin", "Asia/Jerusalem"]),
        ("MESZ", ["Europe/Berlin"]),
        ("Z", ["UTC"]),
        ("z", ["UTC"]),
        ("UTC+0", ["UTC"]),
        ("Pacific Standard Time", ["America/Los_Angeles"]),
        ("CET-1CEST", ["Europe/Berlin"]),
        ("EST5EDT,M3.2.0,M11.1.0", ["America/New_York"]),
    ],
)
def test_an_abbreviation_is_offered_the_zones_that_it_stands_for(name: str, zones: list[str]) -> None:
    assert OFFERED.findall(told(name)) == zones


@pytest.mark.parametrize(
    ("name", "zone"),
    [
        ("utc", "UTC"),
        ("europe/berlin", "Europe/Berlin"),
        ("Berlin", "Europe/Berlin"),
        ("New York", "America/New_York"),
        ("Europe/Berln", "Europe/Berlin"),
        ("Eurpoe/Berlin", "Europe/Berlin"),
        ("America/London", "Europe/London"),
        ("Asia/Beijing", "Asia/Shanghai"),
        ("America/Boston", "America/New_York"),
        ("Europe/Bern", "Europe/Zurich"),
    ],
)
def test_a_city_is_found_in_its_region(name: str, zone: str) -> None:
    assert told(name) == f"did you mean {zone!r}?"


@pytest.mark.parametrize("name", ["XYZ", "ABCD", "Germany", "Mars/Olympus", "PSST", "localhost", "", "GMTT", "UTCC"])
def test_what_is_like_nothing_is_offered_nothing(name: str) -> None:
    assert told(name) == foreign_zones.EXAMPLE


def test_no_abbreviation_hides_a_zone_and_all_that_is_offered_exists() -> None:
    known = available_timezones()
    offered = {zone for zones in foreign_zones._ABBREVIATIONS.values() for zone in zones.split()}
    assert offered | set(foreign_zones._CITIES.values()) | set(foreign_zones._WELL_KNOWN.split()) <= known
    assert not {name.casefold() for name in known} & foreign_zones._ABBREVIATIONS.keys()
