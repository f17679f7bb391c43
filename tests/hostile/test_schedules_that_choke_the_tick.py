"""Attacks on the tick: what one user stores stops nobody else, and what is not due costs nothing that grows.

Schedules that are paused, long, many, or written elsewhere once made every tick of every daemon fail, or take minutes.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from cronlite.daemon.ticking import Inserts, Periods, Ticker
from cronlite.documents import schedules
from cronlite.documents.schedules import Document
from cronlite.store import open_store
from cronlite.store.contract import Clause, RunQuery, Store, Uncommon
from cronlite.store.grouping import batches
from cronlite.store.mongo import MongoStore
from cronlite.store.sqlite import SqliteStore
from cronlite.store.sqlite.tables import SCHEDULES
from cronlite.when import bits, clock

NOW = datetime(2026, 11, 21, 2, 30, 1, tzinfo=timezone.utc)
MADE = NOW - timedelta(days=1)
# One of each offset: what reads alike would share its part of the query.
ZONES = list({clock.wall(NOW, clock.zone(name)).minute: name for name in clock.zones()}.values())


@pytest.fixture(params=["sqlite", pytest.param("mongod", marks=pytest.mark.mongod)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """A store of either kind, with one schedule of alice that is due every minute."""
    uri = f"sqlite:{tmp_path / 'cronlite.db'}"
    if request.param == "mongod":
        uri = request.getfixturevalue("mongo_uri")
    opened = open_store(uri)
    opened.prepare()
    opened.add_schedule(schedules.new(now=MADE, user="alice").document() | {"_id": "alice"})
    yield opened
    opened.close()


@pytest.fixture
def mongo(mongo_uri: str) -> Iterator[MongoStore]:
    """A MongoDB, with one schedule of alice that is due every minute."""
    opened = MongoStore.open(mongo_uri)
    opened.prepare()
    opened.add_schedule(schedules.new(now=MADE, user="alice").document() | {"_id": "alice"})
    yield opened
    opened.close()


class Watched:
    """A store that says how much text the due query has."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.characters: list[int] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def candidates(
        self, clauses: Sequence[Clause], uncommon: Sequence[Uncommon] = (), lifted_at: datetime | None = None
    ) -> Iterator[Document]:
        restricting = [*clauses, *(clause for each in uncommon for clause in each.clauses)]
        listed = [values for clause in restricting for values in clause.values.values()]
        listed += [each.texts for each in uncommon]
        self.characters.append(sum(len(value) for values in listed for value in values if isinstance(value, str)))
        return self._store.candidates(clauses, uncommon, lifted_at)


def a_daemon(store: Any) -> Ticker:
    periods = Periods(timedelta(minutes=1), timedelta(hours=1))
    return Ticker(store, Inserts(store.add_runs), lambda: "d1", lambda _: False, periods)


def tick(daemon: Ticker, now: datetime = NOW) -> list[str]:
    """Do a minute; return whose schedules got a run of it."""
    daemon.step(now)
    [entry] = [entry for entry in daemon.store.ledger(now - timedelta(seconds=1), now) if entry.minute <= now][-1:]
    assert entry.done_at is not None
    return [run.id.partition("@")[0] for run in daemon.store.runs(RunQuery()) if run.due_at == clock.floor_minute(now)]


def write(store: Store, documents: Sequence[Document]) -> None:
    """Write documents without going through the door."""
    if isinstance(store, MongoStore):
        for batch in batches(documents, 1_000):
            store._schedules.insert_many([dict(document) for document in batch])
    elif isinstance(store, SqliteStore):
        with store._write() as connection:
            connection.executemany(SCHEDULES.insert(), map(SCHEDULES.row, documents))


def lists_of_minutes(count: int, longest: int = 255) -> list[str]:
    """Make lists that the door lets in, all of them different, as long as they may be."""
    chance, made = random.Random(12), set[str]()
    while len(made) < count:
        text = ",".join(map(str, chance.choices(range(60), k=100)))
        made.add(text[:longest].rpartition(",")[0])
    return sorted(made)


def eves(texts: Sequence[str], **more: Any) -> list[Document]:
    """Make the documents of eve's schedules, as the door lets them in."""
    model = schedules.new(now=MADE, user="eve").document()
    return [
        {**model, "_id": f"eve{number}", "minute": text, "tz": ZONES[number % len(ZONES)], **more}
        for number, text in enumerate(texts)
    ]


def read_at_the_door(document: Document) -> None:
    assert schedules.read(document).user == "eve"


def test_paused_schedules_with_the_longest_texts_are_no_part_of_a_tick(store: Store) -> None:
    attack = eves(lists_of_minutes(1_200), enabled=False)
    read_at_the_door(attack[0])
    write(store, attack)
    watched = Watched(store)
    assert tick(a_daemon(watched)) == ["alice"]
    assert watched.characters == [watched.characters[0]]
    assert watched.characters[0] < 1_000, "they were asked for"


