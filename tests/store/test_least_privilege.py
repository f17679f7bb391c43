"""With which privileges does a MongoDB user suffice, and which of them could be left out? (README, operations.)"""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient

from cronlite.documents import alarms, limits, runs, transitions
from cronlite.documents.alarms import Told
from cronlite.documents.changes import Actor, of_write
from cronlite.documents.freezes import Freeze
from cronlite.documents.schedules import Schedule
from cronlite.errors import StoreError, StoreUnavailable
from cronlite.store import open_store
from cronlite.store.contract import (
    AlarmQuery,
    ChangeQuery,
    ClaimQuery,
    Clause,
    RunQuery,
    ScheduleQuery,
    Store,
    UnsentQuery,
    Write,
)
from tests.services import MissingService, skip_or_fail
from tests.services.mongod import Mongod
from tests.store.samples import NOW, SECOND, a_daemon, a_run, a_running, a_schedule, a_tick

pytestmark = [pytest.mark.mongod, pytest.mark.xdist_group("least_privilege")]  # of one guarded server

ROOT, PASSWORD = "root", "p@ss/word:%"
QUOTED = "p%40ss%2Fword%3A%25"

# The README's custom role. What is not in here, cronlite never asks for: runs are removed by the TTL index.
LEAST: Mapping[str, tuple[str, ...]] = {
    "schedules": ("find", "insert", "update", "remove", "createIndex", "listIndexes"),
    "changes": ("find", "insert", "update", "remove", "createIndex", "listIndexes"),
    "freezes": ("find", "insert", "update", "remove"),
    "runs": ("find", "insert", "update", "createIndex", "listIndexes", "changeStream"),
    "ticks": ("find", "insert", "update", "remove"),
    "daemons": ("find", "insert", "update", "remove"),
    "limits": ("find", "insert", "update", "remove"),
    "alarms": ("find", "insert", "update", "remove", "createIndex", "listIndexes"),
    "duties": ("find", "insert", "update", "remove"),
}


class Guarded(Mongod):
    """A mongod that asks for a password. Its first user can be made from this machine, by whoever comes first."""

    def _command(self) -> list[str | Path]:
        key = self.folder / "key"
        if not key.exists():
            key.write_text("cronlite" * 8)
            key.chmod(0o400)
        return [*super()._command(), "--auth", "--keyFile", key]


@pytest.fixture(scope="module")
def guarded() -> Iterator[Guarded]:
    try:
        server = Guarded(parameters={"ttlMonitorEnabled": 0})
    except MissingService as missing:
        skip_or_fail(missing)
    with server:
        with server.client() as client:
            client.admin.command("createUser", ROOT, pwd=PASSWORD, roles=["root"])
        yield server


NUMBERS = itertools.count(1)


@pytest.fixture
def root(guarded: Guarded) -> Iterator[MongoClient[dict[str, Any]]]:
    with MongoClient[dict[str, Any]](guarded.uri, username=ROOT, password=PASSWORD) as client:
        yield client


@pytest.fixture
def store_as(guarded: Guarded, root: MongoClient[dict[str, Any]]) -> Iterator[Callable[..., Store]]:
    """A function that opens a store in a fresh database, as a user with these roles or privileges in it."""
    stores, databases = [], []

    def opened(*roles: str, privileges: Mapping[str, tuple[str, ...]] | None = None) -> Store:
        database = f"app{next(NUMBERS)}"
        if privileges is not None:
            rights = [
                {"resource": {"db": database, "collection": collection}, "actions": list(actions)}
                for collection, actions in privileges.items()
                if actions
            ]
            root[database].command("createRole", "cronlite", privileges=rights, roles=[])
            roles = ("cronlite",)
        root[database].command("createUser", "cronlite", pwd=PASSWORD, roles=list(roles))
        uri = f"mongodb://cronlite:{QUOTED}@{guarded.address}/{database}?directConnection=true&authSource={database}"
        stores.append(open_store(uri))
        databases.append(database)
        return stores[-1]

    yield opened
    for store in stores:
        store.close()
    for database in databases:
        root[database].command("dropAllUsersFromDatabase")
        root[database].command("dropAllRolesFromDatabase")
        root.drop_database(database)


class Watched:
    """A store that remembers which of its methods were called."""

    def __init__(self, store: Store) -> None:
        self.called: set[str] = set()
        self._store = store

    def __getattr__(self, name: str) -> Any:
        self.called.add(name)
        return getattr(self._store, name)


