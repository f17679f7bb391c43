"""However daemons die, never more runs than a limit allows are at work, and none of those that wait is forgotten."""

from __future__ import annotations

import random
import signal
from datetime import timedelta

import pytest

from cronlite.documents import limits
from tests.faults import rounds
from tests.faults.conftest import MONGOD_QUICKLY
from tests.faults.fleet import Fleet

MOST = {"api": 3}


def set_limit(fleet: Fleet) -> None:
    with fleet.store() as store:
        store.set_limit(limits.new("api", MOST["api"], store.now()))


@MONGOD_QUICKLY
def test_a_daemon_killed_with_all_slots_leaves_them_to_the_others(any_fleet: Fleet) -> None:
    set_limit(any_fleet)
    minute, hour, quick = any_fleet.first.minute, any_fleet.first.hour, {"action": "sleep", "seconds": 0.02}
    any_fleet.schedule(12, limit="api", params=quick, minute=minute, hour=hour)
    assert any_fleet.start("kill after claim_runs 1").wait_ended() == -signal.SIGKILL
    any_fleet.start(), any_fleet.start()
    any_fleet.wait_until_done(any_fleet.first)
    any_fleet.stop_all()
    crashes = sum(run.get("crashes", 0) for run in any_fleet.evidence().runs.values())
    assert crashes == MOST["api"], "it died with all the slots"
    any_fleet.verify("kill -9 with all slots of a limit", "once", any_fleet.first, limits=MOST, logs_are_whole=False)


@pytest.mark.slow
def test_three_daemons_killed_at_random_keep_a_limit_and_the_order(any_fleet: Fleet, seed: random.Random) -> None:
    set_limit(any_fleet)
    for priority in (2, 5, 9):
        any_fleet.schedule(2, limit="api", priority=priority, params={"action": "sleep", "seconds": 0.1})
    any_fleet.schedule(3, priority=7)
    last = rounds.kill_at_random(any_fleet, daemons=3, kills=10, chance=seed)
    # Of the runs that three daemons claim at the same time, any may be the first; and what a killed one had, waits.
    order = timedelta(minutes=15)
    told = "random kill -9 of three daemons, with a limit and priorities"
    any_fleet.verify(told, "10 times", last, limits=MOST, out_of_order=order, logs_are_whole=False)
