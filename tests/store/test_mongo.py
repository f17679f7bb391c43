"""What becomes of documents and indexes that others put into MongoDB?"""

import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any

import pytest
from bson import Binary, Decimal128, Int64, ObjectId, Regex, Timestamp
from bson.datetime_ms import DatetimeMS
from bson.raw_bson import RawBSONDocument
from pymongo import MongoClient
from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.errors import OperationFailure, WriteError

from cronlite.daemon.due import due
from cronlite.documents import new_runs, schedules
from cronlite.documents.runs import ABANDONED, QUEUED, RUNNING
from cronlite.errors import InvalidInput
from cronlite.store.contract import ClaimQuery, RunQuery, ScheduleQuery, Store
from cronlite.store.mongo import MongoStore, indexes
from tests.store.conftest import empty
from tests.store.overheard import Commands, overhear
from tests.store.samples import (
    MINUTE,
    NOW,
    TICK,
    a_run,
    a_schedule,
)

Document = dict[str, Any]
pytestmark = pytest.mark.mongod


@pytest.fixture
def store(mongo_database: str) -> Iterator[MongoStore]:
    empty(mongo_database)
    opened = MongoStore.open(mongo_database)
    assert opened.prepare() == []
    yield opened
    opened.close()


@pytest.fixture
def raw(mongo_database: str) -> Iterator[Database[Document]]:
    """The same database as another program sees it."""
    with MongoClient[Document](mongo_database, tz_aware=True, datetime_conversion="DATETIME_AUTO") as client:
        yield client.get_default_database()


# documents from elsewhere


def test_instants_deep_in_foreign_params_come_aware_in_utc(store: Store, raw: Database[Document]) -> None:
    raw.schedules.insert_one({"params": {"since": NOW, "at": [{"times": [NOW, None]}, []], "none": {}}})
    (found,) = store.schedules(ScheduleQuery())
    assert found["params"] == {"since": NOW, "at": [{"times": [NOW, None]}, []], "none": {}}
    assert found["params"]["at"][0]["times"][0].tzinfo is timezone.utc


@pytest.mark.parametrize(
    "given",
    [
        {"minute": 30},
        {"minute": 30.0, "hour": 2.0},
        {"minute": Int64(30), "hour": "2"},
        {"minute": [29, "30-31"]},
        {"minute": None, "hour": None, "tz": None, "enabled": None, "either_day": None},
        {"tz": "Asia/Kathmandu", "hour": 8, "minute": 15},
        {"weekday": ["mon", "sat"]},
    ],
    ids=str,
)
def test_a_foreign_document_is_due_as_it_says(store: Store, raw: Database[Document], given: Document) -> None:
    id = ObjectId.from_datetime(datetime(2026, 1, 1))
    raw.schedules.insert_one({"_id": id, **given})
    assert [schedule.id for schedule in due(store, TICK)] == [str(id)]
    restricted = any(value is not None for value in given.values())
    assert bool(list(due(store, TICK + 2 * MINUTE + 24 * 60 * MINUTE))) is not restricted


@pytest.mark.parametrize(
    "given",
    [
        {"minute": "banana"},
        {"minute": 60},
        {"minute": -1},
        {"minute": 5.5},
        {"minute": True},
        {"minute": {}},
        {"minute": {"$gt": 0}},
        {"minute": []},
        {"minute": [[30]]},
        {"hour": Regex(".*")},
        {"hour": re.compile("2")},
        {"hour": Decimal128("2")},
        {"hour": Binary(b"2")},
        {"minute": Timestamp(30, 1)},
        {"minute": datetime(2026, 1, 1)},
        {"tz": "Mars/Olympus"},
        {"tz": 5},
        {"active_from": DatetimeMS(253_402_300_800_000)},
        {"created_at": DatetimeMS(-(2**62))},
        {"params": [1]},
        {"params": "text"},
        {"enabled": "yes"},
        {"_id": 5},
        {"_id": "66a1b2c3d4e5f60718293a4b"},
        {"_id": {"a": 1}},
        {"_id": datetime(2026, 1, 1)},
        {"_id": ""},
        {"handler": ["a"]},
        {"cron": "* * * * *"},
    ],
    ids=str,
)
def test_a_broken_document_is_shown_and_stops_nothing(store: Store, raw: Database[Document], given: Document) -> None:
    whole = ObjectId.from_datetime(datetime(2026, 1, 1))
    raw.schedules.insert_many([{"_id": whole}, {"_id": ObjectId.from_datetime(datetime(2026, 1, 2)), **given}])
    set_aside: list[InvalidInput] = []
    found = [schedule.id for schedule in due(store, TICK, lambda _, fault: set_aside.append(fault))]
    assert found == [str(whole)]
    read, refused = 0, []
    for document in store.schedules(ScheduleQuery()):
        try:
            schedules.read(document)
            read += 1
        except InvalidInput as fault:
            refused.append(str(fault))
    assert read == 1
    assert len(refused) == 1
    assert "\n" not in refused[0]
    assert all(str(fault) == refused[0] for fault in set_aside)


