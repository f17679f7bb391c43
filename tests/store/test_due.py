"""Does every store find exactly the schedules that the rule says are due, whoever wrote them, DST or not?

The rule is `schedules.read(document).is_due(tick)` on each document as the store hands it over.
"""

import dataclasses
import random
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from bson import Code, Int64, ObjectId, Regex

from cronlite.daemon.due import due
from cronlite.documents import schedules
from cronlite.documents.schedules import Document, Schedule
from cronlite.errors import InvalidInput
from cronlite.store.contract import ScheduleQuery, Store
from cronlite.store.mongo import MongoStore
from cronlite.store.sqlite import SqliteStore
from cronlite.store.sqlite.tables import SCHEDULES
from cronlite.when.pattern import FIELDS

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
LONG_AGO = datetime(2020, 1, 1, tzinfo=timezone.utc)


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=timezone.utc)


# When clocks are put forward and back.
CHANGES = {
    "Australia/Lord_Howe": (instant("2026-10-03T15:30"), instant("2026-04-04T15:00")),
    "Europe/Berlin": (instant("2026-03-29T01:00"), instant("2026-10-25T01:00")),
    "America/New_York": (instant("2026-03-08T07:00"), instant("2026-11-01T06:00")),
    "Pacific/Chatham": (instant("2026-09-26T14:00"), instant("2026-04-04T14:00")),
    "Africa/Cairo": (instant("2026-04-23T22:00"), instant("2026-10-29T21:00")),
}
ZONES = (*CHANGES, "UTC", "Asia/Kathmandu", "America/St_Johns", "Pacific/Apia", "Asia/Kolkata", None)
UNKNOWN_ZONES = ("Mars/Olympus", "", "europe/berlin ", "UTC+1", "../etc/passwd")
NONSENSE = (60, -1, 99, 5.5, True, "banana", "", "*/0", "5-1", "@daily", "5 5", "\u0665", 10**12, 1e300)
# What only MongoDB can hold; the first of these are readable.
MONGO_ONLY: tuple[Any, ...] = ([0, 30], ["*/5", 7], [], {}, {"$gt": 0}, b"5", ObjectId())
# Unhashable, and the last a str to Python, but to no query; mongomock cannot hold them.
MONGOD_ONLY: tuple[Any, ...] = ([[1]], Regex(".*"), Code("5"))


