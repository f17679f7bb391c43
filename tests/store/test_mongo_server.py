"""What does the store say and do when MongoDB is away, slow, full, guarded or dead, and how fast does it hear of a run?"""

import logging
import os
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient

from cronlite import runs
from cronlite.due import due
from cronlite.errors import ConfigurationError, StoreError, StoreUnavailable
from cronlite.runs import SUCCEEDED
from cronlite.store.contract import Store
from cronlite.store.mongo import MongoStore
from tests.faults.proxy import Proxy
from tests.services import MissingService, skip_or_fail
from tests.services.mongod import Mongod, ReplicaSet
from tests.services.process import free_port
from tests.store.conftest import empty
from tests.store.overheard import Commands, overhear
from tests.store.samples import (
    MINUTE,
    NOW,
    SECOND,
    TICK,
    a_daemon,
    a_run,
    a_run_in,
    a_running,
    a_schedule,
    a_tick,
)
from tests.waiting import wait_until

Document = dict[str, Any]
StartMongod = Callable[..., Mongod]
pytestmark = pytest.mark.mongod
PASSWORD = "s3cr3t-Pa55"


@contextmanager
def opened(uri: str) -> Iterator[MongoStore]:
    store = MongoStore.open(uri)
    try:
        yield store
    finally:
        store.close()


@pytest.fixture
def store(mongo_database: str) -> Iterator[MongoStore]:
    empty(mongo_database)
    with opened(mongo_database) as store:
        assert store.prepare() == []
        yield store


# guarantees


def everything(store: Store) -> None:
    """Call whatever writes."""
    document = a_schedule(name="nightly")
    store.add_schedule(document)
    store.change_schedule(document["_id"], {"note": "x"}, NOW)
    store.remove_schedule(document["_id"])
    store.claim_tick(a_tick(daemon="dead"))
    store.take_over_tick(a_tick(daemon="dead"), "d1")
    store.finish_tick(a_tick(daemon="d1", done_at=NOW))
    store.claim_tick(a_tick(TICK + MINUTE))
    store.prune_ticks(TICK + 60 * MINUTE)
    store.add_runs([a_run_in("a"), a_run_in("a", due_at=TICK + MINUTE), a_run(), a_run_in("b", run_at=None)])
    store.release_lanes(NOW)
    won = store.claim_runs("d1", ["extract"], NOW, 10)
    store.change_runs([(run, runs.closed(SUCCEEDED, NOW)) for run in won])
    store.change_runs([(won[0], runs.closed(SUCCEEDED, NOW + SECOND))])
    store.join(a_daemon())
    store.beat("d1", running=0, stuck=0)
    store.mark_dead("d1", 1)
    store.prune_daemons(NOW)
    store.leave("d1")


@pytest.fixture
def commands() -> Commands:
    return Commands()


@pytest.fixture
def overheard(mongo_database: str, commands: Commands) -> Iterator[MongoStore]:
    """A store whose commands are remembered, on a URI that asks for weaker guarantees."""
    empty(mongo_database)
    weak = f"{mongo_database}&w=1&journal=false&readPreference=secondaryPreferred&readConcernLevel=available"
    store = overhear(weak, commands)
    yield store
    store.close()


def test_every_write_is_journaled_on_the_majority_whatever_the_uri_says(
    overheard: MongoStore, commands: Commands
) -> None:
    everything(overheard)
    writes = [sent for sent in commands.sent if {"insert", "update", "delete", "findAndModify"} & set(sent)]
    assert len(writes) >= 18
    for sent in writes:
        assert sent["writeConcern"] == {"w": "majority", "j": True}, sent


def test_every_command_goes_to_the_primary_with_a_time_limit(overheard: MongoStore, commands: Commands) -> None:
    everything(overheard)
    list(due(overheard, TICK))
    overheard.now()
    assert len(commands.sent) > 30
    for sent in commands.sent:
        assert "level" not in sent.get("readConcern", {}), sent
        # To a lone server pymongo says primaryPreferred; to a replica set it says nothing, which is the primary.
        assert sent.get("$readPreference", {"mode": "primary"})["mode"] in ("primary", "primaryPreferred"), sent
        assert 0 < sent["maxTimeMS"] <= 5_000, sent


