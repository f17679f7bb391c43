"""What does the store say and do when MongoDB is away, slow, full, guarded or dead?"""

import os
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pymongo import MongoClient, ReadPreference
from pymongo.errors import AutoReconnect, BulkWriteError, ServerSelectionTimeoutError

from cronlite.daemon.due import due
from cronlite.documents import transitions
from cronlite.documents.runs import SUCCEEDED
from cronlite.errors import StoreError, StoreTooSlow, StoreUnavailable
from cronlite.store.contract import ClaimQuery, RunQuery, ScheduleQuery
from cronlite.store.mongo import MongoStore
from cronlite.store.mongo.failures import in_our_words
from tests.faults.proxy import Proxy
from tests.services.mongod import Mongod, ReplicaSet
from tests.services.process import free_port
from tests.store.conftest import empty
from tests.store.overheard import Commands, everything, opened, overhear, reached
from tests.store.samples import (
    HANDLERS,
    NOW,
    TICK,
    a_daemon,
    a_run,
    a_running,
    a_schedule,
    a_tick,
    add,
)
from tests.waiting import wait_until

Document = dict[str, Any]
StartMongod = Callable[..., Mongod]
pytestmark = pytest.mark.mongod
PASSWORD = "s3cr3t-Pa55"


@pytest.fixture
def store(mongo_database: str) -> Iterator[MongoStore]:
    empty(mongo_database)
    with opened(mongo_database) as store:
        assert store.prepare() == []
        yield store


# guarantees


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


def test_a_claim_after_a_wait_is_a_look_and_a_write(overheard: MongoStore, commands: Commands) -> None:
    waiting = [a_run("urgent", priority=9), a_run("plain")]
    add(overheard, *waiting)
    overheard.next_run_at(HANDLERS)  # as a daemon asks that has nothing to do
    commands.sent.clear()
    assert [run.id for run in overheard.claim_runs("d1", ClaimQuery(HANDLERS, NOW, 10))] == ["urgent", "plain"]
    assert [next(iter(sent)) for sent in commands.sent] == ["find", "update"]


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


def test_reads_go_to_the_primary_of_a_replica_set_whatever_the_uri_says() -> None:
    with opened("mongodb://host/app?replicaSet=rs0&readPreference=secondary&w=0") as store:
        for collection in (store._schedules, store._runs, store._ticks, store._daemons):
            assert collection.read_preference == ReadPreference.PRIMARY
            assert collection.write_concern.acknowledged


def test_what_was_acknowledged_outlives_the_death_of_a_lone_server(start_mongod: StartMongod) -> None:
    server = start_mongod(replica_set=None)
    with opened(server.uri_of("cronlite")) as store:
        assert store.prepare() == []
        for number in range(100):
            assert store.add_runs([a_run(f"r{number:03}")]) == set()
        server.kill()
        server.start()
        won = wait_until(
            lambda: reached(lambda: store.claim_runs("d1", ClaimQuery(["extract"], NOW, 200))), what="it is back"
        )
        assert sorted(run.id for run in won) == [f"r{number:03}" for number in range(100)]


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
        claimed = wait_until(lambda: reached(lambda: store.claim_runs("d1", ClaimQuery(["extract"], NOW, 100_000))))
        won = [run.id for run in claimed]
        assert len(won) == len(set(won))
        assert set(added) <= set(won)


# out of reach


def test_a_server_that_is_not_there_is_told_within_seconds() -> None:
    with opened(f"mongodb://127.0.0.1:{free_port()}/app") as store:
        for ask in (store.prepare, lambda: list(store.schedules(ScheduleQuery()))):
            started = time.monotonic()
            with pytest.raises(StoreUnavailable, match=r"^mongodb://127.0.0.1:\d+/app cannot be reached: ") as failed:
                ask()
            assert time.monotonic() - started < 10
            told = str(failed.value)
            assert "Topology" not in told
            assert "\n" not in told
            assert len(told) < 400


def test_a_shorter_time_limit_of_the_uri_is_kept() -> None:
    with opened(f"mongodb://127.0.0.1:{free_port()}/app?timeoutms=200&serverSelectionTimeoutMS=90000") as store:
        started = time.monotonic()
        with pytest.raises(StoreUnavailable):
            store.now()
        assert time.monotonic() - started < 4


def test_a_stalled_server_holds_nobody_longer_than_the_time_limit(start_mongod: StartMongod) -> None:
    server = start_mongod(replica_set=None)
    with opened(server.uri_of("cronlite")) as store:
        assert store.prepare() == []
        server.pause()
        for ask in (lambda: store.add_runs([a_run()]), lambda: store.claim_runs("d1", ClaimQuery(["extract"], NOW, 1))):
            started = time.monotonic()
            with pytest.raises(StoreUnavailable):
                ask()
            assert time.monotonic() - started < 10
        server.go_on()
        wait_until(lambda: reached(store.now), what="it is back")


def test_a_slow_answer_is_cut_off(store: MongoStore, mongod: Mongod) -> None:
    with mongod.failing("find", blockConnection=True, blockTimeMS=8_000, appName="cronlite"):
        started = time.monotonic()
        with pytest.raises(StoreUnavailable):
            store.run("r1")
        assert time.monotonic() - started < 10


