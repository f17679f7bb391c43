"""Do two other readers of cron, croniter and cronsim, read random lines as we do? And do our own two ways agree?

An oracle's word counts where both say the same. Left out is what they get wrong: `8-8/2` (they run on to the end of
the range), and all times near a change of the clock (half hours; runs doubled in autumn).
"""

import random
from datetime import datetime, timedelta, timezone
from itertools import takewhile
from zoneinfo import ZoneInfo

import pytest
from croniter import croniter
from cronsim import CronSim, CronSimError

from cronlite.errors import InvalidExpression
from cronlite.when import clock
from cronlite.when import pattern as cron
from cronlite.when.clock import MINUTE
from cronlite.when.limits import MONTHS, WEEKDAYS
from cronlite.when.timetable import Timetable

UTC = timezone.utc
LIMITS = {"minute": (0, 59), "hour": (0, 23), "day": (1, 31), "month": (1, 12), "weekday": (0, 6)}
ZONES = ["UTC", "Europe/Berlin", "America/New_York", "America/St_Johns", "Asia/Kathmandu", "Asia/Kolkata"]
ZONES += ["Australia/Lord_Howe", "Pacific/Chatham", "Pacific/Apia", "Africa/Cairo", "America/Caracas"]


def item(seed: random.Random, name: str, near: int) -> str:
    """Return a random expression of one field without a comma, which fits the number `near` more often than not."""
    low, high = LIMITS[name]
    start = near if seed.random() < 0.6 else seed.randint(low, high)
    end = seed.randint(start, high)
    step = seed.randint(1, max(2, high // 3))
    forms = [f"{start}", f"{start:02}", f"*/{step}", f"{start}-{end}"]
    if end > start:
        forms += [f"{start}-{end}/{step}", f"{start}/{step}"]
    if name in ("month", "weekday"):
        titles = MONTHS if name == "month" else WEEKDAYS
        forms += [seed.choice((str.lower, str.upper, str.title))(titles[start - low][:3])] * 2
    if name == "weekday":
        forms += [f"{start}#{seed.randint(1, 5)}", f"{start}-7", "7"]
    if name == "day":
        forms += ["L"]
    return seed.choice(forms)


def random_line(seed: random.Random, wall: datetime) -> str:
    """Return a random line that fits a wall minute now and then."""
    near = (wall.minute, wall.hour, wall.day, wall.month, wall.isoweekday() % 7)
    words = []
    for name, number in zip(cron.FIELDS, near, strict=True):
        items = [item(seed, name, number) for _ in range(seed.choice((1, 1, 1, 2, 3)))]
        words.append("*" if seed.random() < 0.45 else ",".join(items))
    return " ".join(words)


def random_tick(seed: random.Random) -> datetime:
    return datetime(2000, 1, 1, tzinfo=UTC) + seed.randrange(30 * 365 * 24 * 60) * MINUTE


def oracles(line: str, wall: datetime) -> bool | None:
    """Return what croniter and cronsim both say of a wall minute, or None."""
    try:
        # cronsim searches on to the next match, over decades of days if need be: not where the day says no.
        theirs = CronSim(line, wall - MINUTE)
        if not theirs.match_day(wall.date()) or wall.month not in theirs.months:
            said = False
        else:
            said = next(theirs) == wall
        return said if said is croniter.match(line, wall) else None
    except (ValueError, CronSimError):  # one of them does not know all of the grammar
        return None


def is_due(line: str, zone: ZoneInfo, tick: datetime) -> bool:
    try:
        return Timetable(cron.parse_line(line), zone).due(tick)
    except InvalidExpression as refused:
        if "can never be due" in str(refused):
            return False
        raise


@pytest.mark.parametrize("cases", [1_000, pytest.param(10_000, marks=pytest.mark.slow)])
def test_croniter_and_cronsim_read_random_lines_the_same_way(seed: random.Random, cases: int) -> None:
    agreed = due = 0
    for _ in range(2 * cases):  # of some nothing is to be said, now more and now fewer
        if agreed == cases:
            break
        tick, zone = random_tick(seed), clock.zone(seed.choice(ZONES))
        hours = [clock.wall(tick + timedelta(hours=n), zone).minute - timedelta(hours=n) for n in (-4, 0, 4)]
        if len(set(hours)) > 1:
            continue
        wall = hours[1]
        line = random_line(seed, wall)
        expected = oracles(line, wall)
        if expected is not None:
            assert is_due(line, zone, tick) is expected, (line, zone.key, wall.isoformat())
            agreed, due = agreed + 1, due + expected
    assert agreed > 0.9 * cases
    assert due > 0.1 * cases


def test_what_cronsim_alone_knows_is_read_the_same_way(seed: random.Random) -> None:
    for _ in range(1_000):
        wall = random_tick(seed).replace(tzinfo=None)
        weekday = seed.choice([f"{seed.randint(0, 7)}L", f"fri#{seed.randint(1, 5)}", "*"])
        line = f"* * {seed.choice(['LW', 'L', '*'])} * {weekday}"
        expected = CronSim(line, wall).match_day(wall.date())
        assert cron.parse_line(line).matches(wall) is expected, (line, wall.isoformat())


def test_the_next_ticks_are_those_that_are_due(seed: random.Random) -> None:
    for _ in range(40):
        zone = clock.zone(seed.choice(ZONES))
        change = near_a_change(seed, zone.key)
        start, end = change - timedelta(hours=20), change + timedelta(hours=20)
        for _ in range(4):
            table = random_timetable(seed, change, zone.key)
            due = [tick for n in range((end - start) // MINUTE) if table.due(tick := start + n * MINUTE)]
            found = list(takewhile(end.__gt__, table.next_ticks(start - MINUTE)))
            assert found == due, (table.pattern.expressions(), table.pattern.either_day, zone.key, start.isoformat())


def near_a_change(seed: random.Random, name: str) -> datetime:
    """Return a tick with a change of the zone's clock within a day of it, where its history has one soon."""
    zone, tick = clock.zone(name), random_tick(seed)
    for _ in range(400):
        offsets = {(tick + timedelta(hours=n)).astimezone(zone).utcoffset() for n in (-12, 12)}
        if len(offsets) > 1:
            break
        tick += timedelta(days=1)
    return tick + seed.randrange(-600, 600) * MINUTE


def random_timetable(seed: random.Random, near: datetime, name: str) -> Timetable:
    wall = clock.wall(near, clock.zone(name)).minute
    while True:
        words = dict(zip(cron.FIELDS, random_line(seed, wall).split(), strict=True))
        # Most lines would have no run within two days.
        words |= {name: "*" for name in ("day", "month", "weekday") if seed.random() < 0.6}
        try:
            pattern = cron.Pattern.of(**words, either_day=seed.random() < 0.5)
        except InvalidExpression:
            continue
        return Timetable(pattern, clock.zone(name))
