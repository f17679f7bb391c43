"""Do all stores keep the contract on runs that are added, claimed and listed?"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from cronlite.documents import ids, transitions
from cronlite.documents.runs import CANCELLED, FAILED, QUEUED, RUNNING, SUCCEEDED, Run
from cronlite.store.contract import ClaimQuery, RunQuery, Store
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
    claimed,
    stored,
)

# adding and finding


def test_a_run_is_given_back_as_it_was_added(store: Store) -> None:
    run = a_run_in(
        LANE,
        user="Åsa",
        params={"a": [1, 2.5, None, {"b": "漢字 👩‍🚀"}]},
        key="k",
        overlap="wait",
        retries=3,
        retry_delay_seconds=0.5,
        timeout_seconds=10,
        on_crash="abandon",
        retry_of="another",
    )
    add(store, run)
    assert stored(store, run) == run


def test_a_finished_run_is_given_back_whole(store: Store) -> None:
    run = a_run(
        state=FAILED,
        attempt=2,
        crashes=1,
        failures=1,
        daemon="d1",
        run_at=None,
        started_at=NOW,
        finished_at=NOW + SECOND,
        expires_at=NOW + timedelta(days=3000),
        result={"rows": [1, 2, 3]},
        error={"type": "ValueError", "message": "é"},
        output="a\nb\t☃",
        reason="because",
    )
    add(store, run)
    assert stored(store, run) == run


def test_an_unknown_id_finds_no_run(store: Store) -> None:
    assert store.run("nothing") is None
    assert store.run(ids.new_id()) is None


def test_adding_nothing_refuses_nothing(store: Store) -> None:
    assert store.add_runs([]) == set()


def test_the_run_of_a_schedule_at_a_tick_is_added_once(store: Store) -> None:
    first, second, third = a_run_in(LANE), a_run_in(LANE, due_at=TICK + MINUTE), a_run_in(OTHER)
    add(store, first)
    assert store.add_runs([third, replace(first, user="else"), second]) == {first.id}
    assert stored(store, first) == first
    assert stored(store, second) == second
    assert stored(store, third) == third


def test_a_key_is_held_by_one_queued_run(store: Store) -> None:
    first, second, third = a_run(key="k"), a_run(key="k"), a_run(key="other")
    assert store.add_runs([first, second, third]) == {second.id}
    assert store.run_with_key("k") == first
    assert store.run_with_key("nobody's") is None


def test_a_key_is_free_again_from_the_first_claim_on(store: Store) -> None:
    first, second = a_run(key="k"), a_run(key="k", run_at=NOW + MINUTE)
    add(store, first)
    assert claim(store) == [first.id]
    assert store.run_with_key("k") is None
    add(store, second)
    assert store.change_runs([(claimed(first), transitions.queued_again(NOW))]) == set()
    assert store.run_with_key("k") == second
    assert stored(store, first).key == "k"


def test_a_cancelled_run_gives_its_key_back(store: Store) -> None:
    run = a_run(key="k")
    add(store, run)
    assert store.change_runs([(run, transitions.closed(CANCELLED, NOW))]) == set()
    add(store, a_run(key="k"))


def test_a_run_born_running_is_refused_while_its_lane_is_busy(store: Store) -> None:
    first = a_running(LANE)
    second, elsewhere = a_running(LANE, due_at=TICK + MINUTE), a_running(OTHER)
    add(store, first)
    assert store.add_runs([second, elsewhere]) == {second.id}
    assert store.run(second.id) is None
    assert stored(store, elsewhere) == elsewhere


def test_thousands_of_runs_are_added_and_claimed(open_rival: Open) -> None:
    store = open_rival()
    many = [a_run(f"r{number:04}", run_at=NOW - SECOND + number * SECOND / 10_000) for number in range(2_500)]
    add(store, *many)
    assert claim(store, limit=10_000) == [run.id for run in many]


def test_among_many_the_refused_are_told_and_all_others_added(store: Store) -> None:
    add(store, a_running("lane-50"), a_run(key="k"))
    many = [a_running(f"lane-{number}", due_at=TICK + MINUTE) for number in range(100)]
    many += [a_run(f"r{number}", key="k" if number == 7 else None) for number in range(20)] + [many[3]]
    assert store.add_runs(many) == {many[50].id, "r7", many[3].id}
    assert {run.id for run in store.runs(RunQuery(states=[RUNNING], daemon="d1"))} == {
        run.id for run in many[:100] if run.lane != "lane-50"
    } | {a_running("lane-50").id}
    assert [number for number in range(20) if store.run(f"r{number}")] == [n for n in range(20) if n != 7]


def test_among_many_those_of_busy_lanes_wait_and_all_others_are_claimed(store: Store) -> None:
    busy = [f"lane-{number}" for number in (0, 13, 14, 59)]
    add(store, *map(a_running, busy))
    many = [a_run_in(f"lane-{number}", due_at=TICK + MINUTE, run_at=NOW - SECOND) for number in range(60)]
    second = a_run_in("lane-30", due_at=TICK + 2 * MINUTE)
    add(store, *many, second)
    blocked = {run.id for run in many if run.lane in busy} | {second.id}
    assert set(claim(store, limit=100)) == {run.id for run in many} - blocked
    assert {run.id for run in store.runs(RunQuery(states=[QUEUED])) if run.run_at is None} == blocked


def test_of_each_lane_at_work_the_run_due_last_is_told(store: Store) -> None:
    queued, waiting = a_run_in(LANE), a_run_in(LANE, due_at=TICK + MINUTE, run_at=None)
    running, done = a_running(OTHER), a_running(OTHER, due_at=TICK + MINUTE, state=SUCCEEDED)
    behind, ahead = a_run_in("both", due_at=TICK - MINUTE), a_running("both")
    add(store, waiting, queued, running, done, behind, ahead, a_run_in("third"), a_run())
    found = store.at_work([LANE, OTHER, "both", "nobody"])
    assert {run.lane: run for run in found} == {LANE: waiting, OTHER: running, "both": ahead}
    assert len(found) == 3
    assert store.at_work([]) == []


# claiming


def test_a_claim_sets_state_daemon_attempt_and_start(store: Store) -> None:
    run = a_run_in(LANE, key="k")
    add(store, run)
    [won] = store.claim_runs("d1", ClaimQuery(HANDLERS, NOW, 10))
    assert won == claimed(run)
    assert stored(store, run) == won


def test_a_claim_ends_at_the_first_run_that_is_not_to_be_claimed(store: Store) -> None:
    queued = [a_run(f"r{number}") for number in range(5)]
    add(store, *queued)
    asked: list[list[str]] = []

    def three(following: Sequence[Run]) -> int:
        asked.append([run.id for run in following])
        return 3

    assert [run.id for run in store.claim_runs("d1", ClaimQuery(HANDLERS, NOW, 5, count=three))] == ["r0", "r1", "r2"]
    assert asked == [["r0", "r1", "r2", "r3", "r4"]]
    assert [stored(store, run) for run in queued[3:]] == queued[3:]
    assert store.claim_runs("d1", ClaimQuery(HANDLERS, NOW, 10, count=lambda _: 0)) == []
    assert claim(store, "d2") == ["r3", "r4"]


def test_the_oldest_run_at_is_claimed_first(store: Store) -> None:
    many = [a_run(f"r{number}", run_at=NOW - number * SECOND) for number in range(5)]
    add(store, *many)
    assert claim(store, limit=2) == ["r4", "r3"]
    assert claim(store, limit=2) == ["r2", "r1"]
    assert claim(store, limit=2) == ["r0"]
    assert claim(store, limit=2) == []


def test_nothing_is_claimed_before_its_time_nor_while_it_waits(store: Store) -> None:
    add(store, a_run(run_at=NOW + SECOND / 1000), a_run_in(LANE, run_at=None), a_run("due"))
    assert claim(store) == ["due"]


def test_only_runs_of_known_handlers_are_claimed(store: Store) -> None:
    add(store, a_run("one"), a_run("two", handler="load"), a_run("three", handler="unknown"))
    assert sorted(claim(store, handlers=["load", "extract"], limit=5)) == ["one", "two"]
    assert claim(store, handlers=[]) == []


def test_a_limit_of_nothing_claims_nothing(store: Store) -> None:
    add(store, a_run())
    assert claim(store, limit=0) == []


def test_a_run_whose_lane_is_busy_waits_and_the_next_one_is_claimed(store: Store) -> None:
    blocked = a_run_in(LANE, due_at=TICK + MINUTE, run_at=NOW - MINUTE)
    add(store, a_running(LANE), blocked, a_run("free"))
    assert claim(store, limit=1) == ["free"]
    waiting = stored(store, blocked)
    assert waiting == replace(blocked, run_at=None)


def test_of_two_queued_runs_of_a_lane_one_is_claimed(store: Store) -> None:
    first = a_run_in(LANE, run_at=NOW - SECOND)
    second = a_run_in(LANE, due_at=TICK + MINUTE)
    add(store, second, first)
    assert claim(store) == [first.id]
    assert stored(store, second).run_at is None
    assert stored(store, second).state == QUEUED


def test_runs_without_a_lane_go_side_by_side(store: Store) -> None:
    add(store, *(a_run_in(LANE, lane=None, due_at=TICK + number * MINUTE) for number in range(3)))
    assert len(claim(store)) == 3


def test_a_second_claim_is_a_second_attempt(store: Store) -> None:
    run = a_run()
    add(store, run)
    [first] = store.claim_runs("d1", ClaimQuery(HANDLERS, NOW, 1))
    assert store.change_runs([(first, transitions.queued_again(NOW))]) == set()
    [second] = store.claim_runs("d2", ClaimQuery(HANDLERS, NOW, 1))
    assert (second.attempt, second.daemon) == (2, "d2")


def test_every_run_is_claimed_by_one_of_all_who_try(open_rival: Open) -> None:
    stores = [open_rival() for _ in range(6)]
    add(stores[0], *(a_run(f"r{number:03}") for number in range(300)))

    def claim_all(store: Store, number: int) -> list[str]:
        mine: list[str] = []
        while won := claim(store, f"d{number}", limit=20):
            mine += won
        return mine

    won = all_at_once(stores, claim_all)
    assert sorted(id for mine in won for id in mine) == [f"r{number:03}" for number in range(300)]
    for number, mine in enumerate(won):
        assert {stored(stores[0], id).daemon for id in mine} <= {f"d{number}"}


def test_two_threads_of_one_daemon_never_get_the_same_run(open_rival: Open) -> None:
    store = open_rival()
    add(store, *(a_run(f"r{number:03}") for number in range(200)))
    won = all_at_once([store] * 4, lambda store, _: claim(store, "d1", limit=200))
    assert sorted(id for mine in won for id in mine) == [f"r{number:03}" for number in range(200)]


def test_a_lane_is_never_at_work_twice_whoever_claims(open_rival: Open) -> None:
    stores = [open_rival() for _ in range(6)]
    lanes = [f"lane{number}" for number in range(10)]
    add(stores[0], *(a_run_in(lane, due_at=TICK + number * MINUTE) for lane in lanes for number in range(6)))
    all_at_once(stores, lambda store, number: claim(store, f"d{number}", limit=60))
    running = list(stores[0].runs(RunQuery(states=[RUNNING])))
    assert sorted(run.lane or "" for run in running) == lanes
    assert all(run.run_at is None for run in stores[0].runs(RunQuery(states=[QUEUED])))


def test_of_all_who_add_the_same_runs_one_succeeds_for_each(open_rival: Open) -> None:
    stores = [open_rival() for _ in range(6)]
    many = [a_run_in(f"lane{number}") for number in range(50)]
    refused = all_at_once(stores, lambda store, _: store.add_runs(many))
    added = [run.id for mine in refused for run in many if run.id not in mine]
    assert sorted(added) == sorted(run.id for run in many)


def test_of_all_who_enqueue_with_the_same_key_one_succeeds(open_rival: Open) -> None:
    stores = [open_rival() for _ in range(6)]
    refused = all_at_once(stores, lambda store, _: store.add_runs([a_run(key="k")]))
    assert sum(1 for mine in refused if not mine) == 1


# listing and counting


def test_runs_are_listed_the_last_queued_first(store: Store) -> None:
    many = [a_run(f"r{number}", queued_at=NOW + number * SECOND) for number in (2, 0, 3, 1)]
    add(store, *many)
    assert [run.id for run in store.runs(RunQuery())] == ["r3", "r2", "r1", "r0"]
    assert [run.id for run in store.runs(RunQuery(limit=2))] == ["r3", "r2"]
    assert [run.id for run in store.runs(RunQuery(limit=0))] == []


@pytest.mark.parametrize(
    ("query", "found"),
    [
        (RunQuery(schedule=LANE), {"scheduled", "done"}),
        (RunQuery(schedule=OTHER), set()),
        (RunQuery(user="ann"), {"ann's"}),
        (RunQuery(user=".*"), set()),
        (RunQuery(user=""), {"scheduled", "done", "other handler", "running"}),
        (RunQuery(handler="load"), {"other handler"}),
        (RunQuery(states=[QUEUED]), {"scheduled", "ann's", "other handler"}),
        (RunQuery(states=[QUEUED, RUNNING]), {"scheduled", "ann's", "other handler", "running"}),
        (RunQuery(states={SUCCEEDED}), {"done"}),
        (RunQuery(states=[]), set()),
        (RunQuery(daemon="d1"), {"done", "running"}),
        (RunQuery(daemon="d1", states=[RUNNING]), {"running"}),
        (RunQuery(since=NOW + SECOND), {"done"}),
        (RunQuery(since=NOW + SECOND + SECOND / 1000), set()),
        (RunQuery(prefix="r"), {"running"}),
        (RunQuery(prefix="running"), {"running"}),
        (RunQuery(prefix=""), {"scheduled", "done", "ann's", "other handler", "running"}),
        (RunQuery(prefix="%"), set()),
        (RunQuery(prefix="_"), set()),
        (RunQuery(prefix="."), set()),
    ],
    ids=lambda asked: str(asked) if isinstance(asked, RunQuery) else None,
)
def test_runs_are_found_by_what_is_asked(store: Store, query: RunQuery, found: set[str]) -> None:
    add(
        store,
        a_run("scheduled", schedule=LANE),
        a_run("done", schedule=LANE, state=SUCCEEDED, daemon="d1", queued_at=NOW + SECOND),
        a_run("ann's", user="ann"),
        a_run("other handler", handler="load"),
        a_run("running", state=RUNNING, daemon="d1", attempt=1),
    )
    assert {run.id for run in store.runs(query)} == found


def test_the_runs_at_work_are_counted_by_state_and_handler(store: Store) -> None:
    assert store.count_runs() == {}
    add(store, a_run(), a_run(), a_run(handler="load"), a_running(LANE), a_run(state=SUCCEEDED), a_run(run_at=None))
    assert store.count_runs() == {(QUEUED, "extract"): 3, (QUEUED, "load"): 1, (RUNNING, "extract"): 1}


def test_the_queued_runs_are_counted_by_queue(store: Store) -> None:
    assert store.count_queues() == {}
    add(store, a_run(), a_run(), a_run(queue="mail"), a_running(LANE, queue="mail"), a_run(state=SUCCEEDED))
    assert store.count_queues() == {"default": 2, "mail": 1}


def test_the_next_start_is_the_earliest_of_these_handlers(store: Store) -> None:
    assert store.next_run_at(HANDLERS) is None
    later = a_run(run_at=NOW + MINUTE)
    add(store, later, a_run(run_at=None), a_run(handler="load", run_at=NOW), a_running(LANE, run_at=NOW))
    assert store.next_run_at(HANDLERS) == NOW + MINUTE
    assert store.next_run_at(["extract", "load"]) == NOW
    assert store.next_run_at(["unknown"]) is None
    assert store.next_run_at([]) is None