class Writer:
    """Writes schedules as other programs do, most of them due, or nearly so, at a given tick."""

    def __init__(self, chance: random.Random, store: Store) -> None:
        self.chance, self.store = chance, store
        self.nonsense: tuple[Any, ...] = NONSENSE
        if isinstance(store, MongoStore):
            self.nonsense += MONGO_ONLY + (() if store.address.startswith("mongomock") else MONGOD_ONLY)

    def write(self, documents: Sequence[Document]) -> None:
        if isinstance(self.store, MongoStore):
            self.store._schedules.insert_many(
                [{**document, "_id": ObjectId(document["_id"])} for document in documents]
            )
        elif isinstance(self.store, SqliteStore):
            with self.store._write() as connection:
                connection.executemany(SCHEDULES.insert(), map(SCHEDULES.row, documents))

    def schedule_near(self, tick: datetime) -> Document:
        chance = self.chance
        changing = [zone for zone, changes in CHANGES.items() if any(abs(tick - change) < HOUR for change in changes)]
        zone = chance.choice(changing if changing and chance.random() < 0.5 else ZONES)
        wall = tick.astimezone(ZoneInfo(zone or "UTC")) + chance.choice((0, 0, 0, -1, 1, 15, -30, -60)) * MINUTE
        shown = dict(zip(FIELDS, (wall.minute, wall.hour, wall.day, wall.month, wall.isoweekday() % 7), strict=True))
        fixed = ("minute", "hour") if chance.random() < 0.4 else ()
        document: Document = {
            field: value if field in fixed else self.spelled(field, value)
            for field, value in shown.items()
            if field in fixed or chance.random() < 0.9
        }
        if chance.random() < 0.2:
            document = {"every": self.interval_near(tick), **{name: "*" for name in FIELDS if chance.random() < 0.5}}
        document |= {"_id": f"{int(LONG_AGO.timestamp()):08x}{chance.getrandbits(64):016x}", "params": {}}
        for field, rarely, value in (
            ("tz", 0, zone),
            ("tz", 0.99, chance.choice((*UNKNOWN_ZONES, *self.nonsense))),
            ("either_day", 0.6, chance.choice((True, True, False, None))),
            ("retries", 0.95, -1),
            ("enabled", 0.8, chance.choice((True, True, None, False, "maybe"))),
            (
                "paused_until",
                0.7,
                chance.choice((LONG_AGO, tick - MINUTE, tick, tick + MINUTE / 2, tick + MINUTE, None)),
            ),
            ("active_from", 0.7, chance.choice((LONG_AGO, LONG_AGO, None, tick, tick + MINUTE))),
        ):
            if chance.random() >= rarely:
                document[field] = value
        return self.with_one_array_at_most(document)

    def interval_near(self, tick: datetime) -> Any:
        """Spell an interval, as a rule one that ends at a tick, or with a midnight close by."""
        chance = self.chance
        if chance.random() < 0.1:
            return chance.choice((*self.nonsense, "7s", "90s", "36h", "400d", "every", "01m"))
        minutes = int(tick.timestamp()) // 60
        dividing = [n for n in range(1, 1440) if minutes % n == 0]
        return chance.choice(("10s", "1s", f"{chance.choice(dividing)}m", "60m", "90m", "2h", "1d", "2d", "24h", "1w"))

    def spelled(self, field: str, value: int) -> Any:
        """Spell a field so that it holds a value, as a rule."""
        chance = self.chance
        if chance.random() < 0.01:
            return chance.choice(self.nonsense)
        if chance.random() < 0.05:
            return chance.choice((value + 1, f"{value}-{value}", f"*/{max(value, 1)}", "1-5", 1))
        spellings: list[Any] = [
            "*",
            "*",
            value,
            str(value),
            float(value),
            f"{value},{value}",
            f"{value}-{value}/1",
            None,
            "*/1",
        ]
        peculiar: dict[str, list[Any]] = {
            "minute": [f"0{value % 10}" if value < 10 else f" {value}", "*/5", "0-59", f"{value}/7"],
            "hour": ["0-23", "0-3", "*/2", f"{value},22"],
            "day": ["L", "LW", "1-31", "28-31", "1-7", "*/2", f"{value},L"],
            "month": ["1-12", "mar-apr,sep-nov", "*/2", "Oct"],
            "weekday": [
                "sun",
                "5L",
                "sun#1",
                "fri#2",
                "sat,sun",
                "1-5",
                "0-7",
                7 if value == 0 else value,
                f"{value}L",
            ],
        }
        spellings += peculiar[field]
        if isinstance(self.store, MongoStore):
            spellings += [[value], [str(value), 1], Int64(value)]
        return chance.choice(spellings)

    def with_one_array_at_most(self, document: Document) -> Document:
        """Leave one array in a document: MongoDB's index on all of the fields lets no more of them in."""
        arrays = [field for field, value in document.items() if isinstance(value, list)]
        return document | dict.fromkeys(arrays[1:], "*")


def some_ticks(chance: random.Random, number: int) -> list[datetime]:
    """Choose the minutes at which clocks change, then minutes close to that, and some of any time."""
    ticks = [change for pair in CHANGES.values() for change in pair]
    for change in ticks * number:
        near = change + chance.choice((-61, -60, -31, -30, -1, 1, 29, 30, 31, 59, 60, 90)) * MINUTE
        ticks.append(near if chance.random() < 0.7 else LONG_AGO + chance.randrange(10 * 366 * 1440) * MINUTE)
        if len(ticks) >= number:
            break
    return ticks[:number]


@dataclasses.dataclass
class Rule:
    """What the rule says of all the documents of a store, as it hands them over."""

    documents: dict[str, Document] = dataclasses.field(default_factory=dict)
    readable: dict[str, Schedule] = dataclasses.field(default_factory=dict)
    seen: Counter[str] = dataclasses.field(default_factory=Counter)

    @classmethod
    def of(cls, store: Store) -> "Rule":
        rule = cls({document["_id"]: document for document in store.schedules(ScheduleQuery())})
        for id, document in rule.documents.items():
            with suppress(InvalidInput):
                rule.readable[id] = schedules.read(document)
        return rule

    def hold(self, store: Store, tick: datetime) -> None:
        """Hold what the store finds due at a tick against it, and count what was peculiar about that."""
        aside: list[Document] = []
        found = Counter(schedule.id for schedule in due(store, tick, lambda *told: aside.append(told[0])))
        expected = Counter(id for id, schedule in self.readable.items() if schedule.is_due(tick))
        for id in (expected - found) + (found - expected):
            there = f"is due {expected[id]} times by the rule, and was found {found[id]} times"
            counts = f"{expected.total()} are due by the rule, {found.total()} were found"
            raise AssertionError(f"at {tick:%Y-%m-%dT%H:%MZ}, {self.documents[id]} {there}; {counts}")
        assert not [document for document in aside if document["_id"] in self.readable], "set aside, but readable"
        for id in found:
            self.seen.update(features(self.readable[id], self.documents[id], tick))
        self.seen.update({"due": len(found), "not due": len(self.readable) - len(found), "set aside": len(aside)})