def test_an_id_that_is_a_string_like_an_object_id_is_told_apart_from_one(store: Store, raw: Database[Document]) -> None:
    id = ObjectId()
    raw.schedules.insert_many([{"_id": id, "handler": "real"}, {"_id": str(id), "handler": "fake"}])
    assert store.schedule(str(id)) == {"_id": str(id), "handler": "real"}
    assert store.remove_schedule(str(id))
    [left] = store.schedules(ScheduleQuery(prefix=str(id)[:6]))
    assert left["handler"] == "fake"
    with pytest.raises(InvalidInput, match=f"'{id}' is no id"):
        schedules.read(left)


def test_params_from_elsewhere_go_to_the_run_and_the_handler_untouched(store: Store, raw: Database[Document]) -> None:
    params = {
        "id": ObjectId(),
        "far": DatetimeMS(253_402_300_800_000),
        "at": NOW,
        "blob": Binary(b"\0\1", 128),
        "price": Decimal128("1.10"),
        "pattern": Regex("a.*", "i"),
        "a.b": {"$set": 1},
    }
    id = ObjectId.from_datetime(datetime(2026, 1, 1))
    raw.schedules.insert_one({"_id": id, "params": params})
    [schedule] = due(store, TICK)
    assert store.add_runs([new_runs.of_schedule(schedule, TICK, NOW)]) == set()
    [run] = store.claim_runs("d1", ClaimQuery(["default"], NOW, 1))
    assert run.params == params
    assert (run.schedule, run.lane) == (str(id), str(id))
    [stored] = raw.runs.find()
    assert (stored["schedule"], stored["lane"]) == (id, id)
    assert stored["_id"] == f"{id}@2026-11-21T02:30Z"


def test_text_that_is_no_utf_8_empties_no_listing(store: Store, raw: Database[Document]) -> None:
    raw.schedules.insert_one({"_id": "whole"})
    # {"_id": "latin", "note": "caf\xe9"}, as a careless driver writes it
    broken = b"\x25\0\0\0\x02_id\0\x06\0\0\0latin\0\x02note\0\x05\0\0\0caf\xe9\0\0"
    insert_bytes(raw, broken)
    assert [document["_id"] for document in store.schedules(ScheduleQuery())] == ["latin", "whole"]
    assert len(list(due(store, TICK))) == 2


def insert_bytes(raw: Database[Document], document: bytes) -> None:
    whole = len(document).to_bytes(4, "little") + document[4:]
    raw.schedules.insert_one(RawBSONDocument(whole))


def test_a_run_from_elsewhere_is_claimed_if_whole_and_abandoned_if_not(
    store: Store, raw: Database[Document], caplog: pytest.LogCaptureFixture
) -> None:
    whole = {"handler": "extract", "params": {}, "due_at": TICK, "queued_at": NOW, "run_at": NOW, "state": QUEUED}
    older = {**whole, "run_at": NOW - MINUTE}
    raw.runs.insert_many(
        [
            {"_id": "whole", **whole},
            {"_id": "no params", **{name: value for name, value in older.items() if name != "params"}},
            {"_id": "attempt", **older, "attempt": "one"},
            {"_id": ObjectId(), **older},
            {"_id": "far", **older, "due_at": DatetimeMS(253_402_300_800_000)},
        ]
    )
    assert [run.id for run in store.claim_runs("d1", ClaimQuery(["extract"], NOW, 1))] == ["whole"]
    states = {document["state"]: document for document in raw.runs.find()}
    assert set(states) == {RUNNING, ABANDONED}
    assert raw.runs.count_documents({"state": ABANDONED, "reason": {"$regex": "cannot be read"}}) == 4
    assert len(caplog.records) == 4
    assert [run.id for run in store.runs(RunQuery())] == ["whole"]
    with pytest.raises(InvalidInput):
        store.run("attempt")


