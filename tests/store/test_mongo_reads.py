"""How much does MongoDB read for each query, with much stored and little wanted?"""

import uuid
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import pytest
from pymongo import MongoClient

from cronlite.daemon.due import due
from cronlite.documents.runs import FAILED, QUEUED, RUNNING, SUCCEEDED, TIMED_OUT, Run
from cronlite.store.contract import ClaimQuery, RunQuery, ScheduleQuery, Store, UnsentQuery
from cronlite.store.mongo import MongoStore
from cronlite.store.mongo.indexes import EXPRESSIONS
from tests.services.mongod import with_database
from tests.store.overheard import Commands, opened, overhear
from tests.store.samples import MINUTE, NOW, SECOND, TICK, a_run, a_run_in, a_running, a_schedule

Document = dict[str, Any]
LONG_AGO = NOW - 30 * 24 * 60 * MINUTE
pytestmark = [pytest.mark.mongod, pytest.mark.xdist_group("mongo_reads")]  # of one large store


@pytest.fixture(scope="module")
def commands() -> Commands:
    return Commands()


@pytest.fixture(scope="module")
def full(mongo_database: str, commands: Commands) -> Iterator[MongoStore]:
    """20,000 schedules of which few are due, and 20,000 runs of which few are at work."""
    uri = with_database(mongo_database, f"cronlite_test_{uuid.uuid4().hex[:12]}")
    store = overhear(uri, commands)
    with MongoClient[Document](uri) as client:
        raw = client.get_default_database()
        zones = ("UTC", "Europe/Berlin", "Asia/Kathmandu", None)
        raw.schedules.insert_many(
            {"minute": n % 60, "hour": 3, "weekday": f"mon-{n % 5 + 2}", "tz": zones[n % 4], "user": f"u{n}"}
            for n in range(20_000)
        )
        raw.schedules.insert_one({"_id": "arrays", "minute": [1, 2], "hour": 3})
        raw.schedules.insert_many({"_id": f"due{number}", "minute": 30, "hour": 2} for number in range(10))
        done = (
            a_run_in(f"lane{n % 50}", state=SUCCEEDED, due_at=TICK - n * MINUTE, queued_at=NOW - n * SECOND, key=f"{n}")
            for n in range(20_000)
        )
        raw.runs.insert_many(run.document() for run in done)
        long = [a_run_in("long", due_at=TICK + n * MINUTE, run_at=None, queued_at=LONG_AGO) for n in range(150)]
        later = [a_run_in(f"later{n}", run_at=NOW + MINUTE, queued_at=LONG_AGO, handler="bulk") for n in range(500)]
        limited = [a_run(f"limited{n}", limit="api", priority=n % 2 + 4, queued_at=LONG_AGO) for n in range(150)]
        raw.runs.insert_many(run.document() for run in long + later + limited)
        raw.limits.insert_one({"_id": "api", "most": 0})
        at_work = [a_run_in("queued", run_at=NOW - SECOND), a_running("running"), a_run_in("waiting", run_at=None)]
        store.add_runs([*at_work, a_run(key="held", handler="load")])
        yield store
        store.close()
        client.drop_database(raw.name)


def test_lanes_in_which_nothing_is_queued_are_asked_for_once(full: MongoStore, commands: Commands) -> None:
    commands.sent.clear()
    assert [run.lane for run in full.at_work(["lane1", "running"])] == ["running"]
    assert [next(iter(sent)) for sent in commands.sent] == ["aggregate", "find"]
    assert [run.lane for run in full.at_work(["queued"])] == ["queued"]


def examined(store: MongoStore, sent: Document) -> tuple[int, int, set[str]]:
    """Explain a read command: how many index keys and documents it examined, and the stages of its plan."""
    names = ("find", "distinct", "aggregate", "filter", "query", "key", "sort", "limit", "hint", "pipeline", "cursor")
    command = {name: sent[name] for name in (*names, "projection") if name in sent}
    explained = store._database.command("explain", command, verbosity="executionStats")
    if "stages" in explained:
        explained = explained["stages"][0]["$cursor"]
    stats = explained["executionStats"]
    return stats["totalKeysExamined"], stats["totalDocsExamined"], set(stages(explained["queryPlanner"]["winningPlan"]))


