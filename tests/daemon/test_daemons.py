"""Several daemons on one store without faults: they share the work, keep the policies, and leave nothing behind."""

from __future__ import annotations

import itertools
import json
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from cronlite import Cronlite
from cronlite.daemon.loops import Daemon
from cronlite.daemon.minutes import LONGEST_WAIT_SECONDS
from cronlite.daemon.options import Options
from cronlite.daemon.store_clock import StoreClock
from cronlite.daemon.ticking import Ticker
from cronlite.errors import Conflict, GiveUp, RetryLater
from cronlite.handlers.registry import Registry, current_run
from cronlite.store import open_store
from cronlite.store.contract import RunQuery, Store
from cronlite.when.clock import MINUTE, floor_minute
from tests.waiting import wait_until

ROOT = Path(__file__).parents[2]


class Endless:
    """A store with more to prune than anybody can wait for; each part of it takes a while."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.parts = 0
        self.closed = threading.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def prune_runs(self, now: datetime) -> int:
        self.parts += 1
        self.closed.wait(0.05)
        return 0 if self.closed.is_set() else 500


class Crew:
    """Daemons in threads of this process, each with a connection and a registry of its own, and the application."""

    def __init__(self, uri: str, opened: ExitStack) -> None:
        self.uri, self._opened = uri, opened
        self.cron = opened.enter_context(Cronlite(uri))
        self.cron.store.prepare()
        self.daemons: list[Daemon] = []
        self.calls: list[tuple[int, str, int]] = []
        """Which daemon's handler was called for which run, and as which attempt."""
        self.gate = threading.Event()
        opened.callback(self.stop)
        opened.callback(self.gate.set)

    def start(self, count: int = 1, **options: Any) -> list[Daemon]:
        """Start daemons."""
        new = []
        for _ in range(count):
            store = open_store(self.uri)
            self._opened.callback(store.close)
            daemon = Daemon(store, self._registry(len(self.daemons)), Options(**{"drain_seconds": 5} | options))
            daemon.start()
            assert daemon.wait_ready(20)
            self.daemons.append(daemon)
            new.append(daemon)
        return new

    def stop(self) -> None:
        """Stop all daemons, at the same time."""
        threads = [threading.Thread(target=daemon.stop) for daemon in self.daemons]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        self.daemons.clear()

    def calls_by_daemon(self) -> Counter[int]:
        return Counter(number for number, _, _ in self.calls)

    def attempts_of(self, id_: str) -> list[int]:
        return [attempt for _, called, attempt in self.calls if called == id_]

    def wait_called(self, count: int) -> None:
        wait_until(lambda: len(self.calls) >= count, what=f"{count} calls", instead=lambda: self.calls)

    def _registry(self, number: int) -> Registry:
        registry = Registry()

        def called() -> int:
            run = current_run()
            self.calls.append((number, run.id, run.attempt))
            return run.attempt

        @registry.handler
        def ok(params: dict[str, Any]) -> dict[str, int]:
            return {"attempt": called()}

        @registry.handler
        def wait(params: dict[str, Any]) -> bool:
            called()
            return self.gate.wait(20)

        @registry.handler
        def sleep(params: dict[str, Any]) -> None:
            called()
            time.sleep(params["seconds"])

        @registry.handler
        def fail(params: dict[str, Any]) -> str:
            if called() <= params["times"]:
                raise ValueError("not yet")
            return "at last"

        @registry.handler
        def later(params: dict[str, Any]) -> str:
            if called() == 1:
                raise RetryLater(0.2, "the other side is down")
            return "at last"

        @registry.handler
        def give_up(params: dict[str, Any]) -> None:
            called()
            raise GiveUp("no such customer")

        @registry.handler("wait_async")
        async def wait_async(params: dict[str, Any]) -> None:
            import asyncio

            called()
            await asyncio.sleep(60)

        return registry


@pytest.fixture(params=["mongod", "sqlite"])
def crew(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Crew]:
    uri = f"sqlite:{tmp_path / 'cronlite.db'}"
    if request.param == "mongod":
        uri = request.getfixturevalue("mongo_uri")
    with ExitStack() as opened:
        yield Crew(uri, opened)


