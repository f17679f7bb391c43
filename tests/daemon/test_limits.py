"""Do daemons keep a limit and use what it leaves free, whatever their seats and the rest of the queue?"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from cronlite import Cronlite, current_run
from cronlite.daemon.loops import Daemon
from cronlite.daemon.options import Options
from cronlite.documents import limits, new_runs
from cronlite.handlers.registry import Registry
from cronlite.store import open_store
from cronlite.store.contract import Store
from tests.store.samples import a_run, add
from tests.waiting import wait_until

StartDaemon = Callable[..., Daemon]


class AtWork:
    """A handler that counts how many of its calls are at work at once under each limit."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.now: dict[str, int] = {}
        self.most: dict[str, int] = {}
        self.order: list[str] = []
        self.go_on = threading.Event()

    def __call__(self, params: Mapping[str, Any]) -> None:
        limit = "plain" if current_run().id.startswith("plain") else "api"
        with self._lock:
            self.now[limit] = self.now.get(limit, 0) + 1
            self.most[limit] = max(self.now[limit], self.most.get(limit, 0))
            self.order.append(current_run().id)
        if params.get("wait"):
            self.go_on.wait(60)
        with self._lock:
            self.now[limit] -= 1


@pytest.fixture
def work() -> Iterator[AtWork]:
    handler = AtWork()
    yield handler
    handler.go_on.set()


@pytest.fixture(params=["sqlite", pytest.param("mongod", marks=pytest.mark.mongod)])
def uri(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:{tmp_path / 'cronlite.db'}"
    found: str = request.getfixturevalue("mongo_uri")
    return found


@pytest.fixture
def daemon(uri: str, work: AtWork) -> Iterator[StartDaemon]:
    """Starts one more daemon on the store."""
    with ExitStack() as opened:

        def start(seats: int = 8) -> Daemon:
            store = open_store(uri)
            opened.callback(store.close)
            registry = Registry()
            registry.add("extract", work)
            started = Daemon(store, registry, Options(seats=seats, drain_seconds=0))
            opened.callback(started.stop)
            started.start()
            assert started.wait_ready(30)
            return started

        yield start
        work.go_on.set()


@pytest.fixture
def store(uri: str) -> Iterator[Store]:
    opened = open_store(uri)
    opened.prepare()
    yield opened
    opened.close()


def test_two_daemons_keep_a_limit_and_come_to_the_end_of_the_queue(
    store: Store, daemon: StartDaemon, work: AtWork
) -> None:
    store.set_limit(limits.new("api", 3, store.now()))
    add(store, *(a_run(f"r{n:03}", limit="api", run_at=store.now()) for n in range(120)))
    daemon(), daemon()
    wait_until(lambda: store.count_waiting("api", 200) == 0 and not store.count_limited(["api"]))
    assert sorted(work.order) == [f"r{n:03}" for n in range(120)], "each once"
    assert work.most["api"] <= 3


def test_waiting_runs_take_no_seat(store: Store, daemon: StartDaemon, work: AtWork) -> None:
    store.set_limit(limits.new("api", 1, store.now()))
    add(store, *(a_run(f"r{n:03}", limit="api", run_at=store.now(), params={"wait": True}) for n in range(50)))
    started = daemon(seats=2)
    wait_until(lambda: work.now.get("api") == 1)
    add(store, *(a_run(f"plain{n}", run_at=store.now()) for n in range(5)))
    started.wake()
    wait_until(lambda: sum(name.startswith("plain") for name in work.order) == 5)
    assert work.most["api"] == 1


def test_a_raised_limit_counts_for_daemons_at_work(store: Store, daemon: StartDaemon, work: AtWork) -> None:
    store.set_limit(limits.new("api", 1, store.now()))
    add(store, *(a_run(f"r{n:03}", limit="api", run_at=store.now(), params={"wait": True}) for n in range(10)))
    daemon()
    wait_until(lambda: work.now.get("api") == 1)
    store.set_limit(limits.new("api", 4, store.now()))
    wait_until(lambda: work.now.get("api") == 4)
    assert store.count_limited(["api"]) == {"api": 4}


def test_the_runs_of_a_tick_wait_for_their_limit(work: AtWork) -> None:
    registry = Registry()
    registry.add("extract", work)
    with Cronlite("memory:", registry=registry) as cron:
        cron.limits.set("api", 2)
        for n in range(6):
            cron.schedule(name=f"s{n}", handler="extract", limit="api", params={"wait": True})
        daemon = Daemon(cron.store, registry, Options(seats=20, drain_seconds=0))
        daemon.membership.join()
        now = cron.now() - timedelta(seconds=1)
        assert daemon.claimer.add([new_runs.of_schedule(one, now, now) for one in cron.schedules()]) == set()
        assert cron.store.count_limited(["api"]) == {}
        assert (daemon.claimer.claim(), daemon.claimer.claim()) == (2, 0)
        assert cron.store.count_limited(["api"]) == {"api": 2}
        work.go_on.set()
        daemon.claimer.pool.close()
