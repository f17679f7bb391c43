"""Does nobody wait behind all of another's runs? Counted in claims and runs, not in seconds."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from cronlite import Cronlite, current_run
from cronlite.daemon import turns as turns_module
from cronlite.daemon.turns import MOST_USERS, Turns
from cronlite.handlers.registry import Registry
from cronlite.store.contract import ClaimQuery, Store
from tests.store.samples import HANDLERS, NOW, SECOND, a_run, add
from tests.waiting import wait_until

pytestmark = pytest.mark.usefixtures("asked_each_time")


@pytest.fixture
def asked_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns_module, "ASKED_EVERY_SECONDS", -1)


def claims(store: Store, turns: Turns, limit: int, times: int) -> list[str]:
    """Claim so many at a time, as a daemon does; return whose they were."""
    users = []
    for _ in range(times):
        claimed = store.claim_runs("d1", ClaimQuery(HANDLERS, NOW, limit, users=turns.users()))
        turns.served(claimed)
        users += [run.user for run in claimed]
    return users


def queue(store: Store, **of_users: int) -> None:
    for user, count in of_users.items():
        add(store, *(a_run(f"{user}{n:05}", user=user, run_at=NOW - (user == "eve") * SECOND) for n in range(count)))


@pytest.mark.parametrize("limit", [1, 2, 3, 8])
def test_of_two_users_each_gets_every_other_claim(store: Store, limit: int) -> None:
    queue(store, eve=500, bob=20)
    users = claims(store, Turns(store), limit, 24 // limit)
    assert 11 <= users.count("bob") <= 13, users


def test_one_user_alone_is_asked_for_by_no_name(store: Store) -> None:
    queue(store, eve=50)
    turns = Turns(store)
    assert turns.users() == ()
    assert claims(store, turns, 5, 2) == ["eve"] * 10


@pytest.mark.parametrize("limit", [1, 7])
def test_of_more_users_than_take_turns_at_once_each_gets_its_turn(store: Store, limit: int) -> None:
    everybody = {f"u{n:03}": 3 for n in range(3 * MOST_USERS)}
    queue(store, eve=1_000, **everybody)
    users = claims(store, Turns(store), limit, 2 * (len(everybody) + 1) // limit + 1)
    assert set(everybody) <= set(users), "each had a turn while others had two"


def test_users_without_anything_ready_keep_nobody_waiting(store: Store) -> None:
    for n in range(MOST_USERS - 2):
        add(store, a_run(f"later{n}", user=f"a{n}", run_at=NOW + SECOND))
    queue(store, eve=100, bob=5)
    assert claims(store, Turns(store), 1, 20).count("bob") == 5


@pytest.fixture(params=["file", "mongodb"])
def uri(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(request.getfixturevalue("mongo_uri")) if request.param == "mongodb" else f"sqlite:{tmp_path / 'x.db'}"


@pytest.fixture
def called() -> list[str]:
    """For whom the handler was called, in order."""
    return []


@pytest.fixture
def registry(called: list[str]) -> Iterator[Registry]:
    registry, over = Registry(), threading.Event()

    @registry.handler
    def work(params: Any) -> None:
        called.append(current_run().user)
        if not over.is_set():
            time.sleep(0.004)

    yield registry
    over.set()


def test_a_run_of_bobs_is_not_the_last_of_thousands_of_eves_on_two_daemons(
    uri: str, registry: Registry, called: list[str]
) -> None:
    eves = 2_500
    with ExitStack() as stack:
        crons = [stack.enter_context(Cronlite(uri, registry=registry)) for _ in range(2)]
        crons[0].store.prepare()
        due = crons[0].now()
        crons[0].store.add_runs([a_run(handler="work", user="eve", run_at=due, due_at=due) for _ in range(eves)])
        for cron in crons:
            cron.start(seats=2, drain_seconds=5, fair_users=True)
        wait_until(lambda: len(called) > 100)
        before = len(called)
        crons[0].enqueue("work", user="bob")
        wait_until(lambda: "bob" in called, instead=lambda: len(called))
        waited = called.index("bob") - before
        assert waited < eves / 2, f"bob's waited for {waited} of eve's"