SEARCHES: dict[str, tuple[str, Callable[[MongoStore], object]]] = {
    "runs": ("find", lambda store: list(store.runs(RunQuery(user="ann")))),
    "schedules": ("find", lambda store: list(store.schedules(ScheduleQuery(user="ann")))),
    "a count": ("aggregate", lambda store: store.count_runs()),
}


@pytest.mark.parametrize("search", SEARCHES)
@pytest.mark.parametrize("noticed_by", ["the server", "the client"])
def test_a_search_that_takes_too_long_is_not_called_a_store_out_of_reach(
    mongod: Mongod, mongo_database: str, search: str, noticed_by: str
) -> None:
    command, ask = SEARCHES[search]
    how: Document = {"errorCode": 50} if noticed_by == "the server" else {"blockConnection": True, "blockTimeMS": 1_500}
    failing, refused = mongod.failing(command, appName="cronlite", **how), pytest.raises(StoreTooSlow)
    with opened(f"{mongo_database}&timeoutMS=300") as store, failing, refused as failed:
        ask(store)
    assert "ask for less" in str(failed.value)
    assert "reached" not in str(failed.value)


def test_a_search_of_a_stalled_server_finds_it_out_of_reach(start_mongod: StartMongod) -> None:
    server = start_mongod(replica_set=None)
    with opened(f"{server.uri_of('cronlite')}&timeoutMS=300") as store:
        assert list(store.schedules(ScheduleQuery())) == []
        server.pause()
        with pytest.raises(StoreUnavailable):
            list(store.schedules(ScheduleQuery()))
        server.go_on()


def test_a_full_disk_is_called_so(store: MongoStore, mongod: Mongod) -> None:
    for ask in (lambda: store.add_runs([a_run()]), lambda: store.add_schedule(a_schedule())):
        full = mongod.failing("insert", errorCode=14031, appName="cronlite")
        with full, pytest.raises(StoreUnavailable, match="no space left on its disk"):
            ask()


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (
            BulkWriteError({"writeErrors": [{"index": 0, "code": 50, "errmsg": "exceeded time\nlimit"}]}),
            "exceeded time limit",
        ),
        (ServerSelectionTimeoutError("No primary, Timeout: 3.0s, Topology Description: <…>"), "No primary"),
        (AutoReconnect("host: closed (configured timeouts: connectTimeoutMS: 20000.0ms)"), "host: closed"),
    ],
)
def test_what_may_pass_is_told_in_a_few_words(error: Exception, told: str) -> None:
    raised = in_our_words(error, "mongodb://host/app")
    assert isinstance(raised, StoreUnavailable)
    assert str(raised) == f"mongodb://host/app cannot be reached: {told}"


def test_what_is_not_known_to_be_on_the_majority_is_not_called_done(store: MongoStore, mongod: Mongod) -> None:
    run = a_run()
    unsure = {"code": 64, "errmsg": "waiting for replication timed out", "errInfo": {"wtimeout": True}}
    for command, ask in (
        ("insert", lambda: store.add_runs([run])),
        ("update", lambda: store.claim_runs("d1", ClaimQuery(["extract"], NOW, 1))),
        ("findAndModify", lambda: store.join(a_daemon())),
    ):
        failing = mongod.failing(command, writeConcernError=unsure, appName="cronlite")
        with failing, pytest.raises(StoreUnavailable, match="cannot be reached"):
            ask()


def test_no_document_is_shown_with_an_error(mongo_uri: str) -> None:
    with MongoClient[Document](mongo_uri) as client:
        client.get_default_database().create_collection("runs", validator={"user": {"$ne": "refused"}})
    with opened(mongo_uri) as store, pytest.raises(StoreError, match="refused: ") as failed:
        store.add_runs([a_run(user="refused", params={"password": PASSWORD})])
    assert PASSWORD not in "".join(traceback.format_exception(failed.value))


def test_a_closed_store_says_so(mongo_database: str) -> None:
    store = MongoStore.open(mongo_database)
    store.now()
    store.close()
    store.close()
    with pytest.raises(StoreError, match="cannot be used: "):
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
    won = store.claim_runs("d1", ClaimQuery(["extract"], NOW, 10))
    assert proxy.lost == ["update"]
    assert [run.id for run in won] == [f"r{number}" for number in range(5)]
    assert all(run.attempt == 1 for run in won)
    assert store.run("r3") == won[3]


def test_an_outcome_whose_answer_is_lost_is_made_all_the_same(proxied: tuple[MongoStore, Proxy]) -> None:
    store, proxy = proxied
    many = [a_running(f"lane{number}") for number in range(5)]
    assert store.add_runs(many) == set()
    assert store.change_runs([(many[0], transitions.closed("abandoned", NOW))]) == set()
    proxy.lose_answers("update", 1)
    outcomes = [(run, transitions.closed(SUCCEEDED, NOW, result=number)) for number, run in enumerate(many)]
    assert store.change_runs(outcomes) == {many[0].id}
    assert proxy.lost == ["update"]


def test_a_tick_whose_claim_was_not_answered_is_the_daemons_own(proxied: tuple[MongoStore, Proxy]) -> None:
    store, proxy = proxied
    proxy.lose_answers("insert", 1)
    if reached(lambda: store.claim_tick(a_tick(daemon="d1"))) is None:
        assert store.claim_tick(a_tick(daemon="d1")) == a_tick(daemon="d1")
    assert proxy.lost == ["insert"]
    assert store.claim_tick(a_tick(daemon="d2")).daemon == "d1"