def features(schedule: Schedule, document: Document, tick: datetime) -> set[str]:
    """Say what is peculiar about a schedule that is due, so that a test can see whether all of it came up."""
    pattern, wall = schedule.timetable.pattern, tick.astimezone(ZoneInfo(schedule.tz)).replace(tzinfo=None)
    given = [document.get(field) for field in FIELDS]
    peculiar = {
        "either day": pattern.either_day and not (pattern.day.matches(wall) and pattern.weekday.matches(wall)),
        "skipped minute": not pattern.matches(wall),
        "interval": schedule.every is not None and schedule.every[-1] != "d",
        "whole days": schedule.every is not None and schedule.every[-1] == "d",
        "number as text": any(isinstance(value, str) and value.isdigit() for value in given),
        "fraction": any(isinstance(value, float) for value in given),
        "null": any(value is None for value in given),
        "array": any(isinstance(value, list) for value in given),
        "no zone": document.get("tz") is None,
    }
    return {name for name, holds in peculiar.items() if holds}


def test_a_store_finds_what_the_rule_says_is_due(store: Store, seed: random.Random) -> None:
    is_mongomock = store.address.startswith("mongomock")
    # mongomock looks at every document for every clause.
    ticks, each = (6, 25) if is_mongomock else (30, 60)
    writer, chosen = Writer(seed, store), some_ticks(seed, ticks)
    writer.write([writer.schedule_near(tick) for tick in chosen for _ in range(each)])
    rule = Rule.of(store)
    for tick in chosen:
        rule.hold(store, tick)
    if not is_mongomock:
        always = {
            "interval",
            "either day",
            "skipped minute",
            "number as text",
            "fraction",
            "null",
            "no zone",
            "set aside",
            "due",
        }
        always |= {"array"} if isinstance(store, MongoStore) else set()
        assert not [feature for feature in always if rule.seen[feature] < 10], (
            f"hardly any of these came up: {rule.seen}"
        )


@pytest.mark.parametrize("listed", [1_000, 5])
def test_what_is_uncommon_is_found_all_the_same(
    store: Store, seed: random.Random, monkeypatch: pytest.MonkeyPatch, listed: int
) -> None:
    """With `listed` 5, a store does not list all texts of a field, as if there were too many."""
    monkeypatch.setattr("cronlite.daemon.due.COMMON_TEXTS", 2)
    monkeypatch.setattr("cronlite.daemon.due.MOST_TEXTS", 3)
    monkeypatch.setattr("cronlite.store.mongo.schedules._FEW", 4)
    for module in ("daemon.due", "store.mongo.schedules", "store.sqlite.schedules"):
        monkeypatch.setattr(f"cronlite.{module}.MAX_TEXTS", listed)
    if store.address.startswith("mongomock"):
        monkeypatch.setattr(MongoStore, "_texts", MongoStore._distinct)  # it explains nothing
    writer, chosen = Writer(seed, store), some_ticks(seed, 3 if store.address.startswith("mongomock") else 6)
    writer.write([writer.schedule_near(tick) for tick in chosen for _ in range(25)])
    rule = Rule.of(store)
    for tick in chosen:
        rule.hold(store, tick)


def test_what_is_edited_is_due_as_it_reads_now(store: Store, seed: random.Random) -> None:
    tick = seed.choice(some_ticks(seed, 20))
    writer = Writer(seed, store)
    documents = [writer.schedule_near(tick) for _ in range(60)]
    writer.write(documents)
    for document in documents[::2]:
        other = writer.schedule_near(tick)
        store.change_schedule(
            document["_id"], {field: other.get(field) for field in (*FIELDS, "every", "tz", "enabled")}, None
        )
    for document in documents[::5]:
        store.remove_schedule(document["_id"])
    Rule.of(store).hold(store, tick)