def due_now(store: Store, ids: list[str], **fields: Any) -> None:
    """Store schedules that were due at the last minute, which the next daemon's first tick makes up for."""
    now = datetime.now(timezone.utc)
    active = now.replace(second=0, microsecond=0) - timedelta(minutes=1)
    for id_ in ids:
        store.add_schedule({"_id": id_, "params": {}, "handler": "ok", "active_from": active, **fields})


# sharing


def test_daemons_share_runs_by_capacity(crew: Crew) -> None:
    handles = [crew.cron.enqueue("sleep", {"seconds": 0.5}) for _ in range(60)]
    crew.start(3, seats=4)
    for handle in handles:
        assert handle.wait(60).state == "succeeded"
    by_daemon = crew.calls_by_daemon()
    assert sum(by_daemon.values()) == 60
    assert len(by_daemon) == 3, by_daemon
    assert max(by_daemon.values()) <= 40, by_daemon


def test_a_daemon_without_seats_ticks_and_leaves_the_runs_to_others(crew: Crew) -> None:
    due_now(crew.cron.store, ["a", "b"])
    crew.start(seats=0)
    wait_until(lambda: len(crew.cron.runs(state="queued")) >= 2, what="two queued runs")
    crew.start()
    wait_until(lambda: not crew.cron.runs(state=["queued", "running"]), what="no run at work")
    assert set(crew.calls_by_daemon()) == {1}


def test_three_daemons_tick_each_minute_once(crew: Crew) -> None:
    due_now(crew.cron.store, [f"s{number}" for number in range(20)])
    crew.start(3)
    wait_until(lambda: len(crew.cron.runs(state="succeeded")) >= 40, what="the minutes are made up")
    called = Counter(id_ for _, id_, _ in crew.calls)
    assert set(called.values()) == {1}, called.most_common(3)


def test_a_run_whose_handler_one_daemon_does_not_know_goes_to_one_that_does(crew: Crew) -> None:
    store = open_store(crew.uri)
    ignorant = Daemon(store, Registry(), Options())
    ignorant.start()
    assert ignorant.wait_ready(20)
    handle = crew.cron.enqueue("ok")
    crew.start()
    assert handle.wait(60).state == "succeeded"
    ignorant.stop()
    store.close()


# overlap


def test_a_lane_keeps_a_schedules_runs_apart_over_all_daemons(crew: Crew) -> None:
    crew.start(3)
    schedule = crew.cron.schedule(handler="wait", hour=(datetime.now(timezone.utc).hour + 12) % 24, overlap="wait")
    handles = [crew.cron.trigger(schedule.id) for _ in range(3)]
    crew.wait_called(1)
    assert sorted(handle.state for handle in handles) == ["queued", "queued", "running"]
    crew.gate.set()
    runs = [handle.wait(60) for handle in handles]
    spans = sorted((run.started_at, run.finished_at) for run in runs if run.started_at and run.finished_at)
    assert len(spans) == 3
    assert all(end <= begin for (_, end), (begin, _) in itertools.pairwise(spans)), spans


def test_a_schedule_whose_run_is_at_work_is_not_triggered_again(crew: Crew) -> None:
    crew.start(2)
    schedule = crew.cron.schedule(handler="wait", hour=(datetime.now(timezone.utc).hour + 12) % 24)
    crew.cron.trigger(schedule.id)
    crew.wait_called(1)
    with pytest.raises(Conflict, match="still at work"):
        crew.cron.trigger(schedule.id)


def test_runs_that_may_overlap_go_side_by_side(crew: Crew) -> None:
    crew.start(2)
    schedule = crew.cron.schedule(handler="wait", hour=(datetime.now(timezone.utc).hour + 12) % 24, overlap="allow")
    handles = [crew.cron.trigger(schedule.id) for _ in range(3)]
    crew.wait_called(3)
    crew.gate.set()
    assert {handle.wait(60).state for handle in handles} == {"succeeded"}


# retries and time-outs