def test_what_was_acknowledged_outlives_the_death_of_a_lone_server(start_mongod: StartMongod) -> None:
    server = start_mongod(replica_set=None)
    with opened(server.uri_of("cronlite")) as store:
        assert store.prepare() == []
        for number in range(100):
            assert store.add_runs([a_run(f"r{number:03}")]) == set()
        server.kill()
        server.start()
        won = wait_until(lambda: reached(lambda: store.claim_runs("d1", ["extract"], NOW, 200)), what="it is back")
        assert sorted(run.id for run in won) == [f"r{number:03}" for number in range(100)]


def reached(ask: Callable[[], Any]) -> Any:
    try:
        return ask()
    except StoreUnavailable:
        return None


def test_an_election_loses_nothing_and_repeats_nothing(replica_set: ReplicaSet) -> None:
    with opened(replica_set.uri_of("cronlite")) as store:
        assert store.prepare() == []
        added: list[str] = []
        stopped = threading.Event()

        def go_on_adding() -> None:
            while not stopped.is_set():
                run = a_run()
                if reached(lambda run=run: store.add_runs([run])) == set():  # type: ignore[misc]
                    added.append(run.id)

        thread = threading.Thread(target=go_on_adding)
        thread.start()
        wait_until(lambda: len(added) > 20, what="some runs were added")
        replica_set.step_down()
        before = len(added)
        wait_until(lambda: len(added) > before + 20, limit_seconds=60, what="more runs were added")
        stopped.set()
        thread.join()
        won = [run.id for run in store.claim_runs("d1", ["extract"], NOW, 100_000)]
        assert len(won) == len(set(won))
        assert set(added) <= set(won)


# out of reach


def test_a_server_that_is_not_there_is_told_within_seconds() -> None:
    with opened(f"mongodb://127.0.0.1:{free_port()}/app") as store:
        for ask in (store.prepare, store.now, lambda: list(store.schedules()), lambda: store.watch(1)):
            started = time.monotonic()
            with pytest.raises(StoreUnavailable, match=r"^mongodb://127.0.0.1:\d+/app cannot be reached: ") as failed:
                ask()
            assert time.monotonic() - started < 4.5
            told = str(failed.value)
            assert "Connection refused" in told
            assert "Topology" not in told
            assert "\n" not in told
            assert len(told) < 400


def test_a_shorter_time_limit_of_the_uri_is_kept() -> None:
    with opened(f"mongodb://127.0.0.1:{free_port()}/app?serverSelectionTimeoutMS=100&timeoutms=90000") as store:
        started = time.monotonic()
        with pytest.raises(StoreUnavailable):
            store.now()
        assert time.monotonic() - started < 1


def test_a_stalled_server_holds_nobody_longer_than_the_time_limit(start_mongod: StartMongod) -> None:
    server = start_mongod(replica_set=None)
    with opened(server.uri_of("cronlite")) as store:
        assert store.prepare() == []
        server.pause()
        for ask in (store.now, lambda: store.add_runs([a_run()]), lambda: store.claim_runs("d", ["extract"], NOW, 1)):
            started = time.monotonic()
            with pytest.raises(StoreUnavailable):
                ask()
            assert time.monotonic() - started < 7
        server.go_on()
        wait_until(lambda: reached(store.now), what="it is back")


def test_a_slow_answer_is_cut_off(store: MongoStore, mongod: Mongod) -> None:
    started = time.monotonic()
    with mongod.failing("find", blockConnection=True, blockTimeMS=20_000, appName="cronlite"):
        with pytest.raises(StoreUnavailable):
            store.run("r1")
    assert time.monotonic() - started < 7


def test_a_full_disk_is_called_so(store: MongoStore, mongod: Mongod) -> None:
    for ask in (lambda: store.add_runs([a_run()]), lambda: store.add_schedule(a_schedule())):
        with mongod.failing("insert", errorCode=14031, appName="cronlite"):
            with pytest.raises(StoreError, match="no space left on its disk") as failed:
                ask()
        assert not isinstance(failed.value, StoreUnavailable)


