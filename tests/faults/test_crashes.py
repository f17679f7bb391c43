"""A daemon killed at any moment costs no minute, and nothing runs twice that was not cut off."""

from __future__ import annotations

import random
import signal
from collections.abc import Callable

import pytest

from tests.faults import rounds
from tests.faults.fleet import Fleet

MakeFleet = Callable[..., Fleet]
KILLED = -signal.SIGKILL

POINTS = {
    "in the first index's creation": "kill before create_index 1",
    "between two indexes": "kill after create_index 9",
    "before it joins": "kill before join 1",
    "when it has joined": "kill after join 1",
    "before the tick's claim": "kill before claim_tick 1",
    "after the tick's claim": "kill after claim_tick 1",
    "between the query and the runs": "kill before add_runs 2",
    "after runs that are claimed from birth, before any starts": "kill after add_runs 2",
    "after the runs, before the tick is signed off": "kill before finish_tick 1",
    "after the tick is signed off": "kill after finish_tick 1",
    "before the claim": "kill before claim_runs 2",
    "after the claim": "kill after claim_runs 2",
    "after the handler, before the result": "kill before change_runs 2",
    "after the result": "kill after change_runs 2",
    "before a beat": "kill before beat 3",
    "after a beat": "kill after beat 3",
}
IN_THE_MIDST = (
    "after the tick's claim",
    "between the query and the runs",
    "after runs that are claimed from birth, before any starts",
    "after the runs, before the tick is signed off",
    "after the claim",
    "after the handler, before the result",
    "after the result",
)
# One of each kind: a tick without its runs, runs that nobody has started, an outcome that nobody has written down.
QUICKLY = {
    "mongod": ("between the query and the runs", "after the claim", "after the handler, before the result"),
    "sqlite": ("after the claim",),
}
CASES = [
    pytest.param(store, name, marks=[*marks, *([] if name in QUICKLY[store] else [pytest.mark.slow])])
    for store, names, marks in (("mongod", POINTS, [pytest.mark.mongod]), ("sqlite", IN_THE_MIDST, []))
    for name in names
]


@pytest.mark.parametrize(("any_fleet", "name"), CASES, indirect=["any_fleet"])
def test_killed_at_a_point(any_fleet: Fleet, name: str) -> None:
    fleet = any_fleet
    fleet.schedule(5, prepared="create_index" not in POINTS[name])
    seats = 1 if "claim_runs" in POINTS[name] else 20  # with one seat, no tick claims its runs on its way
    assert fleet.start(POINTS[name], seats=seats).wait_ended() == KILLED
    fleet.start()
    last = fleet.wait_minutes_from_now(2)
    fleet.stop_all()
    fleet.verify(f"kill -9 {name}", "once", last, logs_are_whole=False)


def test_killed_in_the_handler(any_fleet: Fleet) -> None:
    any_fleet.schedule(3)
    (deadly,) = any_fleet.schedule(params={"action": "die"}, minute=any_fleet.first.minute, hour=any_fleet.first.hour)
    victim = any_fleet.start()
    assert victim.wait_ended() == KILLED
    any_fleet.start()
    last = any_fleet.wait_minutes_from_now(1, except_for=[deadly])
    (run_id,) = (id_ for id_ in any_fleet.evidence().runs if id_.startswith(deadly))
    run = any_fleet.wait_for_run(run_id, lambda run: run["state"] == "succeeded")
    any_fleet.stop_all()
    assert (run["attempt"], run["crashes"]) == (2, 1)
    any_fleet.verify("kill -9 in the handler", "once", last, except_for=[deadly], logs_are_whole=False)


def test_a_run_that_takes_three_daemons_with_it_is_abandoned(fleet: Fleet) -> None:
    params, first = {"action": "die", "attempts": 9}, fleet.first
    (deadly,) = fleet.schedule(params=params, minute=first.minute, hour=first.hour)
    for _ in range(3):
        assert fleet.start().wait_ended() == KILLED
    survivor = fleet.start()
    run_id = f"{deadly}@{fleet.first:%Y-%m-%dT%H:%MZ}"
    run = fleet.wait_for_run(run_id, lambda run: run["state"] == "abandoned")
    assert (run["attempt"], run["crashes"]) == (3, 3)
    fleet.wait_until_done(fleet.first)
    survivor.stop()
    fleet.verify("a handler that kills its daemon each time", "3 times", fleet.first, logs_are_whole=False)


