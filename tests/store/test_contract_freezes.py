"""What must a store do with freezes, and with the runs that they hold back?"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from cronlite.client.doctor import doctor
from cronlite.documents import new_runs, runs, schedules, transitions
from cronlite.documents.freezes import NEVER, Freeze
from cronlite.documents.runs import Run
from cronlite.store.contract import Store
from tests.store.samples import LANE, MINUTE, NOW, OTHER, SECOND, TICK, a_run, a_run_in, add, claim, stored


def a_freeze(id: str = "f1", **given: Any) -> Freeze:
    return Freeze(id=id, **{"from_at": NOW, "actor": "ann", "created_at": NOW, **given})


def a_record(schedule: str, minutes: int = 0, freeze: str = "f1") -> Run:
    made = schedules.new(now=NOW - 60 * MINUTE).changed(minute=30)
    return new_runs.frozen(replace(made, id=schedule), TICK + minutes * MINUTE, NOW, a_freeze(freeze))


def test_a_freeze_comes_back_as_it_was_stored(store: Store) -> None:
    whole = a_freeze("whole", until_at=NOW + MINUTE, tag="a", user="eve", handler="extract", queue="slow")
    whole = replace(whole, reason="moving", afterwards="run", hold=True, way="cli", thawed_by="bob", done_at=NOW)
    for freeze in (whole, a_freeze("least")):
        store.add_freeze(freeze)
    assert {freeze.id: freeze for freeze in store.freezes()} == {"whole": whole, "least": a_freeze("least")}


def test_those_are_listed_that_end_later_or_that_nobody_has_ended(store: Store) -> None:
    over = a_freeze("over", until_at=NOW + MINUTE, done_at=NOW + 2 * MINUTE)
    for freeze in (over, a_freeze("to end", until_at=NOW + MINUTE), a_freeze("open", from_at=NOW + SECOND)):
        store.add_freeze(freeze)
    assert [freeze.id for freeze in store.freezes()] == ["open", "to end", "over"]
    assert [freeze.id for freeze in store.freezes(NOW + MINUTE)] == ["open", "to end"]
    assert [freeze.id for freeze in store.freezes(NOW + MINUTE - SECOND)] == ["open", "to end", "over"]


def test_a_freeze_is_changed_only_as_it_was_found(store: Store) -> None:
    freeze = a_freeze()
    store.add_freeze(freeze)
    assert store.change_freeze(freeze, {"until_at": NOW + MINUTE, "thawed_by": "bob"})
    assert not store.change_freeze(freeze, {"until_at": NOW})
    [found] = store.freezes()
    assert (found.until_at, found.thawed_by) == (NOW + MINUTE, "bob")
    assert store.change_freeze(found, {"done_at": NOW, "expires_at": NOW + MINUTE})
    assert not store.change_freeze(found, {"done_at": None})


def test_expired_freezes_are_pruned_and_others_are_not(store: Store) -> None:
    for freeze in (a_freeze("old", expires_at=NOW), a_freeze("new", expires_at=NOW + SECOND), a_freeze("open")):
        store.add_freeze(freeze)
    assert store.prune_freezes(NOW) == 1
    assert {freeze.id for freeze in store.freezes()} == {"new", "open"}
    assert (store.remove_freeze("new"), store.remove_freeze("new")) == (True, False)


def test_one_that_was_edited_into_nonsense_holds_nothing_back_and_is_named(store: Store) -> None:
    store.add_freeze(a_freeze("sound"))
    store.add_freeze(a_freeze("broken"))
    assert store.change_freeze(a_freeze("broken"), {"reason": "two\nlines"})
    assert [freeze.id for freeze in store.freezes()] == ["sound"]
    assert store.broken_freezes() == ["broken"]
    assert [one.subject for one in doctor(store) if "holds nothing back" in one.problem] == ["freeze broken"]


def test_the_last_run_that_was_held_back_is_found_whatever_became_of_it(store: Store) -> None:
    last = a_record(LANE, 3)
    add(store, a_record(LANE, 1), last, a_record(LANE, 2), a_record(LANE, 4, "f2"), a_record(OTHER, 1))
    assert {id: run.due_at for id, run in store.held_back(["f1"], [LANE, OTHER, "none"]).items()} == {
        LANE: TICK + 3 * MINUTE,
        OTHER: TICK + MINUTE,
    }
    assert store.held_back(["f1", "f2"], [LANE])[LANE].due_at == TICK + 4 * MINUTE
    assert store.change_runs([(last, transitions.made_up(NOW, waits=False))]) == set()
    assert store.held_back(["f1"], [LANE])[LANE].state == runs.QUEUED
    assert store.change_runs([(last, transitions.made_up(NOW, waits=False))]) == set(), "made already"
    assert claim(store, handlers=["default"]) == [last.id]
    assert store.change_runs([(last, transitions.made_up(NOW, waits=False))]) == {last.id}


@pytest.mark.parametrize(
    ("picks", "ids", "held"),
    [
        ({"user": "eve"}, None, {"of eve"}),
        ({"handler": "load"}, None, {"load"}),
        ({"queue": "slow"}, None, {"slow"}),
        ({"queue": "default"}, None, {"of eve", "load", f"{LANE}@2026-11-21T02:30Z"}),
        ({"tag": "a"}, [LANE], {f"{LANE}@2026-11-21T02:30Z"}),
        ({}, None, {"of eve", "load", "slow", f"{LANE}@2026-11-21T02:30Z"}),
    ],
)
def test_queued_runs_that_it_picks_wait_for_its_end(
    store: Store, picks: dict[str, str], ids: list[str] | None, held: set[str]
) -> None:
    ready = [a_run("of eve", user="eve"), a_run("load", handler="load"), a_run("slow", queue="slow"), a_run_in(LANE)]
    later, waiting = a_run("later", run_at=NOW + MINUTE), a_run_in(OTHER, run_at=None)
    add(store, *ready, later, waiting)
    assert store.hold_runs(a_freeze(**picks), NOW, NEVER, ids) == len(held)
    assert store.hold_runs(a_freeze(**picks), NOW, NEVER, ids) == 0
    free = {run.id for run in ready} - held
    assert set(claim(store, handlers=["extract", "load"])) == free
    assert {(stored(store, id).run_at, stored(store, id).freeze) for id in held} == {(NEVER, "f1")}
    assert (stored(store, later).run_at, stored(store, waiting).run_at) == (NOW + MINUTE, None)
    assert store.release_held("f1", NOW) == len(held)
    assert set(claim(store, handlers=["extract", "load"])) == held