def test_a_failed_run_is_retried_until_it_succeeds(crew: Crew) -> None:
    crew.start(2)
    run = crew.cron.enqueue("fail", {"times": 2}, retries=2, retry_delay_seconds=0.05).wait(60)
    assert (run.state, run.attempt, run.failures, run.result) == ("succeeded", 3, 2, "at last")
    assert crew.attempts_of(run.id) == [1, 2, 3]


def test_a_run_without_retries_left_has_failed(crew: Crew) -> None:
    crew.start(2)
    run = crew.cron.enqueue("fail", {"times": 9}, retries=1, retry_delay_seconds=0.05).wait(60)
    assert (run.state, run.attempt, run.failures) == ("failed", 2, 2)
    assert run.error is not None
    assert run.error["message"] == "not yet"


def test_retry_later_sets_the_delay_and_counts_as_a_retry(crew: Crew) -> None:
    crew.start(2)
    run = crew.cron.enqueue("later", retries=1, retry_delay_seconds=3_600).wait(60)
    assert (run.state, run.attempt, run.failures) == ("succeeded", 2, 1)
    assert crew.cron.enqueue("later").wait(60).state == "failed"


def test_give_up_ends_it_whatever_retries_are_left(crew: Crew) -> None:
    crew.start(2)
    run = crew.cron.enqueue("give_up", retries=5).wait(60)
    assert (run.state, run.attempt, run.failures) == ("failed", 1, 1)


def test_a_coroutine_over_its_time_is_cancelled_and_retried(crew: Crew) -> None:
    crew.start(2)
    run = crew.cron.enqueue("wait_async", timeout_seconds=0.2, retries=1, retry_delay_seconds=0.05).wait(60)
    assert (run.state, run.attempt, run.failures) == ("timed_out", 2, 2)


def test_a_thread_over_its_time_is_given_up_and_not_retried(crew: Crew) -> None:
    (daemon,) = crew.start(seats=1)
    run = crew.cron.enqueue("wait", timeout_seconds=0.2, retries=3).wait(60)
    assert (run.state, run.attempt) == ("timed_out", 1)
    assert daemon.claimer.pool.stuck == 1
    crew.gate.set()
    assert crew.cron.enqueue("ok").wait(60).state == "succeeded"


# on demand

ENQUEUE = """
import json, sys, time
from cronlite import Cronlite
with Cronlite(sys.argv[1]) as cron:
    cron.now()
    for _ in range(int(sys.argv[2])):
        began = time.time()
        run = cron.enqueue("ok").wait(60)
        print(json.dumps([run.state, began]), flush=True)
"""


