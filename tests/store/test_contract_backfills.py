"""What must a store do with the runs that a backfill asks for?"""

from __future__ import annotations

from cronlite.documents import runs, transitions
from cronlite.store.contract import Store
from tests.store.samples import LANE, MINUTE, NOW, TICK, a_run, a_run_in, add, claim


def test_the_runs_of_a_backfill_are_known_counted_and_listed_while_they_are_queued(store: Store) -> None:
    made = [a_run_in(LANE, due_at=TICK + n * MINUTE, run_at=None, backfill="b1") for n in range(3)]
    add(store, *made, a_run("another", backfill="b2"), a_run("own"))
    assert store.known_runs([made[0].id, "own", "none"]) == {made[0].id: "queued", "own": "queued"}
    assert store.known_runs([]) == {}
    assert store.release_lanes(NOW, [LANE]) == 1
    assert made[0].id in claim(store)
    assert store.count_backfill("b1") == {"queued": 2, "running": 1}
    queued = store.queued_of_backfill("b1", 5)
    assert {run.id for run in queued} == {run.id for run in made[1:]}
    assert len(store.queued_of_backfill("b1", 1)) == 1
    change = transitions.closed(runs.CANCELLED, NOW, reason="called off", run_at=None)
    assert store.change_runs([(run, change) for run in queued]) == set()
    assert store.count_backfill("b1") == {"cancelled": 2, "running": 1}
    assert store.queued_of_backfill("b1", 5) == []