def test_a_run_too_large_for_mongodb_is_recorded_and_stops_no_other(store: Store) -> None:
    large = a_run("large", params={"text": "x" * (16 * 1024 * 1024 - 100)})
    assert store.add_runs([a_run("before"), large, a_run("after")]) == {"large"}
    assert {run.id for run in store.claim_runs("d1", ClaimQuery(["extract"], NOW, 10))} == {"before", "after"}
    record = store.run("large")
    assert record is not None
    assert (record.state, record.params) == (ABANDONED, {})
    assert "MongoDB refused it" in (record.reason or "")


@pytest.mark.usefixtures("time_for_a_busy_machine")
def test_more_distinct_values_than_mongodb_returns_at_once_are_listed(store: Store, raw: Database[Document]) -> None:
    values = [f"{number:06}{'x' * 240}" for number in range(70_000)]
    raw.schedules.insert_many([{"minute": value} for value in values])
    raw.schedules.insert_many([{"minute": [1, "2"]}, {"minute": Regex("x")}, {"minute": {"a": 1}}])
    with pytest.raises(OperationFailure):
        raw.schedules.distinct("minute")
    found = store.expressions()["minute"]
    assert found == sorted(["2", *values])


# indexes


def names_of(collection: Collection[Document]) -> set[str]:
    return {index["name"] for index in collection.list_indexes()}


@pytest.fixture
def new(mongo_uri: str) -> Iterator[MongoStore]:
    """A store on a database of its own, without any index."""
    store = MongoStore.open(mongo_uri)
    yield store
    store.close()


@pytest.fixture
def raw_new(mongo_uri: str) -> Iterator[Database[Document]]:
    """That database as another program sees it."""
    with MongoClient[Document](mongo_uri) as client:
        yield client.get_default_database()


def test_schedules_with_two_arrays_from_before_cost_the_index_and_nothing_else(
    new: MongoStore, raw_new: Database[Document]
) -> None:
    raw_new.schedules.insert_many([{"_id": f"two{n}", "minute": [29, 30], "hour": [2, 3]} for n in range(5)])
    raw_new.schedules.insert_one({"_id": "one", "minute": [30], "hour": 2})
    [complaint] = new.prepare()
    assert "arrays in two fields ('two0', 'two1', 'two2')" in complaint
    assert "write one of them as a string" in complaint
    assert "\n" not in complaint
    assert sorted(schedule.id for schedule in due(new, TICK)) == ["one", *(f"two{n}" for n in range(5))]
    raw_new.schedules.update_many({}, {"$set": {"hour": 2}})
    assert new.prepare() == []
    assert len(list(due(new, TICK))) == 6


def test_a_schedule_with_two_arrays_is_refused_once_the_index_is_there(store: Store, raw: Database[Document]) -> None:
    with pytest.raises(WriteError):
        raw.schedules.insert_one({"minute": [29, 30], "hour": [2, 3]})


def test_names_taken_twice_from_before_are_reported(new: MongoStore, raw_new: Database[Document]) -> None:
    raw_new.schedules.insert_many([{"name": "nightly"}, {"name": "nightly"}, {"name": 5}, {"name": 5}])
    [complaint] = new.prepare()
    assert "{'name': 'nightly'}" in complaint
    assert "change all but one" in complaint
    raw_new.schedules.delete_one({"name": "nightly"})
    assert new.prepare() == []


def test_an_index_in_the_place_of_ours_is_reported_with_the_remedy(
    new: MongoStore, raw_new: Database[Document]
) -> None:
    raw_new.runs.create_index("expires_at", name="mine", sparse=True)
    raw_new.runs.create_index("other", name="cronlite_key")
    complaints = new.prepare()
    assert len(complaints) == 2
    assert "db.runs.dropIndex('mine')" in "".join(complaints)
    assert "db.runs.dropIndex('cronlite_key')" in "".join(complaints)
    raw_new.runs.drop_index("mine")
    raw_new.runs.drop_index("cronlite_key")
    assert new.prepare() == []


