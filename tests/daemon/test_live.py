"""Is what a handler prints stored while it runs: for those who look, for the attempt at work, and for nobody else?"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cronlite import Cronlite
from cronlite.client.following import Follower, grown
from cronlite.daemon.live import LiveOutput
from cronlite.daemon.store_clock import StoreClock
from cronlite.documents import runs, transitions
from cronlite.documents.runs import Run
from cronlite.handlers.output import Tail, capture_prints
from cronlite.handlers.registry import Registry
from cronlite.store.contract import Store
from tests.store.samples import LANE, NOW, SECOND, a_running, add, stored
from tests.waiting import wait_until


class Asked:
    """Stands before a store and counts what it is asked."""

    def __init__(self, store: Store) -> None:
        self._store, self.calls = store, list[str]()

    def __getattr__(self, name: str) -> Any:
        self.calls.append(name)
        return getattr(self._store, name)


class Stopped(StoreClock):
    def now(self) -> Any:
        return NOW


@pytest.fixture
def asked(store: Store) -> Asked:
    return Asked(store)


@pytest.fixture
def at_work() -> list[tuple[Run, Tail]]:
    return []


@pytest.fixture
def live(asked: Asked, at_work: list[tuple[Run, Tail]]) -> LiveOutput:
    return LiveOutput(asked, Stopped(), lambda: at_work)


def begun(store: Store, at_work: list[tuple[Run, Tail]], **given: Any) -> tuple[Run, Tail]:
    run = a_running(LANE, **{"started_at": NOW - 5 * SECOND, **given})
    add(store, run)
    at_work.append((run, Tail()))
    return at_work[-1]


def test_the_store_is_asked_nothing_while_nothing_runs(live: LiveOutput, asked: Asked) -> None:
    for _ in range(3):
        live.show()
    assert asked.calls == []


def test_a_run_that_has_just_begun_is_not_asked_about(
    live: LiveOutput, asked: Asked, store: Store, at_work: list[tuple[Run, Tail]]
) -> None:
    begun(store, at_work, started_at=NOW - SECOND / 2)
    live.show()
    assert asked.calls == []


def test_a_round_asks_once_and_writes_only_what_somebody_follows_and_what_is_new(
    live: LiveOutput, asked: Asked, store: Store, at_work: list[tuple[Run, Tail]]
) -> None:
    run, tail = begun(store, at_work)
    tail.write("one\n")
    live.show()
    assert asked.calls == ["watched"]
    assert stored(store, run).output is None
    store.watch_output(run.id, NOW + SECOND)
    live.show()
    assert stored(store, run).live_output == "one\n"
    live.show()
    assert asked.calls == ["watched", "watched", "change_runs", "watched"]
    tail.write("two\n")
    live.show()
    assert stored(store, run).live_output == "one\ntwo\n"


def test_a_silent_attempt_takes_the_place_of_what_the_one_before_it_printed(
    live: LiveOutput, store: Store, at_work: list[tuple[Run, Tail]]
) -> None:
    run, _ = begun(store, at_work, attempt=2, output="of the first attempt")
    store.watch_output(run.id, NOW + SECOND)
    live.show()
    assert stored(store, run).output is None


def test_what_comes_late_changes_no_run_that_is_anothers(
    live: LiveOutput, store: Store, at_work: list[tuple[Run, Tail]]
) -> None:
    run, tail = begun(store, at_work)
    store.watch_output(run.id, NOW + SECOND)
    tail.write("late")
    store.change_runs([(run, transitions.closed(runs.SUCCEEDED, NOW, output="whole"))])
    live.show()
    assert stored(store, run).output == "whole"


def test_what_a_dead_daemons_attempt_had_printed_stays_with_that_attempt() -> None:
    run = a_running(LANE, output="so far", output_attempt=1)
    (attempt,) = transitions.after_crash(run, NOW)["earlier_attempts"]
    assert attempt["output"] == "so far"


@pytest.mark.parametrize(
    ("before", "now", "new"),
    [
        ("", "one\n", "one\n"),
        ("one\n", "one\ntwo\n", "two\n"),
        ("one\n", "one\n", ""),
        ("one\ntwo\n", "[earlier output was dropped]\none\ntwo\nthree\n", "three\n"),
        ("x" * 500, "[earlier output was dropped]\n" + "x" * 450 + "y", "y"),
        ("one\n", "[earlier output was dropped]\nnine\n", "[earlier output was dropped]\nnine\n"),
    ],
)
def test_only_what_came_is_told(before: str, now: str, new: str) -> None:
    assert grown(before, now) == new


# from handlers to followers, through a daemon

GO = threading.Event()


def in_a_thread(_: object) -> None:
    print("begun")
    assert GO.wait(60)
    print("ended")


async def in_a_coroutine(_: object) -> None:
    print("begun")
    while not GO.is_set():
        await asyncio.sleep(0.01)
    print("ended")


def in_a_child(params: dict[str, str]) -> None:
    print("begun")
    while not Path(params["go"]).exists():
        time.sleep(0.01)
    print("ended")


@pytest.fixture
def registry() -> Iterator[Registry]:
    GO.clear()
    known = Registry()
    known.add("thread", in_a_thread)
    known.add("coroutine", in_a_coroutine)
    known.add("child", in_a_child, isolation="process")
    yield known
    GO.set()


@pytest.fixture(params=["sqlite", pytest.param("mongod", marks=pytest.mark.mongod)])
def cron(request: pytest.FixtureRequest, tmp_path: Path, registry: Registry) -> Iterator[Cronlite]:
    mongo = request.param == "mongod"
    uri = request.getfixturevalue("mongo_uri") if mongo else f"sqlite:{tmp_path / 'live.db'}"
    with Cronlite(uri, registry=registry) as cron:
        yield cron


class Following:
    """Follows some runs at once."""

    def __init__(self, cron: Cronlite, ids: list[str]) -> None:
        self._followers = {id: Follower(cron, id) for id in ids}
        self.told = dict.fromkeys(ids, "")
        self.states = dict.fromkeys(ids, "")

    def until(self, fits: Callable[[str, str], bool]) -> None:
        """Look until the state of each and what it told fit."""
        wait_until(lambda: self._look(fits), what="the output", instead=lambda: self.told, interval_seconds=0.1)

    def _look(self, fits: Callable[[str, str], bool]) -> bool:
        for id, follower in self._followers.items():
            run, new = follower.look()
            self.told[id] += new
            self.states[id] = run.state
        return all(fits(self.states[id], told) for id, told in self.told.items())


def test_output_is_followed_from_a_thread_a_coroutine_and_a_child_process(cron: Cronlite, tmp_path: Path) -> None:
    go = tmp_path / "go"
    with capture_prints():
        cron.start(drain_seconds=5)
        names = "thread", "coroutine", "child"
        following = Following(cron, [cron.enqueue(name, {"go": str(go)}).id for name in names])
        following.until(lambda state, told: (state, told) == (runs.RUNNING, "begun\n"))
        go.touch()
        GO.set()
        following.until(lambda state, _: state in runs.FINAL)
        cron.stop()
    assert list(following.told.values()) == ["begun\nended\n"] * 3
    assert set(following.states.values()) == {runs.SUCCEEDED}