def stages(plan: Any) -> Iterator[str]:
    for name, value in plan.items():
        if name == "stage":
            yield value
        elif isinstance(value, dict):
            yield from stages(value)
        elif name == "inputStages":
            for one in value:
                yield from stages(one)


def after_a_wait(store: Store, handlers: list[str], now: datetime) -> list[Run]:
    """Claim as a daemon does that had nothing to do: it knows by then when the next run is due."""
    store.next_run_at(handlers)
    return store.claim_runs("d1", ClaimQuery(handlers, now, 10))


READS: dict[str, Callable[[Store], object]] = {
    "due": lambda store: list(due(store, TICK)),
    "claim": lambda store: store.claim_runs("d1", ClaimQuery(["extract", "load", "none"], NOW - MINUTE, 10)),
    "claim beside what waits for a limit": lambda store: store.claim_runs("d1", ClaimQuery(["none"], NOW, 10)),
    "claim after a wait": lambda store: after_a_wait(store, ["extract", "load", "none"], NOW - MINUTE),
    "claim after a wait, of what waits for a limit": lambda store: after_a_wait(store, ["extract"], NOW),
    "limits in use": lambda store: (store.queued_limits(), store.count_limited(["api"])),
    "waiting for a limit": lambda store: store.count_waiting("api", 10),
    "at work": lambda store: store.at_work(["queued", "running", "waiting", "long", "lane1"]),
    "release": lambda store: store.release_lanes(NOW),
    "release of a lane": lambda store: store.release_lanes(NOW, ["long", "waiting"]),
    "key": lambda store: store.run_with_key("held"),
    "next": lambda store: store.next_run_at(["extract", "load"]),
    "unsent": lambda store: store.unsent_runs(UnsentQuery(NOW, 10)),
    "sent long ago": lambda store: store.unsent_runs(UnsentQuery(NOW, 10, sent_before=NOW - MINUTE)),
    "claim of named runs": lambda store: store.claim_runs("d1", ClaimQuery(["extract"], NOW, 3, ids=["a", "b", "c"])),
    "count": lambda store: store.count_runs(),
    "owners": lambda store: store.owners(),
    "of a rare user": lambda store: list(store.runs(RunQuery(user="rare", limit=10))),
    "of a rare handler": lambda store: list(store.runs(RunQuery(handler="bulk", limit=10))),
    "in a rare state": lambda store: list(store.runs(RunQuery(states=[FAILED, TIMED_OUT], limit=10))),
    "in a rare state, of a user": lambda store: list(store.runs(RunQuery(user="often", states=[FAILED], limit=10))),
    "since": lambda store: list(store.runs(RunQuery(since=NOW - 5 * SECOND, limit=10))),
    "by the first characters that all have": lambda store: list(store.runs(RunQuery(prefix="l", limit=2))),
    "newest": lambda store: list(store.runs(RunQuery(limit=10))),
    "of a schedule": lambda store: list(store.runs(RunQuery(schedule="lane1", limit=10))),
    "last of each schedule": lambda store: store.last_runs([f"lane{n}" for n in range(20)]),
    "of several schedules": lambda store: list(store.runs(RunQuery(schedules=["lane1", "lane2", "long"], limit=10))),
    "counted": lambda store: store.count_listed(RunQuery(schedule="lane1", limit=100)),
    "schedules by name": lambda store: list(store.schedules(ScheduleQuery(by_name=True, limit=10))),
    "at work, listed": lambda store: list(store.runs(RunQuery(states=[QUEUED, RUNNING], limit=20))),
    "of a daemon": lambda store: list(store.runs(RunQuery(daemon="d1", states=[RUNNING]))),
    "by id": lambda store: list(store.runs(RunQuery(prefix="running@"))),
    "by user": lambda store: list(store.schedules(ScheduleQuery(user="u77"))),
    "by name": lambda store: list(store.schedules(ScheduleQuery(name="nobody"))),
    "schedules by id": lambda store: list(store.schedules(ScheduleQuery(prefix="due"))),
}


# These look at the whole queue, or at all of its lanes.
MOST = {"count": 1_000, "at work, listed": 1_000, "release": 1_000}


