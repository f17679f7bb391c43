"""Do all stores keep the contract on runs that change, and on lanes?"""

import threading
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from cronlite.documents import checks, transitions
from cronlite.documents.runs import ABANDONED, CANCELLED, FAILED, QUEUED, SUCCEEDED, Changes, Outcome, Run
from cronlite.store.contract import ClaimQuery, Store
from cronlite.store.mongo import lanes as mongo_lanes
from cronlite.store.sqlite import lanes as sqlite_lanes
from tests.store.conftest import Open, all_at_once
from tests.store.samples import (
    HANDLERS,
    LANE,
    MINUTE,
    NOW,
    OTHER,
    SECOND,
    TICK,
    a_run,
    a_run_in,
    a_running,
    add,
    claim,
    stored,
)

# changing


def test_changes_set_fields_and_remove_those_that_are_none(store: Store) -> None:
    run = a_run_in(LANE)
    add(store, run)
    [won] = store.claim_runs("d1", ClaimQuery(HANDLERS, NOW, 1))
    later = NOW + SECOND
    changes = transitions.closed(SUCCEEDED, later, result={"rows": 3}, output="é\n", error=None)
    assert store.change_runs([(won, changes)]) == set()
    done: dict[str, Any] = {
        "state": SUCCEEDED,
        "finished_at": later,
        "expires_at": later + transitions.KEPT,
        "result": {"rows": 3},
    }
    assert stored(store, run) == replace(won, output="é\n", **done)
    again = a_running(LANE, due_at=TICK + MINUTE)
    add(store, again)
    assert store.change_runs([(again, transitions.queued_again(later))]) == set()
    assert stored(store, again) == replace(again, state=QUEUED, run_at=later, daemon=None, started_at=None)


def test_changing_nothing_loses_nothing(store: Store) -> None:
    assert store.change_runs([]) == set()


@pytest.mark.parametrize(
    "elsewhere",
    [
        {"state": ABANDONED, "finished_at": NOW},
        {"daemon": "d2"},
        {"attempt": 2},
        {"state": QUEUED, "daemon": None, "run_at": NOW},
    ],
)
def test_the_late_word_of_one_who_lost_a_run_changes_nothing(store: Store, elsewhere: dict[str, Any]) -> None:
    late, kept = a_running(LANE), a_running(OTHER)
    add(store, late, kept)
    assert store.change_runs([(late, elsewhere)]) == set()
    before = stored(store, late)
    outcome = transitions.closed(SUCCEEDED, NOW + SECOND, result="late")
    assert store.change_runs([(late, outcome), (kept, outcome)]) == {late.id}
    assert stored(store, late) == before
    assert stored(store, kept).state == SUCCEEDED


def test_a_change_of_a_run_that_is_gone_is_lost(store: Store) -> None:
    assert store.change_runs([(a_running(LANE), transitions.closed(SUCCEEDED, NOW))]) == {a_running(LANE).id}


@pytest.mark.parametrize(
    "changes",
    [
        transitions.closed(SUCCEEDED, NOW + SECOND, result=1),
        transitions.closed(FAILED, NOW + SECOND, error={"type": "E"}, failures=1),
        transitions.queued_again(NOW + SECOND, failures=1),
    ],
)
def test_a_change_whose_answer_was_lost_counts_as_made_the_second_time(store: Store, changes: dict[str, Any]) -> None:
    run = a_running(LANE)
    add(store, run)
    assert store.change_runs([(run, changes)]) == set()
    assert store.change_runs([(run, changes)]) == set()


def test_an_outcome_at_another_instant_is_another_outcome(store: Store) -> None:
    run = a_running(LANE)
    add(store, run)
    assert store.change_runs([(run, transitions.closed(SUCCEEDED, NOW))]) == set()
    assert store.change_runs([(run, transitions.closed(SUCCEEDED, NOW + SECOND))]) == {run.id}


def test_thousands_of_changes_are_told_apart(open_rival: Open) -> None:
    store = open_rival()
    many = [a_running(f"lane{number}") for number in range(1_500)]
    add(store, *many)
    gone = many[::100]
    assert store.change_runs([(run, transitions.closed(ABANDONED, NOW)) for run in gone]) == set()
    outcomes = [(run, transitions.closed(SUCCEEDED, NOW + SECOND, result=number)) for number, run in enumerate(many)]
    assert store.change_runs(outcomes) == {run.id for run in gone}
    assert stored(store, many[1_234]).result == 1_234