def test_how_long_a_run_takes_from_another_process(crew: Crew, capsys: pytest.CaptureFixture[str]) -> None:
    """The time is for people to read: a test's machine may be busy."""
    starts: list[float] = []
    store = open_store(crew.uri)
    registry = Registry()
    registry.add("ok", lambda _: starts.append(time.time()))
    daemon = Daemon(store, registry, Options())
    daemon.start()
    assert daemon.wait_ready(20)
    asked = subprocess.run(
        [sys.executable, "-c", ENQUEUE, crew.uri, "15"], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    daemon.stop()
    store.close()
    assert asked.returncode == 0, asked.stderr
    told = [json.loads(line) for line in asked.stdout.splitlines()]
    assert [state for state, _ in told] == ["succeeded"] * 15
    latencies = sorted(1_000 * (start - began) for start, (_, began) in zip(starts, told, strict=True))
    with capsys.disabled():
        median = statistics.median(latencies)
        print(f"\n  from enqueue in another process to the handler's start: {median:.0f} ms (median), ", end="")
        print(f"{latencies[-1]:.0f} ms (most), on {crew.uri.partition(':')[0]}")


def test_one_queued_run_for_each_key(crew: Crew) -> None:
    first = crew.cron.enqueue("wait", key="mail")
    assert crew.cron.enqueue("wait", key="mail").id == first.id
    assert crew.cron.enqueue("wait", key="other").id != first.id
    crew.start(2)
    crew.wait_called(2)
    again = crew.cron.enqueue("wait", key="mail")  # released at the claim
    assert again.id != first.id
    crew.gate.set()
    assert again.wait(60).state == "succeeded"


def test_a_run_that_waits_for_a_retry_holds_no_key(crew: Crew) -> None:
    crew.start()
    first = crew.cron.enqueue("fail", {"times": 9}, key="mail", retries=1, retry_delay_seconds=3_600)
    wait_until(lambda: first.run.failures == 1, what="the first failure")
    assert first.state == "queued"
    assert crew.cron.enqueue("ok", key="mail").wait(60).state == "succeeded"


def test_many_processes_with_one_key_queue_one_run(crew: Crew) -> None:
    ids: list[str] = []
    barrier = threading.Barrier(8)

    def ask() -> None:
        with Cronlite(crew.uri) as cron:
            barrier.wait(20)
            ids.append(cron.enqueue("ok", key="mail").id)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(ids) == 8
    assert len(set(ids)) == 1


def test_in_order_of_run_at_where_one_daemon_has_one_seat(crew: Crew) -> None:
    soon = datetime.now(timezone.utc) + timedelta(seconds=3)
    handles = [crew.cron.enqueue("ok", run_at=soon + timedelta(milliseconds=10 * n)) for n in (3, 1, 2, 0, 4)]
    wait_until(lambda: datetime.now(timezone.utc) > soon + timedelta(milliseconds=50))
    crew.start(seats=1)
    for handle in handles:
        handle.wait(60)
    first = [run.id for run in sorted((handle.run for handle in handles), key=lambda run: run.due_at)]
    assert [id_ for _, id_, _ in crew.calls] == first


def test_a_cancelled_run_never_starts(crew: Crew) -> None:
    handle = crew.cron.enqueue("ok", run_at=timedelta(hours=1))
    assert crew.cron.cancel(handle.id).state == "cancelled"
    crew.start(2)
    assert crew.cron.enqueue("ok").wait(60).state == "succeeded"
    assert handle.state == "cancelled"
    assert crew.attempts_of(handle.id) == []
    with pytest.raises(Conflict, match="only a queued run"):
        crew.cron.cancel(handle.id)


def test_a_running_run_is_not_cancelled(crew: Crew) -> None:
    crew.start()
    handle = crew.cron.enqueue("wait")
    crew.wait_called(1)
    with pytest.raises(Conflict, match="is running"):
        crew.cron.cancel(handle.id)
    crew.gate.set()
    assert handle.wait(60).state == "succeeded"


def test_a_retry_is_a_new_run_that_tells_of_the_old_one(crew: Crew) -> None:
    crew.start(2)
    old = crew.cron.enqueue("fail", {"times": 1}, user="alice").wait(60)
    assert old.state == "failed"
    new = crew.cron.retry(old.id).wait(60)
    assert (new.state, new.retry_of, new.user, new.attempt) == ("failed", old.id, "alice", 1)
    assert crew.cron.run_of(old.id) == old


def test_a_triggered_run_belongs_to_its_schedule(crew: Crew) -> None:
    crew.start(2)
    schedule = crew.cron.schedule("alice", handler="ok", hour=(datetime.now(timezone.utc).hour + 12) % 24)
    run = crew.cron.trigger(schedule.id).wait(60)
    assert (run.state, run.schedule, run.user) == ("succeeded", schedule.id, "alice")


# stopping


def test_a_stop_gives_back_what_has_not_started_without_a_cost(crew: Crew) -> None:
    handles = [crew.cron.enqueue("wait") for _ in range(6)]
    (first,) = crew.start(seats=2)
    crew.wait_called(2)
    stopping = threading.Thread(target=first.stop)
    stopping.start()
    wait_until(lambda: first.claimer._stopping, what="it claims no more")
    crew.gate.set()
    stopping.join(60)
    runs = [handle.run for handle in handles]
    assert Counter(run.state for run in runs) == {"succeeded": 2, "queued": 4}
    assert all((run.crashes, run.failures) == (0, 0) for run in runs)
    crew.start(2)
    assert {handle.wait(60).state for handle in handles} == {"succeeded"}
    assert all((handle.run.crashes, handle.run.failures) == (0, 0) for handle in handles)
    assert set(Counter(id_ for _, id_, _ in crew.calls).values()) == {1}


class StandingClock(StoreClock):
    """A clock that shows what it is told."""

    def __init__(self, shown: datetime) -> None:
        super().__init__()
        self.shown = shown

    def now(self) -> datetime:
        return self.shown


def test_a_stop_right_before_a_wake_leaves_no_minute_to_the_silence(crew: Crew) -> None:
    store, minute = crew.cron.store, floor_minute(datetime.now(timezone.utc))
    due_now(store, ["every"], overlap="allow")
    clock = StandingClock(minute - timedelta(seconds=30))
    daemon = Daemon(store, crew.cron.registry, clock=clock)
    daemon.start()
    assert daemon.wait_ready(20)
    wait_until(lambda: store.ledger(minute - MINUTE, clock.shown)[-1:], what="the minute before")
    clock.shown = minute + timedelta(seconds=0.9)
    wait_until(lambda: daemon.ticker.is_prepared, what="the minute is prepared")
    daemon.stop()
    (tick,) = store.ledger(minute, clock.shown)[-1:]
    assert (tick.minute, tick.due, tick.done_at) == (minute, 1, clock.shown)
    (run,) = store.runs(RunQuery(schedule="every", limit=1))
    assert (run.due_at, run.state) == (minute, "queued")


def test_a_clock_put_back_while_a_minute_is_prepared_puts_no_daemon_to_sleep(
    crew: Crew, monkeypatch: pytest.MonkeyPatch
) -> None:
    minute, prepare = floor_minute(datetime.now(timezone.utc)), Ticker.prepare
    clock = StandingClock(minute - timedelta(seconds=30))
    daemon = Daemon(crew.cron.store, crew.cron.registry, clock=clock)
    assert daemon._enter() == 0
    daemon._tick()

    def put_back_meanwhile(ticker: Ticker, now: datetime, wake_at: datetime) -> None:
        prepare(ticker, now, wake_at)
        clock.shown -= timedelta(hours=1)

    monkeypatch.setattr(Ticker, "prepare", put_back_meanwhile)
    clock.shown = minute + timedelta(seconds=0.9)
    assert daemon._tick() <= LONGEST_WAIT_SECONDS
    assert daemon.ticker.is_prepared
    daemon.stop()


def test_a_hard_stop_gives_back_what_runs_without_a_cost(crew: Crew) -> None:
    handle = crew.cron.enqueue("wait")
    (daemon,) = crew.start(drain_seconds=0)
    crew.wait_called(1)
    left = daemon.stop(hard=True)
    assert [run.id for run in left] == [handle.id]
    run = handle.run
    assert (run.state, run.attempt, run.crashes, run.failures) == ("queued", 1, 0, 0)


def test_a_stop_reports_what_goes_on(crew: Crew) -> None:
    handle = crew.cron.enqueue("wait")
    (daemon,) = crew.start(drain_seconds=0)
    crew.wait_called(1)
    assert [run.id for run in daemon.stop()] == [handle.id]
    assert handle.state == "running"  # nobody may say otherwise: its thread cannot be ended


def test_a_clean_stop_leaves_no_daemon_behind(crew: Crew) -> None:
    crew.start(3)
    assert len(crew.cron.store.daemons()) == 3
    crew.stop()
    assert crew.cron.store.daemons() == []


def test_outcomes_are_in_the_store_when_the_stop_is_over(crew: Crew) -> None:
    handles = [crew.cron.enqueue("ok") for _ in range(50)]
    crew.start()
    crew.wait_called(50)
    crew.stop()
    assert {handle.state for handle in handles} == {"succeeded"}


def test_a_daemon_beats_however_much_has_expired() -> None:
    store = Endless(open_store("memory:"))
    daemon = Daemon(store, Registry(), Options(silence_seconds=1, drain_seconds=5))
    daemon.start()
    assert daemon.wait_ready(20)

    def beats() -> int:
        return sum(record.beat for record in store.daemons())

    wait_until(lambda: store.parts > 3 and beats() > 3, what="it beats while it prunes", instead=lambda: store.parts)
    daemon.stop()
    store.closed.set()
    assert store.daemons() == []
