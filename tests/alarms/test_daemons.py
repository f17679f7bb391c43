"""Do real daemons ping, beat and tell, as they should, and does a process that is killed in telling do no harm?"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from cronlite.alarms.channels import read_channels
from cronlite.client.app import Cronlite
from cronlite.daemon import alarming, telling
from cronlite.daemon.loops import Daemon
from cronlite.daemon.options import Options
from cronlite.documents import runs
from cronlite.documents.ticks import Tick
from cronlite.errors import InvalidInput, StoreUnavailable
from cronlite.handlers.registry import Registry
from cronlite.store import open_store
from cronlite.store.contract import Store
from tests.alarms.receivers import Healthchecks, Request, web_server
from tests.alarms.told import Night
from tests.store.samples import NOW
from tests.waiting import wait_until

CHECK = "/ping/5bf66975-d4c7-4bf5-bcc8-b8d8a82ea278"


@pytest.fixture
def registry() -> Registry:
    registry = Registry()

    @registry.handler
    def good(params: dict[str, Any]) -> int:
        print("all is well")
        return 1

    @registry.handler
    def bad(params: dict[str, Any]) -> None:
        raise OSError("it is down")

    return registry


@pytest.fixture
def web() -> Iterator[Healthchecks]:
    with web_server(Healthchecks()) as serving:
        assert isinstance(serving, Healthchecks)
        yield serving


@pytest.fixture(autouse=True)
def _rounds_of_an_instant(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alarming, "FIRST_ROUND_SECONDS", 0.05)
    monkeypatch.setattr(alarming, "ROUND_SECONDS", 0.05)
    monkeypatch.setattr(alarming, "LONGEST_WAIT_SECONDS", 0.05)
    monkeypatch.setattr(telling, "is_settled", lambda waiting, _: bool(waiting))
    monkeypatch.setattr(telling, "BETWEEN", timedelta(0))


def test_a_schedules_runs_ping_start_success_and_failure(tmp_path: Path, registry: Registry, web: Healthchecks) -> None:
    with Cronlite(f"sqlite:{tmp_path / 'jobs.db'}", registry=registry) as cron:
        for handler in ("good", "bad"):
            cron.schedule(name=handler, handler=handler, hour=3, minute=0, ping_url=web.url(CHECK))
        cron.start(allow_private_pings=True)
        run = cron.trigger("good").wait(60)
        wait_until(lambda: len(web.pings) == 2, what="the pings of a success")
        assert [event for event, _ in web.pings] == ["start", "success"]
        assert run.id in web.pings[1][1]
        failed = cron.trigger("bad").wait(60)
        wait_until(lambda: len(web.pings) == 4, what="the pings of a failure")
        assert [event for event, _ in web.pings[2:]] == ["start", "fail"]
        body = web.pings[3][1]
        assert body.startswith(f"run {failed.id} failed\nOSError: it is down")
        rids = [request.query["rid"] for request in web.received]
        assert rids[0] == rids[1] != rids[2] == rids[3]


def test_a_tenants_ping_does_not_reach_this_machine(tmp_path: Path, registry: Registry, web: Healthchecks) -> None:
    with Cronlite(f"sqlite:{tmp_path / 'jobs.db'}", registry=registry) as cron:
        cron.schedule(name="good", handler="good", hour=3, minute=0, ping_url=web.url(CHECK))
        cron.start()
        assert cron.trigger("good").wait(60).state == runs.SUCCEEDED
    assert web.received == []


def test_each_minute_that_was_ticked_is_a_heartbeat_of_who_did_it(store: Store, registry: Registry) -> None:
    with web_server() as web:
        daemons = [Daemon(store, registry, Options(heartbeat_url=web.url("/alive"))) for _ in range(2)]
        for one in daemons:
            one.membership.join()
        daemons[0].step(NOW)  # the minutes within the grace
        daemons[0].reports.close()
        before = len(web.received)
        assert before >= 1
        for minute in range(1, 4):
            for one in daemons:
                one.step(NOW + timedelta(minutes=minute))
            for one in daemons:
                one.reports.close()
            assert len(web.received) == before + minute
    assert {request.place for request in web.received} == {"/alive"}


def test_a_heartbeat_that_hangs_keeps_no_tick_waiting(store: Store, registry: Registry) -> None:
    with web_server() as web:
        web.waits = threading.Event()
        daemon = Daemon(store, registry, Options(heartbeat_url=web.url("/alive")))
        daemon.membership.join()
        for minute in range(5):
            daemon.step(NOW + timedelta(minutes=minute))
        assert len(store.ledger(NOW, NOW + timedelta(minutes=5))) == 5
        web.waits.set()


def test_three_daemons_tell_of_a_failure_once(tmp_path: Path, registry: Registry) -> None:
    uri = f"sqlite:{tmp_path / 'jobs.db'}"
    with web_server() as web, ExitStack() as opened:
        crons = [opened.enter_context(Cronlite(uri, registry=registry)) for _ in range(3)]
        hook: dict[str, Any] = {"to": f"json://127.0.0.1:{web.port}/hook", "name": "hook"}
        crons[0].schedule("alice", name="nightly", handler="bad", hour=3, minute=0)
        for cron in crons:
            cron.start(alarms=[hook])
        crons[0].trigger("nightly").wait(60)
        alarm = wait_until(lambda: next(iter(crons[0].alarms.list()), None), what="the alarm")
        wait_until(lambda: crons[0].alarms.get(alarm.id).told, what="that it was told")
        titles = [request.json["title"] for request in web.received]
        assert titles == ["cronlite: schedule nightly for alice failed: OSError: it is down"]
        seen = [one.id for one in crons[0].alarms.channels()]
        assert seen == ["hook"]


def test_a_daemon_has_one_thread_for_alarms_however_many_of_its_threads_start_it(
    store: Store, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[threading.Thread] = []
    start = threading.Thread.start

    def slowly(thread: threading.Thread) -> None:
        if thread.name == "cronlite-alarms":
            begun.append(thread)
            together.wait(0.2) if len(begun) == 1 else together.set()
        start(thread)

    together = threading.Event()
    daemon = Daemon(store, registry, Options())
    monkeypatch.setattr(threading.Thread, "start", slowly)
    starters = [threading.Thread(target=daemon.alarming.keep_going) for _ in range(2)]
    for starter in starters:
        starter.start()
    for starter in starters:
        starter.join()
    daemon.alarming.stop()
    assert len(begun) == 1


CHILD = """
import sys
from cronlite.store import open_store
from tests.alarms.told import Night
uri, port = sys.argv[1:]
from cronlite.alarms.channels import read_channels
from cronlite.daemon.alarming import Alarming
night = Night(open_store(uri))
channel = {"to": f"json://127.0.0.1:{port}/hook", "name": "team"}
night.watchers = [Alarming(night.store, night.clock, read_channels([channel]))]
night.fails(night.schedule())
night.pass_(minutes=5)
"""


def test_one_that_is_killed_in_telling_is_followed_by_another(tmp_path: Path) -> None:
    uri = f"sqlite:{tmp_path / 'jobs.db'}"
    with web_server() as web:
        child = subprocess.Popen([sys.executable, "-c", CHILD, uri, str(web.port)], cwd=Path(__file__).parents[2])

        def kill(_: Request) -> None:
            os.kill(child.pid, signal.SIGKILL)

        web.came = kill
        assert child.wait(60) == -signal.SIGKILL
        web.came = None
        store = open_store(uri)
        night = Night(store, count=2, now=NOW + timedelta(seconds=20))
        assert night.open() == ["failed:nightly"]
        night.pass_(minutes=10)
        store.close()
    assert len(web.received) == 1, "of the one that died"
    assert len(night.recipient.messages) == 1, "and once more, of those who are left"


def test_channels_and_urls_that_cannot_be_used_are_refused_at_the_start() -> None:
    with pytest.raises(InvalidInput) as refused:
        Options(alarms=[{"to": "s3cret"}], heartbeat_url="ftp://s3cret", late_after_seconds=0)
    told = str(refused.value)
    assert "s3cret" not in told
    for field in ("alarms[0].to", "heartbeat_url", "late_after_seconds"):
        assert field in told
    hidden = repr(Options(alarms=[{"to": "json://s3cret"}], heartbeat_url="https://h/s3cret"))
    assert "s3cret" not in hidden


def test_every_promise_holds_with_all_channels_dead(tmp_path: Path, registry: Registry) -> None:
    uri = f"sqlite:{tmp_path / 'jobs.db'}"
    with web_server() as web:
        port = web.port
    dead = [{"to": f"json://127.0.0.1:{port}/{number}", "name": f"c{number}"} for number in range(3)]
    with Cronlite(uri, registry=registry) as cron:
        ping = f"http://127.0.0.1:{port}/"
        for number in range(20):
            cron.schedule(name=f"s{number}", handler="bad", hour=3, minute=0, overlap="allow", ping_url=ping)
        cron.start(alarms=dead, heartbeat_url=ping, allow_private_pings=True)
        handles = [cron.trigger(f"s{number}") for number in range(20)]
        assert {handle.wait(60).state for handle in handles} == {runs.FAILED}
        wait_until(lambda: len(cron.alarms.list()) == 20, what="the alarms")
        wait_until(lambda: sum(one.failures > 0 for one in cron.alarms.channels()) == 3, what="that the channels fail")
        assert [one.trouble for one in cron.store.daemons()] == [""]


def test_a_site_tells_where_no_daemon_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Cronlite(f"sqlite:{tmp_path / 'jobs.db'}") as cron, web_server() as web:
        long_ago = cron.now() - timedelta(minutes=10)
        minute = long_ago.replace(second=0, microsecond=0)
        cron.store.claim_tick(Tick(minute=minute, daemon="d", claimed_at=long_ago, done_at=long_ago))
        watching = cron.alarms.watching(read_channels([{"to": f"json://127.0.0.1:{web.port}/", "name": "hook"}]))
        watching.keep_going()
        watching.keep_going()
        request = wait_until(lambda: next(iter(web.received), None), what="that it is told")
        watching.stop()
        assert request.json["title"].startswith("cronlite: no daemon has ticked since ")
        away = cron.alarms.watching()
        monkeypatch.setattr(cron.store, "now", lambda: (_ for _ in ()).throw(StoreUnavailable("away")))
        assert away._clock.now() > long_ago, "a store that is away ends no thread"