def use(store: Any) -> list[str]:
    """Do once, with an effect, all that cronlite ever asks of a store; return what it could not do."""
    complaints: list[str] = store.prepare()
    use_schedules(store)
    use_ticks(store)
    use_freezes(store)
    use_runs(store)
    use_limits(store)
    use_backfills(store)
    use_alarms(store)
    if not store.watch(0.05):
        complaints.append("no change streams")
    store.stop_watching()
    assert store.join(a_daemon()) is not None
    assert store.beat("d1", running=0, stuck=0) is not None
    assert [daemon.id for daemon in store.daemons()] == ["d1"]
    assert store.mark_dead("d1", 1)
    assert store.prune_daemons(store.now() + SECOND) == 1
    store.join(a_daemon())
    store.leave("d1")
    assert store.daemons() == []
    return complaints


def use_schedules(store: Any) -> None:
    document = a_schedule(name="nightly", minute=30)
    store.add_schedule(document)
    assert store.change_schedule(document["_id"], {"note": "x", "updated_at": NOW + SECOND}, document["updated_at"])
    assert Schedule(minute=30).matches(NOW)
    assert store.expressions()["minute"] == [30]
    clause = Clause(zones=["UTC"], either_day=False, values={"minute": [30]})
    assert [found["_id"] for found in store.candidates([clause])] == [document["_id"]]
    assert [timing.schedules for timing in store.timings()] == [1]
    assert store.not_always_active(NOW, 5) == []
    assert store.schedule(document["_id"])["note"] == "x"
    assert store.count_paused(NOW) == (0, 1)
    assert len(list(store.schedules(ScheduleQuery(name="nightly")))) == 1
    assert store.remove_schedule(document["_id"])
    ann, added = Actor("ann"), a_schedule()
    adding, removing = of_write(ann, NOW, None, added), of_write(ann, NOW + SECOND, added, None)
    assert store.write_schedules([Write(adding, added)]) == {}
    assert store.write_schedules([Write(removing, found_at=NOW - SECOND)]) == {added["_id"]: "stale"}
    assert store.write_schedules([Write.of(removing, added)]) == {}
    assert [change.made for change in store.changes(ChangeQuery(kind="removed"))] == [True]
    assert store.prune_changes(NOW) == 0


def use_backfills(store: Any) -> None:
    run = a_run("b", run_at=None, lane="s9", backfill="b1")
    assert store.add_runs([run]) == set()
    assert store.known_runs([run.id, "none"]) == {run.id: "queued"}
    assert store.count_backfill("b1") == {"queued": 1}
    (queued,) = store.queued_of_backfill("b1", 5)
    assert store.change_runs([(queued, transitions.closed(runs.CANCELLED, NOW))]) == set()


def use_freezes(store: Any) -> None:
    freeze = Freeze(id="f1", from_at=NOW, until_at=NOW + SECOND, hold=True)
    store.add_freeze(freeze)
    assert store.freezes(NOW) == [freeze]
    assert store.held_back(["f1"], ["s1"]) == {}
    assert store.broken_freezes() == []
    assert store.hold_runs(freeze, NOW, NOW + SECOND, ["s1"]) == store.release_held("f1", NOW) == 0
    assert store.change_freeze(freeze, {"done_at": NOW, "expires_at": NOW + SECOND})
    assert store.prune_freezes(NOW) == 0
    assert store.remove_freeze("f1")


def use_ticks(store: Any) -> None:
    tick = store.claim_tick(a_tick(daemon="d0"))
    assert store.take_over_tick(tick, "d1")
    assert store.finish_tick(a_tick(done_at=NOW))
    store.claim_tick(a_tick(NOW + 60 * SECOND))
    assert len(store.ledger(NOW - 60 * SECOND, NOW + 120 * SECOND)) == 2
    assert store.prune_ticks(NOW + 600 * SECOND) == 1