def test_an_index_that_an_older_version_needed_is_reported_until_it_is_dropped(
    new: MongoStore, raw_new: Database[Document]
) -> None:
    raw_new.runs.create_index(
        [("state", 1), ("daemon", 1)], name="cronlite_running", partialFilterExpression={"state": "running"}
    )
    raw_new.runs.create_index([("state", 1), ("queued_at", 1)], name="cronlite_of_state")
    raw_new.schedules.create_index("note", name="cronlite_running")  # somebody's own
    assert [told.split("db.")[1] for told in new.prepare()] == [
        "runs.dropIndex('cronlite_running').",
        "runs.dropIndex('cronlite_of_state').",
    ]
    raw_new.runs.drop_index("cronlite_running")
    raw_new.runs.drop_index("cronlite_of_state")
    assert new.prepare() == []


def test_our_index_under_another_name_will_do(new: MongoStore, raw_new: Database[Document]) -> None:
    raw_new.runs.create_index("queued_at", name="mine")
    raw_new.schedules.create_index([(name, 1) for name, _ in indexes.DUE.keys], name="theirs")
    assert new.prepare() == []
    assert names_of(raw_new.schedules) >= {"theirs"}
    assert "cronlite_due_every" not in names_of(raw_new.schedules)
    raw_new.schedules.insert_one({"_id": "every minute"})
    assert len(list(due(new, TICK))) == 1


def test_a_sparse_index_is_never_taken_for_ours(new: MongoStore, raw_new: Database[Document]) -> None:
    raw_new.schedules.create_index([(name, 1) for name, _ in indexes.DUE.keys], sparse=True)
    # Before 5.0 MongoDB keeps no two indexes on the same keys: then the tick does without.
    assert all("dropIndex('enabled_1_" in told for told in new.prepare())
    raw_new.schedules.insert_one({"_id": "every minute"})
    assert len(list(due(new, TICK))) == 1


def test_the_tick_goes_on_when_the_index_is_dropped(new: MongoStore, raw_new: Database[Document]) -> None:
    assert new.prepare() == []
    raw_new.schedules.insert_one({"_id": "every minute"})
    raw_new.schedules.drop_index("cronlite_due_every")
    assert len(list(due(new, TICK))) == 1
    assert len(list(due(new, TICK))) == 1


def test_it_works_before_anything_was_prepared(new: MongoStore) -> None:
    assert list(due(new, TICK)) == []
    assert new.claim_runs("d1", ClaimQuery(["extract"], NOW, 10)) == []
    assert new.now().year > 2000
    new.add_schedule(a_schedule(minute=30))
    assert new.add_runs([a_run()]) == set()
    assert len(new.claim_runs("d1", ClaimQuery(["extract"], NOW, 10))) == 1


def test_of_a_lane_one_run_is_written_as_claimed(mongo_uri: str) -> None:
    """The others would meet the index of lanes, at which MongoDB ends a write that is for many."""
    commands = Commands()
    store = overhear(mongo_uri, commands)
    store.add_runs([a_run(f"r{number}", schedule="s", lane="s") for number in range(3)])
    assert len(store.claim_runs("d1", ClaimQuery(["extract"], NOW, 10))) == 1
    claims = [update for sent in commands.sent for update in sent.get("updates", ()) if "claim" in str(update["u"])]
    store.close()
    assert [update["q"]["_id"] for update in claims] == ["r0"]


PREPARE = """
import sys
from cronlite.store.mongo import MongoStore
store = MongoStore.open(sys.argv[1])
sys.stdin.readline()
print(store.prepare())
"""


def test_eight_processes_prepare_an_empty_database_at_once(mongo_uri: str, raw_new: Database[Document]) -> None:
    command = [sys.executable, "-c", PREPARE, mongo_uri]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    processes = [subprocess.Popen(command, text=True, **pipes) for _ in range(8)]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    assert [process.communicate(timeout=60)[0] for process in processes] == ["[]\n"] * 8
    assert len(names_of(raw_new.schedules)) == 1 + len(wanted("schedules"))
    assert len(names_of(raw_new.runs)) == 1 + len(wanted("runs"))


def wanted(collection: str) -> list[indexes.Index]:
    return [index for index in indexes.INDEXES if index.collection == collection]
