"""`cronlite run` as a service: what systemd hears of it, how signals end it, and what its log looks like."""

from __future__ import annotations

import gc
import re
import signal
import sys
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from cronlite import Cronlite
from cronlite.daemon.service import Notifier, seldom_collecting, switching_often
from tests.daemon.as_service import ALIVE, READY, STOPPING, Service, Systemd
from tests.services.mongod import Mongod
from tests.services.process import free_port
from tests.waiting import wait_until

# what systemd hears


@pytest.mark.parametrize("abstract", [False, True], ids=["a path", "an abstract address"])
def test_systemd_hears_the_whole_life_of_a_daemon(tmp_path: Path, abstract: bool) -> None:
    systemd = Systemd(f"@cronlite-{uuid.uuid4().hex}" if abstract else str(tmp_path / "notify"))
    service = Service(tmp_path, systemd)
    try:
        service.start()
        ready = systemd.hears(READY, "next wake ")
        alive = systemd.hears(ALIVE, "next wake ", after=ready)
        systemd.hears(ALIVE, after=alive)
        service.signal()
        assert service.wait() == 0, service.log.read_text()
        systemd.hears(STOPPING)
        first, *others = systemd.states()
        assert (first, [state for state in others if state != ALIVE]) == (READY, [STOPPING])
    finally:
        service.close()
        systemd.close()


def test_the_status_tells_the_next_wake_and_what_runs(service: Service, systemd: Systemd) -> None:
    service.start()
    systemd.hears(READY)
    service.is_busy()
    number = systemd.hears(ALIVE, "1 running", after=len(systemd.listen()), limit_seconds=90)
    status = systemd.heard[number - 1][1]
    assert re.fullmatch(r"STATUS=next wake \d\d:\d\d:01Z, 1 running", status)


def test_nobody_needs_to_listen(service: Service, systemd: Systemd) -> None:
    systemd.close()
    service.start()
    service.is_busy()
    service.let_go()
    service.signal()
    assert service.wait() == 0


@pytest.mark.parametrize("address", [None, "", "/nowhere/notify", "@nobody", "x" * 200])
def test_a_notice_never_fails(address: str | None) -> None:
    Notifier(address)("ready", "all is well")


def test_a_status_is_one_line_and_gives_no_orders(systemd: Systemd) -> None:
    Notifier(systemd.address)("waiting", "it said:\nMAINPID=1\r\n  \ud800" + "x" * 70_000)
    ((event, status),) = systemd.listen()
    assert event == ALIVE
    assert status.startswith("STATUS=it said: MAINPID=1 ")
    assert len(status) < 400


def test_a_status_turns_no_terminal_that_shows_it(systemd: Systemd) -> None:
    Notifier(systemd.address)("waiting", "it said: \x1b[2J\x9b31m\x7f\u202e\ud800 ü")
    ((_, status),) = systemd.listen()
    assert status == r"STATUS=it said: \x1b[2J\x9b31m\x7f\u202e\ud800 ü"


# signals


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_an_idle_daemon_at_once_and_well(
    service: Service, systemd: Systemd, number: signal.Signals
) -> None:
    service.start("--drain-seconds", "3600")
    systemd.hears(READY)
    service.signal(number)
    assert service.wait() == 0
    with Cronlite(service.uri) as cron:
        assert cron.store.daemons() == []


def test_a_busy_daemon_waits_for_its_handlers(service: Service, systemd: Systemd) -> None:
    service.start()
    run = service.is_busy()
    service.signal()
    systemd.hears(STOPPING)
    assert service.ended is None
    service.let_go()
    assert service.wait() == 0
    assert service.run_of(run.id).state == "succeeded"


def test_after_the_drain_what_still_runs_is_given_back(service: Service, systemd: Systemd) -> None:
    service.start("--drain-seconds", "0.2")
    run = service.is_busy()
    service.signal()
    assert service.wait() == 0
    left = service.run_of(run.id)
    assert (left.state, left.crashes, left.failures) == ("queued", 0, 0)


def test_a_second_signal_ends_it_at_once(service: Service, systemd: Systemd) -> None:
    service.start("--drain-seconds", "3600")
    service.is_busy()
    service.signal()
    systemd.hears(STOPPING)
    service.signal()
    assert service.wait() == 1


def test_a_terminal_that_closes_is_no_hurry_however_often_it_says_so(service: Service, systemd: Systemd) -> None:
    service.start()
    run = service.is_busy()
    service.signal(signal.SIGHUP)
    systemd.hears(STOPPING)
    service.signal(signal.SIGHUP)
    service.let_go()
    assert service.wait() == 0
    assert service.run_of(run.id).state == "succeeded"