def test_what_is_not_known_to_be_on_the_majority_is_not_called_done(store: MongoStore, mongod: Mongod) -> None:
    run = a_run()
    unsure = {"code": 64, "errmsg": "waiting for replication timed out", "errInfo": {"wtimeout": True}}
    for command, ask in (
        ("insert", lambda: store.add_runs([run])),
        ("update", lambda: store.claim_runs("d1", ["extract"], NOW, 1)),
        ("findAndModify", lambda: store.join(a_daemon())),
    ):
        with mongod.failing(command, writeConcernError=unsure, appName="cronlite"):
            with pytest.raises(StoreUnavailable, match="waiting for replication"):
                ask()


def test_no_document_is_shown_with_an_error(store: MongoStore, mongod: Mongod) -> None:
    with mongod.failing("insert", errorCode=14031, appName="cronlite"):
        with pytest.raises(StoreError) as failed:
            store.add_runs([a_run(params={"password": PASSWORD})])
    assert PASSWORD not in "".join(traceback.format_exception(failed.value))


def test_a_closed_store_says_so(mongo_database: str) -> None:
    store = MongoStore.open(mongo_database)
    store.now()
    store.close()
    store.close()
    with pytest.raises(StoreError, match="after close"):
        store.now()


# lost answers


@pytest.fixture(params=["lone", "replica set"])
def proxied(request: pytest.FixtureRequest, start_mongod: StartMongod) -> Iterator[tuple[MongoStore, Proxy]]:
    """A store behind a connection that can lose answers. A lone server has no retryable writes."""
    server = start_mongod(replica_set=None) if request.param == "lone" else request.getfixturevalue("mongod")
    with Proxy(server.port) as proxy, opened(proxy.uri_of(f"lost_{os.getpid()}")) as store:
        assert store.prepare() == []
        yield store, proxy
        store._client.drop_database(f"lost_{os.getpid()}")


def test_a_claim_whose_answer_is_lost_is_won_all_the_same(proxied: tuple[MongoStore, Proxy]) -> None:
    store, proxy = proxied
    assert store.add_runs([a_run(f"r{number}") for number in range(5)]) == set()
    proxy.lose_answers("update", 1)
    won = store.claim_runs("d1", ["extract"], NOW, 10)
    assert proxy.lost == ["update"]
    assert [run.id for run in won] == [f"r{number}" for number in range(5)]
    assert all(run.attempt == 1 for run in won)
    assert store.run("r3") == won[3]


def test_an_outcome_whose_answer_is_lost_is_made_all_the_same(proxied: tuple[MongoStore, Proxy]) -> None:
    store, proxy = proxied
    many = [a_running(f"lane{number}") for number in range(5)]
    assert store.add_runs(many) == set()
    assert store.change_runs([(many[0], runs.closed("abandoned", NOW))]) == set()
    proxy.lose_answers("update", 1)
    outcomes = [(run, runs.closed(SUCCEEDED, NOW, result=number)) for number, run in enumerate(many)]
    assert store.change_runs(outcomes) == {many[0].id}
    assert proxy.lost == ["update"]


def test_a_tick_whose_claim_was_not_answered_is_the_daemons_own(proxied: tuple[MongoStore, Proxy]) -> None:
    store, proxy = proxied
    proxy.lose_answers("insert", 1)
    if reached(lambda: store.claim_tick(a_tick(daemon="d1"))) is None:
        assert store.claim_tick(a_tick(daemon="d1")) == a_tick(daemon="d1")
    assert proxy.lost == ["insert"]
    assert store.claim_tick(a_tick(daemon="d2")).daemon == "d1"


# guarded


class Guarded(Mongod):
    """A lone server that asks for a password."""

    def _command(self) -> list[str | Path]:
        return [*super()._command(), "--auth"]

    def uri_as(self, user: str, password: str = PASSWORD) -> str:
        return f"mongodb://{user}:{password}@{self.address}/app?authSource=admin"