def use_runs(store: Any) -> None:
    run = a_run(key="k")
    assert store.add_runs([run]) == set()
    assert store.run_with_key("k").id == run.id
    assert store.next_run_at(["extract"]) == NOW
    assert store.queued_users(None, 5) == [""]
    assert (store.count_queued("", 5), store.count_schedules("nobody's", 5)) == (1, 0)
    (claimed,) = store.claim_runs("d1", ClaimQuery(["extract"], NOW, 1, users=["", "eve"]))
    assert store.owners() >= {"d1"}
    assert store.change_runs([(claimed, transitions.closed(runs.SUCCEEDED, NOW))]) == set()
    assert store.run(run.id).state == "succeeded"
    running = a_running("s1")
    store.add_runs([running, a_run(schedule="s2", lane="s2", run_at=None)])
    assert len(store.at_work(["s1"])) == 1
    assert store.release_lanes(NOW) == 1
    assert sum(store.count_runs().values()) == 2
    assert store.count_queues() == {"default": 1}
    assert store.backlog() == {"default": (1, NOW)}
    assert len(list(store.runs(RunQuery()))) == store.count_listed(RunQuery()) == 3
    assert list(store.last_runs(["s2"])) == ["s2"]
    assert len(store.outlines(RunQuery())) == sum(store.tally(NOW - SECOND, NOW + SECOND, SECOND).values()) == 3
    with store.within(60):
        assert store.last_outlines(["nobody"], 1) == {}
    assert [unsent.lane for unsent in store.unsent_runs(UnsentQuery(NOW, 10))] == ["s2"]
    assert store.watch_output(running.id, NOW + SECOND)
    assert store.watched([running.id], NOW) == {running.id}
    assert store.abandon_unreadable("d1", NOW) == 0
    store.prune_runs(NOW)
    assert store.damage() == []


def use_limits(store: Any) -> None:
    store.set_limit(limits.new("api", 3, NOW))
    store.set_limit(limits.new("api", 2, NOW))
    assert [(limit.name, limit.most) for limit in store.limits()] == [("api", 2)]
    store.add_runs([a_run("limited", handler="limited", limit="api"), a_run("later", handler="limited", limit="api")])
    assert len(store.claim_runs("d1", ClaimQuery(["limited"], NOW, 1))) == 1
    assert store.count_limited(["api"]) == {"api": 1}
    assert store.count_waiting("api", 10) == 1
    assert store.queued_limits() == {"api"}
    assert store.remove_limit("api")


def use_alarms(store: Any) -> None:
    alarm = alarms.new("failed", "s1", "s1 failed", now=NOW)
    assert store.raise_alarms([alarm]) == {"failed:s1"}
    assert store.raise_alarms([replace(alarm, last_at=NOW + SECOND)]) == set()
    assert [one.times for one in store.alarms(AlarmQuery())] == [2]
    assert store.note_told(alarm, {"team": Told(told_at=NOW)})
    assert store.change_alarm(alarm, {"cleared_at": NOW})
    assert store.alarm("failed:s1").told
    duty = store.claim_duty("watch", "d1", NOW, NOW + SECOND)
    assert store.change_duty(duty, {"looked_at": NOW})
    assert len(store.duties()) == 1
    assert store.prune_alarms(NOW + 2 * SECOND) == 1
    assert store.duties() == []
    assert isinstance(store.late_runs(NOW, 10), list)


def test_all_that_a_store_can_do_is_tried(store_as: Callable[..., Store]) -> None:
    watched = Watched(store_as("readWrite"))
    assert use(watched) == []
    promised = {name for name, _ in inspect.getmembers(Store) if not name.startswith("_")}
    assert promised - watched.called == {"address", "close"}


def test_read_and_write_on_its_own_database_are_enough(store_as: Callable[..., Store]) -> None:
    assert use(store_as("readWrite")) == []


def test_a_role_of_a_few_privileges_is_enough(store_as: Callable[..., Store]) -> None:
    assert use(store_as(privileges=LEAST)) == []


@pytest.mark.parametrize(
    ("collection", "action"), [(name, action) for name, actions in LEAST.items() for action in actions]
)
def test_no_privilege_of_that_role_can_be_left_out(
    store_as: Callable[..., Store], collection: str, action: str
) -> None:
    left = {name: tuple(a for a in actions if (name, a) != (collection, action)) for name, actions in LEAST.items()}
    try:
        complaints = use(store_as(privileges=left))
    except (StoreError, AssertionError) as refused:
        complaints = [str(refused)]
    assert complaints


def test_reading_is_enough_to_look(store_as: Callable[..., Store], root: MongoClient[dict[str, Any]]) -> None:
    looking = store_as("read")
    assert (looking.daemons(), looking.count_runs(), list(looking.schedules(ScheduleQuery()))) == ([], {}, [])
    with pytest.raises(StoreError, match="does not allow this user: insert in schedules"):
        looking.add_schedule(a_schedule())


def test_a_wrong_password_is_told_without_repeating_it(guarded: Guarded) -> None:
    store = open_store(f"mongodb://cronlite:secret-word@{guarded.address}/app?directConnection=true")
    with pytest.raises(StoreUnavailable) as refused:
        store.now()
    store.close()
    assert "uthentication" in str(refused.value)
    assert "secret-word" not in str(refused.value)
    assert "secret-word" not in store.address
