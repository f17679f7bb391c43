"""How fast does a daemon hear of a new run in MongoDB, and what goes by itself?"""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pymongo
import pytest

from cronlite import Cronlite
from cronlite.documents import transitions
from cronlite.documents.runs import SUCCEEDED
from cronlite.errors import StoreUnavailable
from cronlite.handlers.registry import Registry
from cronlite.store.mongo import MongoStore
from tests.services.mongod import Mongod
from tests.store.conftest import empty
from tests.store.overheard import Commands, opened, overhear
from tests.store.samples import (
    NOW,
    SECOND,
    a_daemon,
    a_run,
    a_run_in,
    a_running,
)
from tests.waiting import wait_until

Document = dict[str, Any]
StartMongod = Callable[..., Mongod]
pytestmark = pytest.mark.mongod


@pytest.fixture
def store(mongo_database: str) -> Iterator[MongoStore]:
    empty(mongo_database)
    with opened(mongo_database) as store:
        assert store.prepare() == []
        yield store


def test_a_new_run_ends_the_wait(mongo_database: str) -> None:
    empty(mongo_database)
    with opened(mongo_database) as waiting, opened(mongo_database) as other:
        assert waiting.watch(0.01)
        failed = [a_running(f"failed-{number}") for number in range(9)]
        other.add_runs(failed)

        def when_it_waits(wake: Callable[[], object]) -> None:
            wait_until(lambda: waiting._stream._await_ms == 20_000 and waiting._stream._cursor, what="it waits")
            wake()

        for wake in (
            lambda: other.add_runs([a_run()]),
            lambda: other.add_runs([a_run_in("lane", run_at=None)]),
            lambda: other.release_lanes(NOW),
            lambda: other.change_runs(
                [(run, transitions.queued_again(NOW + number * SECOND)) for number, run in enumerate(failed)]
            ),
        ):
            thread = threading.Thread(target=when_it_waits, args=(wake,))
            started = time.monotonic()
            thread.start()
            assert waiting.watch(20)
            assert time.monotonic() - started < 5
            thread.join()


def test_a_wait_can_be_ended_by_whoever_needs_to_hear_of_nothing(mongo_database: str) -> None:
    """And the next one hears again."""
    empty(mongo_database)
    commands = Commands()
    store = overhear(mongo_database, commands)
    store.stop_watching()  # when nobody waits
    heard: list[bool] = []
    thread = threading.Thread(target=lambda: heard.append(store.watch(600)))
    thread.start()
    wait_until(lambda: any("getMore" in sent for sent in commands.sent), what="it waits")
    store.stop_watching()
    store.add_runs([a_run()])  # or the server may not look whether there is an end to it
    thread.join(60)
    assert not thread.is_alive()
    assert store.watch(0.01)
    store.close()


def test_a_stream_never_takes_the_only_connection(mongo_uri: str) -> None:
    """It may only speed the poll up; with it, no tick was ever done, and the store was told to be out of reach."""
    registry = Registry()
    registry.add("ok", lambda _: "done")
    only = f"{mongo_uri}{'&' if '?' in mongo_uri else '?'}maxPoolSize=1"
    with Cronlite(only, registry=registry) as cron:
        assert not cron.store.watch(0.01)
        cron.start(silence_seconds=2, drain_seconds=1)
        assert cron.enqueue("ok").wait(60).state == "succeeded"
        wait_until(lambda: any(tick.done_at for tick in cron.store.ledger(cron.now(), cron.now())), what="a tick")
        assert [daemon.trouble for daemon in cron.store.daemons()] == [""]


def test_where_no_connection_gets_free_that_is_told(mongo_uri: str) -> None:
    only = f"{mongo_uri}{'&' if '?' in mongo_uri else '?'}maxPoolSize=1"
    told: list[str] = []
    with opened(only) as store, ThreadPoolExecutor(1) as busy:
        store.join(a_daemon())
        taken = busy.submit(store._daemons.find_one, {"$where": "sleep(1000) || true"})
        while not taken.done():
            try:
                with pymongo.timeout(0.05):
                    store.now()
            except StoreUnavailable as refused:
                told.append(str(refused))
    assert any("raise maxPoolSize" in one for one in told), told


def test_what_concerns_no_waiting_daemon_does_not_end_the_wait(mongo_database: str) -> None:
    empty(mongo_database)
    with opened(mongo_database) as waiting:
        assert waiting.watch(0.5)
        running = a_running("lane")
        assert waiting.add_runs([running]) == set()
        assert waiting.change_runs([(running, transitions.closed(SUCCEEDED, NOW))]) == set()
        waiting.join(a_daemon())
        started = time.monotonic()
        assert waiting.watch(0.5)
        assert time.monotonic() - started >= 0.45


def test_a_thousand_new_runs_wake_a_few_times(mongo_database: str) -> None:
    empty(mongo_database)
    with opened(mongo_database) as waiting:
        assert waiting.watch(3)
        assert waiting.add_runs([a_run() for _ in range(1_000)]) == set()
        wakes, started = 0, time.monotonic()
        while waiting.watch(3) and time.monotonic() - started < 2.9:
            started, wakes = time.monotonic(), wakes + 1
        assert 1 <= wakes <= 20


def test_closing_the_store_ends_the_wait_of_another_thread(store: MongoStore, mongo_database: str) -> None:
    waiting = MongoStore.open(mongo_database)
    assert waiting.watch(0.01)
    answers: list[object] = []
    thread = threading.Thread(target=lambda: answers.append(waiting.watch(60)))
    thread.start()
    wait_until(lambda: waiting._stream._await_ms == 60_000 and waiting._stream._cursor, what="it waits")
    started = time.monotonic()
    waiting.close()
    assert time.monotonic() - started < 10
    wait_until(lambda: store.join(a_daemon()) and answers, what="the wait has ended")
    thread.join()
    assert answers == [False]
    assert waiting.watch(60) is False


def test_whoever_asks_while_another_thread_waits_is_answered_at_once(store: MongoStore, mongo_database: str) -> None:
    waiting = MongoStore.open(mongo_database)
    thread = threading.Thread(target=waiting.watch, args=(60,))
    thread.start()
    wait_until(lambda: waiting._stream._await_ms == 60_000 and waiting._stream._cursor, what="it waits")
    assert waiting.watch(0.001)
    assert thread.is_alive(), "it has waited as long as the other"
    waiting.close()
    store.join(a_daemon())  # a write, at which the server notices
    thread.join()


def test_a_lone_server_says_at_once_that_it_cannot_tell_and_is_not_asked_again(start_mongod: StartMongod) -> None:
    commands = Commands()
    store = overhear(start_mongod(replica_set=None).uri_of("cronlite"), commands)
    for _ in range(3):
        started = time.monotonic()
        assert store.watch(10) is False
        assert time.monotonic() - started < 5
    assert len(commands.sent) == 1
    store.close()


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
        wait_until(lambda: store.run("old") is None, what="the expired run is gone")
        assert store.run("new") is not None
        assert store.prune_runs(NOW) == 0
