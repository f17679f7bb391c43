"""Is all that a daemon does among its figures: runs, ticks, minutes missed, leases lost, a store that is away?"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from cronlite import Cronlite
from cronlite.daemon.loops import Daemon
from cronlite.daemon.options import Options
from cronlite.documents import runs, schedules
from cronlite.documents.runs import SKIPPED, TIMED_OUT
from cronlite.errors import ConfigurationError, StoreUnavailable
from cronlite.handlers.registry import Registry
from cronlite.metrics import asked
from cronlite.store.contract import Store
from cronlite.when.clock import MINUTE, floor_minute
from tests.dispatch import acting
from tests.metrics.scraping import Samples, port_of, scraped
from tests.services.mongod import Mongod
from tests.store.samples import a_run, add
from tests.waiting import wait_until


@pytest.fixture(autouse=True)
def _ask_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PAUSE", "LEAST_PAUSE_SECONDS"):
        monkeypatch.setattr(asked, name, 0)


@pytest.fixture
def cron() -> Iterator[Cronlite]:
    with Cronlite("memory:", registry=Registry()) as cron:
        yield cron


def daemon_of(cron: Cronlite) -> Daemon:
    daemon = cron._embedded.daemon
    assert daemon
    return daemon


def until(daemon: Daemon, says: Callable[[Samples], Any], what: str) -> Samples:
    """Scrape until the figures say something; return these."""
    wait_until(lambda: says(Samples.of(daemon)), what=what, instead=lambda: scraped(port_of(daemon)))
    return Samples.of(daemon)


@pytest.fixture
def stepped(store: Store) -> Iterator[Daemon]:
    """A daemon whose minutes the test does, which is scraped all the same."""
    registry = Registry()
    registry.add("ok", lambda _: None)
    daemon = Daemon(store, registry, Options(metrics="0", drain_seconds=1))
    daemon.measured.start()
    yield daemon
    daemon.measured.close()


def test_every_way_in_which_a_run_ends_is_counted_by_handler_wherever_it_executes(cron: Cronlite) -> None:
    def bad(params: Any) -> None:
        raise ValueError

    async def on_loop(params: Any) -> None: ...

    cron.registry.add("ok", lambda _: None)
    cron.registry.add("bad", bad)
    cron.registry.add("slow", lambda _: time.sleep(0.3))
    cron.registry.add("on_loop", on_loop)
    cron.registry.add("apart", acting.act, isolation="process")
    cron.start(metrics="0", drain_seconds=1)
    for handler in ("ok", "ok", "on_loop"):
        cron.enqueue(handler)
    cron.enqueue("apart")
    cron.enqueue("bad", retries=1, retry_delay_seconds=0)
    cron.enqueue("slow", timeout_seconds=0.1)
    ends = {("ok", "succeeded"): 2, ("on_loop", "succeeded"): 1, ("apart", "succeeded"): 1, ("bad", "failed"): 1}
    ends["slow", TIMED_OUT] = 1

    def has_ended(found: Samples) -> bool:
        return all(
            found.value("cronlite_runs_total", handler=handler, state=state) == number
            for (handler, state), number in ends.items()
        )

    found = until(daemon_of(cron), has_ended, "all runs are counted")
    assert found.value("cronlite_run_duration_seconds_count", handler="bad") == 2  # each attempt
    assert found.value("cronlite_start_delay_seconds_count", queue="default") == 7
    assert found.value("cronlite_seats") == 20


def test_seats_in_use_and_stuck_threads_are_told(cron: Cronlite) -> None:
    gate: list[None] = []
    cron.registry.add("waits", lambda _: wait_until(lambda: gate))
    cron.start(metrics="0", drain_seconds=1)
    cron.enqueue("waits")
    until(daemon_of(cron), lambda found: found.value("cronlite_seats_used") == 1, "one seat is used")
    gate.append(None)
    until(daemon_of(cron), lambda found: found.value("cronlite_seats_used") == 0, "the seat is free")


def test_a_minute_is_timed_and_minutes_that_nobody_ticked_are_counted(store: Store, stepped: Daemon) -> None:
    begin = floor_minute(store.now()) - timedelta(hours=1)
    stepped.step(begin + timedelta(seconds=1))
    stepped.step(begin + 30 * MINUTE + timedelta(seconds=1))
    found = Samples.of(stepped)
    assert found.value("cronlite_minutes_missed_total") == 25  # the last five are in the grace
    assert found.value("cronlite_tick_duration_seconds_count") == 5 + 1 + 5
    assert found.value("cronlite_last_tick_timestamp_seconds") == (begin + 30 * MINUTE).timestamp() + 1


def test_a_run_that_is_skipped_is_counted(store: Store, stepped: Daemon) -> None:
    now = floor_minute(store.now())
    store.add_schedule(schedules.new(now=now, handler="ok").document() | {"_id": "s"})
    add(store, a_run("earlier", schedule="s", lane="s", handler="ok", due_at=now - timedelta(hours=1)))
    stepped.step(now + timedelta(seconds=1))
    assert Samples.of(stepped).value("cronlite_runs_total", handler="ok", state=SKIPPED)


def test_a_run_that_a_dead_daemon_took_with_it_is_counted_where_it_is_abandoned(store: Store, stepped: Daemon) -> None:
    add(store, a_run(handler="ok", state="running", daemon="dead", attempt=1, on_crash="abandon"))
    stepped.handover.take_over("dead")
    assert Samples.of(stepped).value("cronlite_runs_total", handler="ok", state=runs.ABANDONED) == 1


def test_a_daemon_that_others_took_for_dead_says_so(store: Store, stepped: Daemon) -> None:
    stepped.membership.join()
    store.mark_dead(stepped.membership.id, 0)
    stepped.membership.beat(running=0, stuck=0)
    assert Samples.of(stepped).value("cronlite_leases_lost_total") == 1


def test_a_store_that_is_away_is_counted_and_all_else_still_told(
    store: Store, stepped: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> Any:
        raise StoreUnavailable("away")

    monkeypatch.setattr(store, "now", away)
    stepped._threads.guarded("tick", lambda: store.prune_runs(store.now()))
    found = Samples.of(stepped)
    assert found.value("cronlite_store_errors_total") == 2  # of the tick, and of the scrape itself
    assert found.names() >= {"cronlite_seats", "cronlite_build_info", "cronlite_last_tick_timestamp_seconds"}
    assert not {name for name in found.names() if name.startswith(("cronlite_queue", "cronlite_schedules"))}


def test_without_the_option_nobody_listens(cron: Cronlite) -> None:
    cron.start(drain_seconds=1)
    assert daemon_of(cron).measured.endpoint is None


def test_an_address_that_is_taken_keeps_a_daemon_from_starting(cron: Cronlite, stepped: Daemon) -> None:
    with pytest.raises(ConfigurationError, match="cannot be served"):
        cron.start(metrics=str(port_of(stepped)))
    assert not cron.running


def test_the_extra_is_named_where_it_is_missing(cron: Cronlite, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("cronlite.metrics.endpoint", "cronlite.metrics.exposition"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    with pytest.raises(ConfigurationError, match="extra 'metrics'"):
        cron.start(metrics="0")


def test_a_daemon_that_nobody_measures_imports_no_prometheus_client() -> None:
    program = (
        "import sys, cronlite; cron = cronlite.Cronlite('memory:'); cron.start(); cron.close();"
        " print([name for name in ('prometheus_client', 'http.server') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_stalled_mongod_is_not_waited_for(mongod: Mongod, mongo_uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    limited = f"{mongo_uri}{'&' if '?' in mongo_uri else '?'}timeoutMS=1500"  # longer than a scrape waits
    with Cronlite(limited, registry=Registry()) as cron:
        cron.registry.add("ok", lambda _: None)
        cron.start(metrics="0", drain_seconds=0)
        daemon = daemon_of(cron)
        until(daemon, lambda found: found.value("cronlite_daemons", state="alive") == 1, "the store is asked")
        mongod.pause()
        monkeypatch.setattr(asked, "KEPT_SECONDS", 0)  # nothing of what it said before
        found = Samples.of(daemon)
        assert daemon.measured.exposition
        assert daemon.measured.exposition._asked._question is not None  # it has not answered yet, and this came
        assert found.value("cronlite_seats") == 20
        assert not {name for name in found.names() if name.startswith(("cronlite_queue", "cronlite_daemons"))}
        until(daemon, lambda found: found.value("cronlite_store_errors_total"), "the failures are counted")
        mongod.go_on()
        monkeypatch.setattr(asked, "KEPT_SECONDS", 60)
        until(daemon, lambda found: found.value("cronlite_daemons", state="alive"), "the store is asked again")