@pytest.fixture(scope="module")
def guarded() -> Iterator[Guarded]:
    try:
        server = Guarded(replica_set=None)
    except MissingService as missing:
        skip_or_fail(missing)
    with server:
        with server.client() as client:  # before there is a user, this machine may make one
            client.admin.command("createUser", "root", pwd=PASSWORD, roles=["root"])
        with MongoClient[Document](server.uri_as("root")) as client:
            client.admin.command("createUser", "app", pwd=PASSWORD, roles=[{"role": "readWrite", "db": "app"}])
            client.admin.command("createUser", "reader", pwd=PASSWORD, roles=[{"role": "read", "db": "app"}])
        with opened(server.uri_as("root")) as store:
            assert store.prepare() == []
        yield server


def test_a_user_with_the_role_read_write_can_do_all_there_is(guarded: Guarded) -> None:
    with opened(guarded.uri_as("app")) as store:
        assert store.prepare() == []
        everything(store)
        list(due(store, TICK))
        assert store.now().year > 2000
        assert store.watch(0.1) is False


def test_a_wrong_password_is_told_without_showing_it(guarded: Guarded, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with opened(guarded.uri_as("app", "wr0ng")) as store:
        for ask in (store.prepare, store.now, lambda: list(store.schedules()), lambda: store.watch(1)):
            with pytest.raises(StoreUnavailable, match="lets nobody in: Authentication failed") as failed:
                ask()
            assert "authSource" in str(failed.value)
            assert "wr0ng" not in "".join(traceback.format_exception(failed.value))
        assert store.address == f"mongodb://app@{guarded.address}/app"
    assert "wr0ng" not in caplog.text


def test_no_password_where_one_is_needed_is_told(guarded: Guarded) -> None:
    with opened(guarded.uri_of("app")) as store:
        with pytest.raises(StoreUnavailable, match="lets nobody in without a user"):
            store.add_schedule(a_schedule())


def test_a_user_who_may_only_read_is_told_which_role_is_lacking(guarded: Guarded) -> None:
    with opened(guarded.uri_as("reader")) as store:
        assert list(store.schedules()) == []
        assert store.prepare() == []
        for command, ask in {
            "insert in schedules": lambda: store.add_schedule(a_schedule()),
            "insert in runs": lambda: store.add_runs([a_run()]),
            "findAndModify in daemons": lambda: store.join(a_daemon()),
        }.items():
            with pytest.raises(StoreError, match=f"{command}; grant the role readWrite") as failed:
                ask()
            assert not isinstance(failed.value, StoreUnavailable)


def test_indexes_that_a_user_may_not_build_are_an_error(guarded: Guarded) -> None:
    with opened(guarded.uri_as("reader").replace("/app?", "/other?")) as store:
        with pytest.raises(StoreError, match="grant the role readWrite"):
            store.prepare()


# waking


def test_a_new_run_ends_the_wait(mongo_database: str) -> None:
    empty(mongo_database)
    with opened(mongo_database) as waiting, opened(mongo_database) as other:
        assert waiting.watch(0.01)
        for wake in (
            lambda: other.add_runs([a_run()]),
            lambda: other.add_runs([a_run_in("lane", run_at=None)]),
            lambda: other.release_lanes(NOW),
        ):
            started = time.monotonic()
            thread = threading.Thread(target=wake)
            thread.start()
            assert waiting.watch(20)
            assert time.monotonic() - started < 5
            thread.join()


def test_what_concerns_no_waiting_daemon_does_not_end_the_wait(mongo_database: str) -> None:
    empty(mongo_database)
    with opened(mongo_database) as waiting:
        running = a_running("lane")
        assert waiting.add_runs([running]) == set()
        assert waiting.watch(0.5)
        assert waiting.change_runs([(running, runs.closed(SUCCEEDED, NOW))]) == set()
        waiting.join(a_daemon())
        started = time.monotonic()
        assert waiting.watch(0.5)
        assert time.monotonic() - started >= 0.45


def test_a_thousand_new_runs_wake_a_few_times(mongo_database: str) -> None:
    empty(mongo_database)
    with opened(mongo_database) as waiting:
        assert waiting.watch(1)
        assert waiting.add_runs([a_run() for _ in range(1_000)]) == set()
        wakes, started = 0, time.monotonic()
        while waiting.watch(1) and time.monotonic() - started < 0.9:
            started, wakes = time.monotonic(), wakes + 1
        assert 1 <= wakes <= 20


def test_closing_the_store_ends_the_wait_of_another_thread(mongo_database: str) -> None:
    store = MongoStore.open(mongo_database)
    assert store.watch(0.01)
    answers: list[object] = []
    thread = threading.Thread(target=lambda: answers.append(store.watch(60)))
    thread.start()
    wait_until(lambda: store._stream._await_ms == 60_000 and store._stream._cursor, what="it waits")
    started = time.monotonic()
    store.close()
    thread.join(10)
    assert answers == [False]
    assert time.monotonic() - started < 3


def test_a_lone_server_says_at_once_that_it_cannot_tell(start_mongod: StartMongod) -> None:
    with opened(start_mongod(replica_set=None).uri_of("cronlite")) as store:
        assert store.prepare() == []
        for _ in range(3):
            started = time.monotonic()
            assert store.watch(10) is False
            assert time.monotonic() - started < 1


def test_a_stream_that_the_server_ended_is_opened_again(mongo_database: str, mongod: Mongod) -> None:
    with opened(mongo_database) as store:
        assert store.watch(0.01)
        with mongod.failing("getMore", errorCode=43, times=1, appName="cronlite"):
            assert store.watch(0.01) is False
        assert store.watch(0.01) is True


def test_expired_runs_go_by_themselves(start_mongod: StartMongod) -> None:
    server = start_mongod(replica_set=None, parameters={"ttlMonitorSleepSecs": 1})
    with opened(server.uri_of("cronlite")) as store:
        assert store.prepare() == []
        store.add_runs([a_run("old", state=SUCCEEDED, expires_at=NOW.replace(year=2020)), a_run("new")])
        wait_until(lambda: store.run("old") is None, limit_seconds=20, what="the expired run is gone")
        assert store.run("new") is not None
        assert store.prune_runs(NOW) == 0


# the URI


@pytest.mark.parametrize(
    ("uri", "told"),
    [
        ("mongodb://host", "names no database"),
        ("mongodb://host/", "names no database"),
        (f"mongodb://user:{PASSWORD}@host", "names no database"),
        (f"mongodb://user:{PASSWORD}/x@host/app", "percent-escaped"),
        (f"mongodb://user:{PASSWORD}@x@host/app", "percent-escaped"),
        (f"mongodb://user:{PASSWORD}?x@host/app", "percent-escaped"),
        (f"mongodb://user:123/{PASSWORD}@host", "an @ behind its host"),
        (f"mongodb://user:{PASSWORD}%zz@host/app", "percent-escaped"),
        (f"mongodb://user:{PASSWORD}@host:port/app", "cannot be read"),
        ("mongodb://host:99999/app", "Port must be an integer"),
        ("mongodb://host/a b", "Bad database name"),
        ("mongodb://host/app?tlsCAFile=/nowhere/ca.pem", "/nowhere/ca.pem"),
        ("mongodb://", "cannot be read"),
        ("mongodb:host/app", "cannot be read"),
    ],
)
def test_a_uri_that_cannot_be_used_is_told_without_its_password(uri: str, told: str) -> None:
    with pytest.raises(ConfigurationError, match=told) as failed:
        MongoStore.open(uri)
    assert PASSWORD not in "".join(traceback.format_exception(failed.value))
    assert "\n" not in str(failed.value)


@pytest.mark.parametrize(
    ("uri", "address"),
    [
        ("mongodb://host/app", "mongodb://host/app"),
        (f"mongodb://user:{PASSWORD}@host:1,other:2/app?w=1&tls=true", "mongodb://user@host:1,other:2/app"),
        ("mongodb://user@host/app", "mongodb://user@host/app"),
        (f"mongodb://host/app?appName={PASSWORD}", "mongodb://host/app"),
        (f"mongodb+srv://user:{PASSWORD}@nowhere.invalid/app", "mongodb+srv://user@nowhere.invalid/app"),
    ],
)
def test_the_address_shows_no_password_and_no_options(uri: str, address: str) -> None:
    with opened(uri) as store:
        assert store.address == address


def test_a_name_that_dns_does_not_know_is_out_of_reach() -> None:
    with opened("mongodb+srv://nowhere.invalid/app") as store:
        with pytest.raises(StoreUnavailable, match="nowhere.invalid"):
            store.now()