def test_runs_that_each_end_in_a_way_of_their_own_are_stored_so(open_rival: Open) -> None:
    store = open_rival()
    ends: list[tuple[Run, Changes]] = []
    for number in range(80):
        run, at = a_running(f"lane{number}", failures=1, attempt=2 + number % 2), NOW + number * SECOND
        error = {"type": "E", "message": "$state", "traceback": "$$ROOT"}
        ends += [
            (run, transitions.closed(SUCCEEDED, at, result={"of": "$_id", "n": number}, output="$literal")),
            (
                replace(run, id=f"{number}-failed", lane=None),
                transitions.closed(FAILED, at, result=None, error=error | {"message": str(number)}),
            ),
            (replace(run, id=f"{number}-again", lane=None), transitions.queued_again(at, failures=2, error=error)),
        ]
    before: Changes = {"output": "of before", "result": "of before"}
    add(store, *(replace(run, **before) for run, _ in ends))
    assert store.change_runs(ends) == set()
    for run, change in ends:
        assert stored(store, run) == replace(run, **(before | change))


def test_ends_that_are_together_too_large_for_one_operation_are_stored(open_rival: Open) -> None:
    store, many = open_rival(), [a_running(f"lane{number}") for number in range(60)]
    add(store, *many)
    digits = [1] * (checks.MAX_RESULT_BYTES // 2 - 10)
    ends = [(run, transitions.closed(SUCCEEDED, NOW, result=[*digits, number])) for number, run in enumerate(many)]
    assert store.change_runs(ends) == set()
    assert [stored(store, run).result[-1] for run in many] == list(range(60))


def test_results_that_are_equal_to_python_are_stored_each_as_it_is(store: Store) -> None:
    given = [1, True, 1.0, 1, [1], [1], {"a": 1}, "1", None]
    many = [a_running(f"lane{number}") for number in range(len(given))]
    add(store, *many)
    outcomes = [
        (run, transitions.closed(SUCCEEDED, NOW, result=result)) for run, result in zip(many, given, strict=True)
    ]
    assert store.change_runs(outcomes) == set()
    assert [repr(stored(store, run).result) for run in many] == [repr(result) for result in given]


def test_of_changes_that_are_alike_those_of_lost_runs_are_left_out_and_named(store: Store) -> None:
    many = [a_running(f"lane{number}") for number in range(9)]
    add(store, *many)
    gone, others, made = many[2:4], many[4], many[5]
    outcome = transitions.closed(SUCCEEDED, NOW, result="ok")
    assert store.change_runs([(run, {"daemon": "d2"}) for run in gone]) == set()
    assert store.change_runs([(others, {"attempt": 7}), (made, outcome)]) == set()
    assert store.change_runs([(run, outcome) for run in many]) == {run.id for run in [*gone, others]}
    ended = {run.id for run in many if stored(store, run).state == SUCCEEDED}
    assert ended == {run.id for run in many} - {run.id for run in [*gone, others]}


def test_of_all_who_close_a_run_one_succeeds(open_rival: Open) -> None:
    stores = [open_rival() for _ in range(6)]
    run = a_running(LANE)
    add(stores[0], run)
    lost = all_at_once(
        stores, lambda store, number: store.change_runs([(run, transitions.closed(FAILED, NOW + number * SECOND))])
    )
    assert sum(1 for mine in lost if not mine) == 1


def test_a_queued_run_is_cancelled_or_claimed_but_not_both(open_rival: Open) -> None:
    one, other = open_rival(), open_rival()
    for number in range(20):
        run = a_run(f"r{number}")
        add(one, run)
        start = threading.Barrier(2)

        def cancel_or_claim(store: Store, who: int, run: Run = run, start: threading.Barrier = start) -> bool:
            start.wait()
            if who == 0:
                return store.change_runs([(run, transitions.closed(CANCELLED, NOW))]) == set()
            return bool(claim(store))

        assert sorted(all_at_once([one, other], cancel_or_claim)) == [False, True]


# lanes


def test_the_oldest_waiting_run_of_a_free_lane_is_released(store: Store) -> None:
    waiting = [a_run_in(lane, run_at=None, due_at=TICK + n * MINUTE) for lane in (LANE, OTHER) for n in (2, 1, 3)]
    add(store, *waiting)
    assert store.release_lanes(NOW) == 2
    assert sorted(claim(store)) == sorted([waiting[1].id, waiting[4].id])
    assert stored(store, waiting[1]).run_at == NOW


@pytest.mark.parametrize(
    "ahead",
    [
        a_running(LANE),
        a_run_in(LANE),
        a_run_in(LANE, run_at=NOW + timedelta(hours=1), attempt=1, failures=1),
    ],
    ids=["running", "queued", "to be retried"],
)
def test_a_lane_with_something_at_work_releases_nothing(store: Store, ahead: Run) -> None:
    behind = a_run_in(LANE, run_at=None, due_at=TICK + MINUTE)
    add(store, ahead, behind)
    assert store.release_lanes(NOW) == 0
    assert store.change_runs([(ahead, transitions.closed(CANCELLED, NOW))]) == set()
    assert store.release_lanes(NOW) == 1
    assert claim(store) == [behind.id]


def test_releasing_goes_on_one_by_one(store: Store) -> None:
    waiting = [a_run_in(LANE, run_at=None, due_at=TICK + number * MINUTE) for number in range(3)]
    add(store, *waiting)
    for run in waiting:
        assert store.release_lanes(NOW) == 1
        assert store.release_lanes(NOW) == 0
        [won] = store.claim_runs("d1", ClaimQuery(HANDLERS, NOW, 10))
        assert won.id == run.id
        assert store.release_lanes(NOW) == 0
        assert store.change_runs([(won, transitions.closed(SUCCEEDED, NOW))]) == set()
    assert store.release_lanes(NOW) == 0


def test_a_lane_that_is_named_is_released_and_no_other(store: Store) -> None:
    waiting = [a_run_in(lane, run_at=None, due_at=TICK + MINUTE) for lane in (LANE, OTHER, "third")]
    add(store, a_running(LANE), *waiting)
    assert store.release_lanes(NOW, [LANE, "third", "unknown"]) == 1
    assert claim(store) == [waiting[2].id]
    assert store.release_lanes(NOW, []) == 0


def test_a_sweep_of_the_lanes_goes_on_where_the_one_before_ended(
    open_rival: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_rival()  # mongomock's groups come in an order of their own
    for lanes in (mongo_lanes, sqlite_lanes):
        monkeypatch.setattr(lanes, "_LANES", 2)
        monkeypatch.setattr(lanes, "_PAGE", 1)
    busy = [a_running(f"lane{number}") for number in range(4)]
    behind = [a_run_in(f"lane{number}", run_at=None, due_at=TICK + MINUTE) for number in range(4)]
    add(store, *busy, *behind, *(a_run_in(lane, run_at=None) for lane in (LANE, OTHER)))
    assert sum(store.release_lanes(NOW) for _ in range(4)) == 2
    assert sorted(claim(store)) == sorted([a_run_in(LANE).id, a_run_in(OTHER).id])


def test_of_all_who_release_a_lane_one_succeeds(open_rival: Open) -> None:
    stores = [open_rival() for _ in range(6)]
    add(stores[0], *(a_run_in(f"lane{n}", run_at=None, due_at=TICK + m * MINUTE) for n in range(5) for m in range(3)))
    released = all_at_once(stores, lambda store, _: store.release_lanes(NOW))
    assert sum(released) == 5


# the whole way


def test_a_run_that_fails_once_is_retried_to_its_end(store: Store, seed: Any) -> None:
    add(store, a_run_in(LANE, retries=1, retry_delay_seconds=0))
    [first] = store.claim_runs("d1", ClaimQuery(HANDLERS, NOW, 1))
    failed = transitions.settled(first, Outcome(FAILED, error={"type": "E"}), NOW, seed)
    assert store.change_runs([(first, failed)]) == set()
    [second] = store.claim_runs("d2", ClaimQuery(HANDLERS, NOW + SECOND, 1))
    assert (second.attempt, second.failures, second.error) == (2, 1, {"type": "E"})
    done = transitions.settled(second, Outcome(SUCCEEDED, result=1), NOW + SECOND, seed)
    assert store.change_runs([(second, done)]) == set()
    last = stored(store, second)
    assert (last.state, last.result, last.error, last.daemon) == (SUCCEEDED, 1, None, "d2")
    assert [(attempt.state, attempt.started_at, attempt.daemon, attempt.error) for attempt in last.attempts] == [
        (FAILED, NOW, "d1", {"type": "E"}),
        (SUCCEEDED, NOW + SECOND, "d2", None),
    ]