@pytest.mark.parametrize("read", READS)
def test_what_is_read_follows_what_is_wanted_and_not_what_is_stored(
    full: MongoStore, commands: Commands, read: str
) -> None:
    commands.sent.clear()
    READS[read](full)
    sent = [one for one in commands.sent if {"find", "distinct", "aggregate"} & set(one)]
    assert sent
    for one in list(sent):
        keys, documents, plan = examined(full, one)
        assert "COLLSCAN" not in plan or one.get("distinct") == "ticks", one
        assert keys <= MOST.get(read, 300), (keys, one)
        assert documents <= MOST.get(read, 200), (documents, one)


@pytest.mark.parametrize("listed", ["schedules", "schedules by name", "runs"])
def test_a_list_reads_on_only_as_far_as_somebody_looks(full: MongoStore, commands: Commands, listed: str) -> None:
    streams: dict[str, Iterator[object]] = {
        "schedules": full.schedules(ScheduleQuery()),
        "schedules by name": full.schedules(ScheduleQuery(by_name=True)),
        "runs": full.runs(RunQuery()),
    }
    commands.sent.clear()
    next(streams[listed])
    sent = [one for one in commands.sent if {"find", "getMore"} & set(one)]
    assert not [one for one in sent if "getMore" in one or one["batchSize"] > 500], sent
    for one in sent:
        assert "SORT" not in examined(full, one)[2], one


def test_the_expressions_in_use_are_found_by_skipping(full: MongoStore, commands: Commands) -> None:
    commands.sent.clear()
    full.expressions()
    skips = [command for command in commands.sent if "distinct" in command]
    assert {skip["key"] for skip in skips} == set(EXPRESSIONS)
    for skip in skips:
        assert "DISTINCT_SCAN" in examined(full, skip)[2], skip


def test_the_due_query_names_its_index(full: MongoStore, commands: Commands) -> None:
    commands.sent.clear()
    assert len(list(due(full, TICK))) == 10
    # Without, it is left to the planner's trials whether the index of a single field will do.
    hints = [sent.get("hint") for sent in commands.sent if "find" in sent]
    assert hints == ["cronlite_due_every", "cronlite_paused"]


def test_schedules_that_are_still_paused_are_not_read(full: MongoStore, commands: Commands) -> None:
    still = ({"_id": f"paused{n}", "params": {}, "enabled": False, "paused_until": TICK + MINUTE} for n in range(500))
    others = ({"_id": f"for ever{n}", "params": {}, "enabled": False} for n in range(500))
    lifted = {"_id": "lifted", "params": {}, "enabled": False, "paused_until": TICK}
    full._schedules.insert_many([*still, *others, lifted])
    commands.sent.clear()
    try:
        ids = [schedule.id for schedule in due(full, TICK)]
        _, of_paused = (sent for sent in commands.sent if "find" in sent)
        _, documents, _ = examined(full, of_paused)
    finally:  # the store is shared
        full._schedules.delete_many({"enabled": False})
    assert "lifted" in ids
    assert documents == 1


def test_intervals_that_are_not_due_are_not_read(full: MongoStore, commands: Commands) -> None:
    rare = ({"_id": f"rare{n}", "params": {}, "every": "300d", "minute": "*"} for n in range(500))
    full._schedules.insert_many([*rare, {"_id": "often", "params": {}, "every": "10s"}])
    commands.sent.clear()
    try:
        found = [schedule.id for schedule in due(full, TICK)]
        sent, _ = (sent for sent in commands.sent if "find" in sent)
        keys, documents, _ = examined(full, sent)
    finally:  # the store is shared
        full._schedules.delete_many({"every": {"$gt": ""}})
    assert "often" in found
    assert documents == len(found)
    assert keys < 100


def test_schedules_that_begin_later_or_end_are_found_by_indexes(mongo_uri: str) -> None:
    with opened(mongo_uri) as store:
        store.prepare()
        for _ in range(20):
            store.add_schedule(a_schedule(active_from=NOW - SECOND))
        ending = a_schedule(active_from=NOW - SECOND, active_until=NOW + SECOND)
        store.add_schedule(ending)
        store._database.command("profile", 2)
        assert [found["_id"] for found in store.not_always_active(NOW, 10)] == [ending["_id"]]
        store._database.command("profile", 0)
        (asked,) = store._database["system.profile"].find({"command.find": "schedules"})
        assert asked["docsExamined"] <= 2
        assert "COLLSCAN" not in asked["planSummary"]
