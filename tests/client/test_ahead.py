"""Is the load ahead what the schedules make, each asked by itself, minute for minute?"""

from __future__ import annotations

import random
from collections import Counter
from datetime import datetime, timedelta, timezone
from itertools import product
from typing import Any

import pytest

from cronlite.client.ahead import Ahead, look_ahead
from cronlite.documents.schedules import Schedule, read
from cronlite.store.contract import ScheduleQuery, Store
from cronlite.when.clock import MINUTE
from tests.store.samples import a_schedule

DAY = 1440
# On this night New York puts its clock back at 06:00Z; Berlin did so a week before.
AUTUMN = datetime(2026, 11, 1, 0, 37, tzinfo=timezone.utc)
# Berlin puts its clock forward at 01:00Z, Lord Howe its own back by half an hour a week later.
SPRING = datetime(2026, 3, 28, 12, 0, tzinfo=timezone.utc)
PLAIN = datetime(2026, 11, 24, 9, 13, tzinfo=timezone.utc)
ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "Pacific/Chatham"]


def counted_apart(store: Store, first: datetime, minutes: int) -> list[int]:
    """Ask each stored schedule about each minute."""
    runs: Counter[datetime] = Counter()
    ticks = [first + n * MINUTE for n in range(minutes)]
    for document in store.schedules(ScheduleQuery()):
        schedule = read(document)
        for tick in ticks:
            if schedule.is_due(tick):
                runs[tick] += sum(1 for _ in schedule.instants(tick))
    return [runs[tick] for tick in ticks]


def anything(chance: random.Random) -> dict[str, Any]:
    """Make the time fields of a schedule as people write them, with all that moves at a change of the clock."""
    if chance.random() < 0.15:
        return {"every": chance.choice(["10s", "30s", "1m", "7m", "90m", "2h", "1d", "3d"])}
    return {
        "minute": chance.choice(["*", 0, 30, chance.randrange(60), "*/5", "5,35", "10-20/2"]),
        "hour": chance.choice(["*", chance.randrange(24), 0, 1, 2, "1-3", "8-18", "*/6"]),
        "day": chance.choice(["*", "*", "*", "L", "1-7", chance.randrange(1, 29)]),
        "weekday": chance.choice(["*", "*", "mon-fri", "sun"]),
        "either_day": chance.random() < 0.2,
    }


@pytest.mark.parametrize(("first", "minutes"), [(AUTUMN, DAY), (SPRING, DAY + 61), (PLAIN, 7 * DAY), (PLAIN, 59)])
def test_it_is_the_sum_of_all_schedules(store: Store, seed: random.Random, first: datetime, minutes: int) -> None:
    for _ in range(15 if minutes <= 2 * DAY else 3):
        fields = anything(seed) | {"tz": seed.choice(ZONES)}
        for _ in range(seed.randint(1, 3)):
            store.add_schedule(a_schedule(**fields, active_from=first - timedelta(days=3)))
    assert list(look_ahead(store, first, minutes).runs) == counted_apart(store, first, minutes)


@pytest.mark.parametrize(
    ("zone", "changes_at"),
    [
        ("America/New_York", datetime(2026, 11, 1, 6, tzinfo=timezone.utc)),  # an hour back
        ("Europe/Berlin", datetime(2026, 3, 29, 1, tzinfo=timezone.utc)),  # an hour forward
        ("Australia/Lord_Howe", datetime(2026, 4, 4, 15, tzinfo=timezone.utc)),  # half an hour back
    ],
)
def test_fixed_times_and_stars_around_a_change_of_the_clock(store: Store, zone: str, changes_at: datetime) -> None:
    first = changes_at - timedelta(minutes=100)
    for hour, minute in product([1, "1-3", "*"], [15, "5,45", "*/20"]):
        store.add_schedule(a_schedule(hour=hour, minute=minute, tz=zone, active_from=first - timedelta(days=1)))
    assert list(look_ahead(store, first, 360).runs) == counted_apart(store, first, 360)


def test_what_is_paused_begins_later_or_ends_is_left_out_to_the_minute(store: Store) -> None:
    for bounds in (
        {"active_from": PLAIN - MINUTE, "enabled": False},
        {"active_from": PLAIN - MINUTE, "enabled": False, "paused_until": PLAIN + 5 * MINUTE},
        {"active_from": PLAIN - MINUTE, "enabled": False, "paused_until": PLAIN + timedelta(days=9)},
        {"active_from": PLAIN + 90 * MINUTE},
        {"active_from": PLAIN + timedelta(days=30)},
        {"active_from": PLAIN - MINUTE, "active_until": PLAIN + 45 * MINUTE},
        {"active_from": PLAIN - 9 * MINUTE, "active_until": PLAIN - MINUTE},
        {"active_from": PLAIN - MINUTE},
    ):
        store.add_schedule(a_schedule(minute="*/15", **bounds))
        store.add_schedule(a_schedule(every="20s", **bounds))
    store.add_schedule(a_schedule(every="20s", active_from=PLAIN + timedelta(seconds=90)))
    seen = look_ahead(store, PLAIN, DAY)
    assert list(seen.runs) == counted_apart(store, PLAIN, DAY)
    assert seen.is_whole


def test_a_document_that_nobody_can_read_is_not_counted(store: Store) -> None:
    store.add_schedule({**a_schedule(active_from=PLAIN), "minute": "75"})
    assert sum(look_ahead(store, PLAIN, DAY).runs) == 0


def test_the_worst_minutes_and_who_makes_them() -> None:
    store = _with({"minute": 0, "hour": "*"}, 5) + _with({"minute": 0, "hour": 12}, 7) + _with({"every": "10s"}, 1)
    seen = _ahead(store, PLAIN, DAY)
    noon = PLAIN.replace(hour=12, minute=0)
    assert seen.worst(2) == [(noon, 18), (PLAIN.replace(hour=10, minute=0), 11)]
    assert [(kind.example.hour, kind.runs(noon)) for kind in seen.makers(noon, 2)] == [(12, 7), ("*", 6)]
    assert sum(map(sum, seen.by_hour)) == sum(seen.runs) == 24 * 5 + 7 + 6 * DAY


def _with(fields: dict[str, Any], count: int) -> list[dict[str, Any]]:
    return [a_schedule(**fields, active_from=PLAIN - MINUTE) for _ in range(count)]


def _ahead(documents: list[dict[str, Any]], first: datetime, minutes: int) -> Ahead:
    from cronlite.store import open_store

    store = open_store("memory:")
    for document in documents:
        store.add_schedule(document)
    try:
        return look_ahead(store, first, minutes)
    finally:
        store.close()


def test_schedules_alike_are_one_kind(store: Store) -> None:
    for document in [*_with({"minute": 5}, 3), *_with({"minute": 5, "tz": "Asia/Kolkata"}, 2)]:
        store.add_schedule(document)
    kinds = look_ahead(store, PLAIN, DAY).kinds
    assert sorted((kind.example.tz, kind.schedules) for kind in kinds) == [("Asia/Kolkata", 2), ("UTC", 3)]
    assert isinstance(kinds[0].example, Schedule)