def test_paused_schedules_with_many_texts_are_not_parsed(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    write(store, eves(lists_of_minutes(6_000, 60), enabled=False))
    parsed = counted(monkeypatch)
    daemon = a_daemon(store)
    assert tick(daemon) == ["alice"]
    assert tick(daemon, NOW + clock.MINUTE) == ["alice"]
    assert len(parsed) < 50


def test_what_is_not_paused_is_parsed_once(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    attack = eves(lists_of_minutes(6_000, 60), day=1)
    write(store, attack)
    parsed, daemon = counted(monkeypatch), a_daemon(store)
    assert tick(daemon) == ["alice"]
    first = len(parsed)
    assert 6_000 <= first < 6_100
    assert tick(daemon, NOW + clock.MINUTE) == ["alice"]
    assert len(parsed) == first


def test_the_longest_texts_of_schedules_that_are_not_paused_fit_into_queries(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cronlite.daemon.due.MOST_CHARACTERS", 300_000)
    write(store, eves(lists_of_minutes(5_000), hour="1,2,3", day=1))
    watched = Watched(store)
    assert tick(a_daemon(watched)) == ["alice"]
    assert 600_000 < watched.characters[0] < 5_000_000, "several queries, and no text more often than readings differ"


@pytest.mark.mongod
def test_a_foreign_list_of_long_texts_stops_nothing(mongo: MongoStore) -> None:
    mongo._schedules.insert_one({"_id": "eve", "params": {}, "minute": lists_of_minutes(12_000)})
    assert tick(a_daemon(mongo)) == ["alice"]


@pytest.mark.mongod
def test_foreign_lists_of_more_texts_than_are_ever_listed_stop_nothing(
    mongo: MongoStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cronlite.store.mongo.schedules.MAX_TEXTS", 500)
    monkeypatch.setattr("cronlite.daemon.due.MAX_TEXTS", 500)
    texts = lists_of_minutes(1_200, 30)
    mongo._schedules.insert_one({"_id": "eve", "params": {}, "minute": texts})
    mongo.add_schedule({"_id": "bob", "params": {}, "minute": "zzz"})  # cannot be read
    mongo.add_schedule({"_id": "carol", "params": {}, "minute": "9,30,31"})  # sorts behind all that is listed
    assert sorted(tick(a_daemon(mongo))) == ["alice", "carol"]


@pytest.mark.mongod
def test_unknown_zones_are_not_guessed_at(mongo: MongoStore, monkeypatch: pytest.MonkeyPatch) -> None:
    guessed: list[str] = []

    def guess(name: str) -> str:
        guessed.append(name)
        return ""

    monkeypatch.setattr(clock, "_meant", guess)
    mongo._schedules.insert_one({"_id": "eve", "params": {}, "tz": [f"Mars/City{n}" for n in range(20_000)]})
    daemon = a_daemon(mongo)
    assert tick(daemon) == ["alice"]
    assert len(guessed) <= 1, "one for the document itself, as for each that is set aside"


def test_texts_that_mean_nothing_are_told_of_a_few_times_only(
    store: Store, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cronlite.daemon.set_aside.MAX_TOLD", 15)
    model = schedules.new(now=MADE).document()
    write(
        store, [{**model, "_id": f"eve{number}", "minute": f"x{number}", "hour": f"y{number}"} for number in range(500)]
    )
    daemon = a_daemon(store)
    for minute in range(3):
        assert tick(daemon, NOW + minute * clock.MINUTE) == ["alice"]
    assert 10 <= len([record for record in caplog.records if "set aside" in record.getMessage()]) <= 16


def test_many_expressions_in_every_field_do_not_multiply(store: Store) -> None:
    """One look-up for each combination of them would be billions."""
    chance = random.Random(3)

    def some(low: int, high: int) -> str:
        return ",".join(map(str, sorted(chance.sample(range(low, high + 1), 4))))

    attack = eves([some(0, 59) for _ in range(3_000)])
    for document in attack:
        document |= {"hour": some(0, 23), "month": some(1, 12), "weekday": some(0, 6), "day": some(1, 28)}
    write(store, attack)
    due = {document["_id"] for document in attack if schedules.read(document).is_due(clock.floor_minute(NOW))}
    assert set(tick(a_daemon(store))) == {"alice", *due}


def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    parsed: list[str] = []
    read: Callable[[str, str], int] = bits.of_text

    def counting(name: str, text: str) -> int:
        parsed.append(text)
        return read(name, text)

    monkeypatch.setattr(bits, "of_text", counting)
    return parsed
