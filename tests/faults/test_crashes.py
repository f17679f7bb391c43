"""A daemon killed at any moment costs no minute, and nothing runs twice that was not cut off."""

from __future__ import annotations

import signal

import pytest

from tests.faults.fleet import Fleet

KILLED = -signal.SIGKILL

POINTS = {
    "before the tick's claim": "kill before claim_tick 1",
    "after the tick's claim": "kill after claim_tick 1",
    "between the query and the runs": "kill before add_runs 2",
    "after the runs, before the tick is signed off": "kill before finish_tick 1",
    "before the claim": "kill before claim_runs 2",
    "after the claim": "kill after claim_runs 2",
    "after the handler, before the result": "kill before change_runs 2",
    "after the result": "kill after change_runs 2",
    "before a beat": "kill before beat 3",
    "after a beat": "kill after beat 3",
}


@pytest.mark.parametrize("point", POINTS.values(), ids=POINTS)
def test_killed_at_a_point(any_fleet: Fleet, point: str, request: pytest.FixtureRequest) -> None:
    any_fleet.schedule(5)
    victim = any_fleet.start(point)
    assert victim.wait_ended() == KILLED
    any_fleet.start()
    last = any_fleet.wait_minutes_from_now(2)
    any_fleet.stop_all()
    any_fleet.verify(f"kill -9 {request.node.callspec.id}", "once", last, logs_are_whole=False)