@pytest.mark.slow
def test_a_deadly_run_takes_none_of_those_that_wait_with_it(any_fleet: Fleet) -> None:
    fleet, minute, hour = any_fleet, any_fleet.first.minute, any_fleet.first.hour
    quick = {"action": "sleep", "seconds": 0.005}
    fleet.schedule(100, params=quick, minute=minute, hour=hour)
    (deadly,) = fleet.schedule(params={"action": "die", "attempts": 1_000}, minute=minute, hour=hour)
    fleet.schedule(100, params=quick, minute=minute, hour=hour)
    once = set(fleet.schedule(150, params=quick, on_crash="abandon", minute=minute, hour=hour))
    for _ in range(3):
        assert fleet.start(seats=10).wait_ended() == KILLED
    fleet.start()
    fleet.wait_until_done(fleet.first)
    fleet.stop_all()
    abandoned = {run["schedule"] for run in fleet.evidence().runs.values() if run["state"] == "abandoned"}
    assert abandoned - once == {deadly}
    assert len(abandoned & once) <= 30  # what had a seat
    fleet.verify("a deadly run among 350", "3 times", fleet.first, logs_are_whole=False)


def test_a_started_run_that_may_not_run_twice_is_abandoned_with_its_daemon(fleet: Fleet) -> None:
    (deadly,) = fleet.schedule(params={"action": "die"}, minute=fleet.first.minute, on_crash="abandon")
    assert fleet.start().wait_ended() == KILLED
    survivor = fleet.start()
    run_id = f"{deadly}@{fleet.first:%Y-%m-%dT%H:%MZ}"
    run = fleet.wait_for_run(run_id, lambda run: run["state"] == "abandoned")
    fleet.wait_until_done(fleet.first)
    survivor.stop()
    assert (run["attempt"], run["crashes"]) == (1, 1)
    fleet.verify("kill -9 in a handler, on_crash=abandon", "once", fleet.first)


@pytest.mark.slow
def test_three_daemons_killed_at_random(any_fleet: Fleet, seed: random.Random) -> None:
    any_fleet.schedule(20)
    waiting = any_fleet.schedule(10, overlap="wait", params={"action": "sleep", "seconds": 0.05})
    last = rounds.kill_at_random(any_fleet, daemons=3, kills=10, chance=seed)
    any_fleet.verify("random kill -9 of three daemons", "10 times", last, lanes=waiting, logs_are_whole=False)


@pytest.mark.slow
def test_twenty_daemons_started_in_the_same_instant_on_an_empty_database(make_fleet: MakeFleet, mongo_uri: str) -> None:
    fleet = make_fleet(mongo_uri, silence_seconds=30)
    fleet.schedule(40, prepared=False)
    nodes = [fleet.start() for _ in range(20)]
    for node in nodes:
        node.wait_ready()
    last = fleet.wait_minutes_from_now(2)
    assert len(fleet.evidence().daemons) == 20
    fleet.stop_all(60)
    assert fleet.evidence().daemons == []
    fleet.verify("20 daemons started at once on an empty database", "20 daemons", last)


@pytest.mark.slow
def test_three_daemons_share_three_hundred_schedules_and_one_is_killed_in_mid_handling(
    make_fleet: MakeFleet, mongo_uri: str
) -> None:
    fleet = make_fleet(mongo_uri)
    fleet.schedule(300, params={"action": "sleep", "seconds": 0.02})
    nodes = [fleet.start() for _ in range(3)]
    for node in nodes:
        node.wait_ready()
    fleet.wait_minutes(2)
    begun = len(fleet.journal())
    fleet.wait_started(begun // 2 + 100)
    nodes[0].kill()
    last = fleet.wait_minutes_from_now(4)
    fleet.stop_all()
    verdict = fleet.verify("one of three killed with 300 runs a minute", "once", last, logs_are_whole=False)
    runs = fleet.evidence().runs.values()
    per_minute = {minute: sum(run["due_at"] == minute for run in runs) for minute in fleet.expected(last).minutes()}
    assert set(per_minute.values()) == {300}, per_minute
    print(verdict)