def test_under_nohup_a_closed_terminal_is_none_of_its_business(service: Service, systemd: Systemd) -> None:
    service.program = "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN); " + service.program
    service.start()
    systemd.hears(READY)
    service.signal(signal.SIGHUP)
    service.is_busy()
    assert STOPPING not in systemd.states()
    service.let_go()
    service.signal()
    assert service.wait() == 0


def test_a_daemon_that_gives_up_ends_its_process(service: Service, systemd: Systemd) -> None:
    """So that a supervisor starts another."""
    service.program = (
        "import sys; from cronlite.daemon.claims import Claimer; Claimer.claim = lambda self: sys.exit(); "
        + service.program
    )
    service.start()
    assert service.wait() == 1
    assert "without its claim loop" in service.log.read_text()
    with Cronlite(service.uri) as cron:
        assert cron.store.daemons() == []


@pytest.mark.parametrize("closed", ["2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_without_standard_streams_it_ticks_and_runs(service: Service, systemd: Systemd, closed: str) -> None:
    service.shell = f'exec "$0" "$@" {closed}'
    service.start()
    ready = systemd.hears(READY)
    run = service.is_busy()
    service.let_go()
    systemd.hears(ALIVE, "0 running", after=ready)
    wait_until(lambda: service.run_of(run.id).state == "succeeded", what="the run")
    assert service.run_of(run.id).output == "held\nwith an eye on it\n"
    service.signal()
    assert service.wait() == 0


# a store that is not there


@pytest.mark.mongod
def test_a_store_that_comes_up_late_is_no_failure(
    service: Service, systemd: Systemd, start_mongod: Callable[..., Mongod], monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    service.uri = f"mongodb://127.0.0.1:{port}/late?directConnection=true"
    service.start()
    systemd.hears(ALIVE, "waiting for the store")
    assert READY not in systemd.states()
    monkeypatch.setattr("tests.services.process.free_port", lambda: port)
    server = start_mongod()
    assert server.port == port
    ready = systemd.hears(READY)
    systemd.hears(ALIVE, "next wake", after=ready)
    service.signal()
    assert service.wait() == 0
    assert service.log.read_text().count("fails: ") == 1


@pytest.mark.mongod
def test_a_store_that_goes_away_keeps_the_daemon_alive(
    service: Service, systemd: Systemd, start_mongod: Callable[..., Mongod]
) -> None:
    server = start_mongod()
    service.uri = server.uri_of("away")
    service.start()
    systemd.hears(READY)
    server.kill()
    waiting = systemd.hears(ALIVE, "waiting for the store", after=len(systemd.listen()), limit_seconds=90)
    systemd.hears(ALIVE, after=waiting)
    server.start()
    systemd.hears(ALIVE, "next wake", after=waiting + 1)
    service.signal()
    assert service.wait() == 0


def test_a_daemon_that_still_waits_for_its_store_stops_at_a_signal(service: Service, systemd: Systemd) -> None:
    service.uri = f"mongodb://127.0.0.1:{free_port()}/nowhere"
    service.start()
    wait_until(lambda: "fails: " in service.log.read_text(), what="it says that the store is away")
    service.signal()
    assert service.wait() == 0
    assert READY not in systemd.states()


# the log


def test_the_journal_gets_priorities_and_no_times(service: Service, systemd: Systemd) -> None:
    service.start()
    systemd.hears(READY)
    service.signal()
    assert service.wait() == 0
    lines = service.log.read_text().splitlines()
    assert lines
    for line in lines:
        assert re.match(r"<[2-7]>[A-Z]+ +\S", line), line
    assert any(line.startswith("<6>INFO") for line in lines)


def test_a_log_that_is_not_the_journals_has_times_and_no_priorities(service: Service, systemd: Systemd) -> None:
    service.start(environment={"JOURNAL_STREAM": "1:2"})
    systemd.hears(READY)
    service.signal()
    assert service.wait() == 0
    for line in service.log.read_text().splitlines():
        assert re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ [A-Z]+ +\S", line), line


def test_what_only_a_person_can_mend_ends_with_2(service: Service) -> None:
    service.start("--seats", "many")
    assert service.wait() == 2
    service.uri = "nonsense:"
    service.start()
    assert service.wait() == 2


def test_the_garbage_collector_is_left_as_it_was_found() -> None:
    before = gc.get_threshold()
    with seldom_collecting():
        assert gc.get_threshold()[0] > before[0]
        assert gc.get_freeze_count() > 1_000
    assert (gc.get_threshold(), gc.get_freeze_count()) == (before, 0)


def test_the_interpreters_interval_is_left_as_it_was_found() -> None:
    before = sys.getswitchinterval()
    with switching_often():
        assert sys.getswitchinterval() < before
    assert sys.getswitchinterval() == before
