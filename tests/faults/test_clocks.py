"""A clock that is wrong, or jumps, costs no minute within the grace, runs none twice, and stops nothing."""

from __future__ import annotations

from datetime import timedelta

import pytest

from cronlite.when.clock import floor_minute
from tests.faults.checker import MINUTE
from tests.faults.conftest import MONGOD_QUICKLY
from tests.faults.evidence import Document
from tests.faults.fleet import Fleet
from tests.faults.rounds import wait_a_moment

TEN_YEARS = 3_652 * 86_400
STEPS = {
    "10 s": 10,
    "30 min": 1_800,
    "10 years": TEN_YEARS,
    "-10 s": -10,
    "-5 min": -300,
    "-1 hour": -3_600,
    "-10 years": -TEN_YEARS,
}
QUICKLY = ("-1 hour",)


def succeeded(run: Document) -> bool:
    return bool(run["state"] == "succeeded")


@pytest.mark.parametrize(
    "offset",
    [pytest.param(STEPS[name], id=name, marks=() if name in QUICKLY else pytest.mark.slow) for name in STEPS],
)
def test_the_servers_clock_steps_and_is_set_right_again(fleet: Fleet, offset: float) -> None:
    fleet.schedule(3, active_from=None)
    for _ in range(2):
        fleet.start(catch_up_window_seconds=600)
    fleet.wait_minutes(2)
    for step in (offset, 0.0):
        fleet.set_offset(step)
        begun = floor_minute(fleet.now() + timedelta(seconds=step))
        for id_ in fleet.schedules:
            for number in (2, 3):
                fleet.wait_for_run(f"{id_}@{begun + number * MINUTE:%Y-%m-%dT%H:%MZ}", succeeded)
    # what was queued just before the clock was put back is looked for again within seconds, not at once
    fleet.wait_until_ticks_done(begun)
    fleet.stop_all()
    found = fleet.evidence()
    fleet.first = min(run["due_at"] for run in found.runs.values())
    injected = "there and back"
    fleet.verify(f"the server's clock steps by {offset:g} s", injected, fleet.first - MINUTE)


@MONGOD_QUICKLY
@pytest.mark.parametrize("steps", [(10, 20, 30, 25, 0, -10, -20, 5)], ids=["to and fro"])
def test_a_clock_that_jumps_within_the_grace_loses_no_minute(any_fleet: Fleet, steps: tuple[float, ...]) -> None:
    any_fleet.schedule(5)
    for _ in range(2):
        any_fleet.start().wait_ready()
    for step in steps:
        any_fleet.set_offset(step * 6)
        wait_a_moment(0.7)
    last = any_fleet.wait_minutes_from_now(2)
    any_fleet.stop_all()
    any_fleet.verify("the server's clock jumps by up to 3 min", f"{len(steps)} times", last)


def test_hosts_whose_clocks_are_wrong_tick_together(fleet: Fleet) -> None:
    fleet.schedule(10)
    offs = (0.0, 10.0, -3_600.0, float(TEN_YEARS), -float(TEN_YEARS))
    nodes = [fleet.start(host_off_seconds=off) for off in offs]
    for node in nodes:
        node.wait_ready()
    last = fleet.wait_minutes_from_now(3)
    fleet.stop_all()
    for node, off in zip(nodes, offs, strict=True):
        assert node.text.count("this host's clock is") == (off != 0.0), node.text
    fleet.verify("hosts' clocks off by 10 s to 10 years", "4 of 5 daemons", last)


@pytest.mark.slow
def test_a_tick_that_takes_longer_than_a_minute(any_fleet: Fleet) -> None:
    any_fleet.schedule(5)
    slow = any_fleet.start("hold before candidates 2", silence_seconds=20)
    slow.wait_held("before", "candidates", 2)
    wait_a_moment(3)
    slow.let_go("before", "candidates", 2)
    last = any_fleet.wait_minutes_from_now(2)
    any_fleet.stop_all()
    any_fleet.verify("a tick that takes 3 minutes, with one daemon", "once", last)


@pytest.mark.slow
def test_a_slow_tick_of_one_daemon_does_not_keep_the_others_from_theirs(fleet: Fleet) -> None:
    fleet.schedule(5)
    slow = fleet.start("hold before candidates 2", silence_seconds=20)
    slow.wait_held("before", "candidates", 2)
    fleet.start(silence_seconds=20).wait_ready()
    held = min(tick["_id"] for tick in fleet.evidence().ticks if "done_at" not in tick)
    later = [f"{id_}@{held + n * MINUTE:%Y-%m-%dT%H:%MZ}" for id_ in fleet.schedules for n in (2, 3)]
    for id_ in later:
        fleet.wait_for_run(id_, succeeded)
    assert f"s000@{held:%Y-%m-%dT%H:%MZ}" not in fleet.evidence().runs
    slow.let_go("before", "candidates", 2)
    last = fleet.wait_minutes_from_now(1)
    fleet.stop_all()
    fleet.verify("a tick that takes 3 minutes, with two daemons", "once", last)
