"""What becomes of claimed runs whose daemon died, stopped, or never began them?"""

from __future__ import annotations

import pytest

from cronlite.daemon.handover import Handover
from cronlite.daemon.store_clock import StoreClock
from cronlite.documents.runs import ABANDONED, QUEUED, RUNNING
from cronlite.store.contract import Store
from tests.store.samples import a_run_in, a_running, add, stored


@pytest.fixture
def handover(store: Store) -> Handover:
    return Handover(store, StoreClock())


def test_the_runs_of_a_dead_daemon_are_queued_again_or_abandoned_as_their_policy_says(
    store: Store, handover: Handover
) -> None:
    repeatable, unrepeatable = a_running("lane-0"), a_running("lane-1", on_crash="abandon")
    of_another, waiting = a_running("lane-2", daemon="alive"), a_run_in("lane-3")
    add(store, repeatable, unrepeatable, of_another, waiting)
    assert handover.take_over(str(repeatable.daemon)) == 2
    assert [stored(store, run).state for run in (repeatable, unrepeatable)] == [QUEUED, ABANDONED]
    assert stored(store, repeatable).crashes == 1
    assert [stored(store, run).state for run in (of_another, waiting)] == [RUNNING, QUEUED]
    assert handover.take_over(str(repeatable.daemon)) == 0


def test_what_is_given_back_keeps_its_place_and_what_is_cut_off_pays_nothing(store: Store, handover: Handover) -> None:
    waiting, begun = a_running("lane-0"), a_running("lane-1")
    add(store, waiting, begun)
    handover.give_back([waiting])
    handover.cut_off([begun])
    for run in (waiting, begun):
        after = stored(store, run)
        assert (after.state, after.run_at, after.daemon) == (QUEUED, run.run_at, None)
        assert (after.failures, after.crashes) == (0, 0)


def test_what_has_ended_meanwhile_stays_as_it_is(store: Store, handover: Handover) -> None:
    claimed = a_running("lane-0")
    add(store, claimed)
    store.change_runs([(claimed, {"state": "succeeded"})])
    handover.give_back([claimed])
    handover.cut_off([claimed])
    assert stored(store, claimed).state == "succeeded"
