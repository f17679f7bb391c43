"""A daemon that stands still loses what it had; one that is told to stop gives back what it has."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.faults import rounds
from tests.faults.checker import MINUTE
from tests.faults.conftest import MONGOD_QUICKLY
from tests.faults.fleet import Fleet
from tests.faults.rounds import a_database
from tests.services.mongod import Mongod

MakeFleet = Callable[..., Fleet]


def one_long_run(fleet: Fleet, **fields: Any) -> str:
    """Schedule one run that works until `let_go`; return its id."""
    params = {"action": "wait for", "file": str(fleet.folder / "go")}
    (schedule,) = fleet.schedule(params=params, minute=fleet.first.minute, **fields)
    return f"{schedule}@{fleet.first:%Y-%m-%dT%H:%MZ}"


def let_go(fleet: Fleet) -> None:
    """Let the long run end."""
    fleet.folder.joinpath("go").touch()


@MONGOD_QUICKLY
def test_stopped_beyond_its_lease_while_another_takes_over(any_fleet: Fleet) -> None:
    fleet = any_fleet
    run_id = one_long_run(fleet)
    sleeper = fleet.start()
    fleet.wait_started(1)
    sleeper.pause()
    heir = fleet.start()
    fleet.wait_started(2)
    sleeper.go_on()
    sleeper.wait_for_line("going on as daemon")
    let_go(fleet)
    run = fleet.wait_for_run(run_id, lambda run: run["state"] == "succeeded")
    sleeper.wait_for_line("came too late")
    assert (run["attempt"], run["crashes"], run["result"]["pid"]) == (2, 1, heir.process.pid)
    assert fleet.folder.joinpath(f"go.mine-{sleeper.process.pid}").read_text() == "False"
    assert fleet.folder.joinpath(f"go.mine-{heir.process.pid}").read_text() == "True"
    assert "was marked dead" in sleeper.text
    fleet.schedule(3)  # both go on, and share the minutes that come
    fleet.wait_minutes_from_now(1, except_for=fleet.schedules)
    fleet.stop_all()
    # the silent schedule is due in one minute only, and those added late not from the first on
    fleet.verify(
        "SIGSTOP beyond the lease, then SIGCONT", "once", fleet.first, except_for=fleet.schedules[1:], paused=True
    )


@pytest.mark.slow
def test_three_daemons_stopped_at_random(any_fleet: Fleet, seed: random.Random) -> None:
    fleet = any_fleet
    fleet.schedule(20)
    fleet.schedule(5, overlap="wait", params={"action": "sleep", "seconds": 0.05})
    nodes = [fleet.start() for _ in range(3)]
    for node in nodes:
        node.wait_ready()
    for _ in range(3):
        rounds.wait_a_moment(seed.uniform(0.1, 1))
        rounds.stop_and_go(seed.choice(nodes), seed.uniform(2.5, 4))
    last = fleet.wait_minutes_from_now(2)
    fleet.stop_all()
    fleet.verify("random SIGSTOP of three daemons, 2.5 to 4 s", "3 times", last, paused=True)


def test_sigterm_when_idle(any_fleet: Fleet) -> None:
    node = any_fleet.start()
    node.wait_ready()
    began = time.monotonic()
    assert node.stop() == 0
    took = time.monotonic() - began
    assert any_fleet.evidence().daemons == []
    before_the_first = any_fleet.first - MINUTE
    any_fleet.verify("SIGTERM idle", f"once, ended after {took:.1f} s", before_the_first)


@pytest.mark.parametrize("thread", [pytest.param(0, marks=pytest.mark.slow), -1])
def test_sigterm_ends_it_whichever_thread_the_system_hands_it_to(fleet: Fleet, thread: int) -> None:
    node = fleet.start()
    node.wait_ready()
    node.signal_thread(thread, signal.SIGTERM)
    assert node.wait_ended() == 0
    fleet.verify(f"SIGTERM to the {'last' if thread else 'first'} thread", "once", fleet.first - MINUTE)


def test_sigterm_waits_for_a_handler(fleet: Fleet) -> None:
    run_id = one_long_run(fleet)
    node = fleet.start()
    fleet.wait_started()
    node.send(signal.SIGTERM)
    node.wait_for_line("nothing more is claimed")
    let_go(fleet)
    assert node.wait_ended() == 0
    run = fleet.evidence().runs[run_id]
    assert (run["state"], run["attempt"]) == ("succeeded", 1)
    assert fleet.evidence().daemons == []
    fleet.verify("SIGTERM busy, within the drain", "once", fleet.first)


@MONGOD_QUICKLY
def test_sigterm_gives_back_what_outlives_the_drain(any_fleet: Fleet) -> None:
    fleet = any_fleet
    run_id = one_long_run(fleet)
    node = fleet.start(drain_seconds=0.5)
    fleet.wait_started()
    assert node.stop() == 0
    run = fleet.evidence().runs[run_id]
    assert (run["state"], run["attempt"], run["crashes"], run["failures"]) == ("queued", 1, 0, 0)
    assert fleet.evidence().daemons == []
    let_go(fleet)
    fleet.start()
    run = fleet.wait_for_run(run_id, lambda run: run["state"] == "succeeded")
    assert (run["attempt"], run["crashes"], run["failures"]) == (2, 0, 0)
    fleet.stop_all()
    fleet.verify("SIGTERM busy, beyond the drain", "once", fleet.first)


def test_sigterm_abandons_what_may_not_run_twice(fleet: Fleet) -> None:
    run_id = one_long_run(fleet, on_crash="abandon")
    node = fleet.start(drain_seconds=0.5)
    fleet.wait_started()
    assert node.stop() == 0
    run = fleet.evidence().runs[run_id]
    assert (run["state"], run["crashes"]) == ("abandoned", 0)
    assert "cut off" in run["reason"]
    fleet.verify("SIGTERM busy, beyond the drain, on_crash=abandon", "once", fleet.first, ends=["abandoned"])


def test_a_second_sigterm_ends_it_at_once(fleet: Fleet) -> None:
    run_id = one_long_run(fleet)
    node = fleet.start(drain_seconds=60)
    fleet.wait_started()
    node.send(signal.SIGTERM)
    node.wait_for_line("SIGTERM received")
    node.send(signal.SIGTERM)
    assert node.wait_ended(20) == 1
    let_go(fleet)
    fleet.start()
    run = fleet.wait_for_run(run_id, lambda run: run["state"] == "succeeded")
    fleet.stop_all()
    assert (run["attempt"], run["crashes"]) == (2, 1)
    fleet.verify("SIGTERM twice", "once", fleet.first)


@MONGOD_QUICKLY
@pytest.mark.parametrize(("method", "seats"), [pytest.param("claim_runs", 1, marks=pytest.mark.slow), ("add_runs", 20)])
def test_sigterm_in_the_claim(any_fleet: Fleet, method: str, seats: int) -> None:
    fleet = any_fleet
    fleet.schedule(10, minute=fleet.first.minute)
    node = fleet.start(f"hold after {method} 1", seats=seats)
    node.wait_held("after", method)
    node.send(signal.SIGTERM)
    node.wait_for_line("nothing more is claimed")
    node.let_go("after", method)
    assert node.wait_ended() == 0
    for run in fleet.evidence().runs.values():
        assert (run["state"], run["crashes"], run["failures"]) == ("queued", 0, 0)
    assert fleet.journal() == []
    fleet.start()
    fleet.wait_minutes(1)
    fleet.stop_all()
    fleet.verify(f"SIGTERM in {method}", "once", fleet.first)


@pytest.mark.slow
def test_sigterm_in_a_claim_that_takes_longer_than_the_daemon_waits_for_it(fleet: Fleet) -> None:
    fleet.schedule(10, minute=fleet.first.minute)
    node = fleet.start("hold after claim_runs 1", seats=1, drain_seconds=10, silence_seconds=30)
    node.wait_held("after", "claim_runs")
    node.send(signal.SIGTERM)
    node.wait_for_line("SIGTERM received")
    rounds.wait_a_moment(7)
    node.let_go("after", "claim_runs")
    assert node.wait_ended() == 0
    fleet.start()
    fleet.wait_minutes(1)
    fleet.stop_all()
    fleet.verify("SIGTERM in a claim of 7 s", "once", fleet.first)


@pytest.mark.slow
def test_sigterm_with_the_database_down(start_mongod: Callable[..., Mongod], make_fleet: MakeFleet) -> None:
    server = start_mongod()
    fleet = make_fleet(server.uri_of(a_database()))
    run_id = one_long_run(fleet)
    busy, idle = fleet.start(drain_seconds=2), fleet.start(drain_seconds=2)
    idle.wait_ready()
    fleet.wait_started()
    server.kill()
    late = fleet.start(drain_seconds=2)  # it never sees a server
    busy.wait_for_line("fails: ")
    late.wait_for_line("fails: ")
    began = time.monotonic()
    for node in (busy, idle, late):
        node.send(signal.SIGTERM)
    assert [node.wait_ended() for node in (busy, idle, late)] == [0, 0, 0]
    took = time.monotonic() - began
    server.start()
    let_go(fleet)
    fleet.start()
    run = fleet.wait_for_run(run_id, lambda run: run["state"] == "succeeded")
    assert run["attempt"] == 2
    fleet.stop_all()
    fleet.verify("SIGTERM with the database down", f"3 daemons, ended after {took:.1f} s", fleet.first)
