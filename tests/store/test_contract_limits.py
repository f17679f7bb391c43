"""Do all stores keep limits, and give the runs that wait out in the order of their priorities?"""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest

from cronlite.documents import limits, transitions
from cronlite.documents.limits import Limit, free_slots
from cronlite.documents.runs import QUEUED, RUNNING, SUCCEEDED, Run
from cronlite.store import turns
from cronlite.store.contract import ClaimQuery, Store, UnsentQuery
from tests.store.conftest import Open, all_at_once
from tests.store.samples import HANDLERS, LANE, MINUTE, NOW, OTHER, SECOND, a_run, a_run_in, add, stored


def set_limit(store: Store, most: int, name: str = "api") -> None:
    store.set_limit(limits.new(name, most, NOW))


def queue(store: Store, count: int, name: str = "r", **given: object) -> list[Run]:
    waiting = [a_run(f"{name}{n:03}", **{"limit": "api", **given}) for n in range(count)]
    add(store, *waiting)
    return waiting


def claim(store: Store, limit: int = 100, daemon: str = "d1", users: Sequence[str] = ()) -> list[Run]:
    return store.claim_runs(daemon, ClaimQuery(HANDLERS, NOW, limit, users=users))


def end(store: Store, *ended: Run) -> None:
    assert store.change_runs([(run, transitions.closed(SUCCEEDED, NOW)) for run in ended]) == set()


def slots(store: Store) -> list[object]:
    """Read the slots of the runs that are running."""
    if hasattr(store, "_read"):
        return sorted(slot for (slot,) in store._read("SELECT slot FROM runs WHERE state = 'running'"))
    running = store._runs.find({"state": RUNNING})  # type: ignore[attr-defined]
    return sorted(run["slot"] for run in running)


def names(some: Sequence[Run]) -> list[str]:
    return [run.id for run in some]


# what is stored


def test_a_limit_is_set_changed_listed_and_removed(store: Store) -> None:
    assert store.limits() == []
    first, other = limits.new("api", 3, NOW, "ann"), limits.new("mail", 0, NOW)
    store.set_limit(other)
    store.set_limit(limits.new("api", 7, NOW))
    store.set_limit(first)
    assert store.limits() == [first, other]
    assert store.limits(["mail", "none"]) == [other]
    assert (store.remove_limit("api"), store.remove_limit("api")) == (True, False)
    assert store.limits() == [other]


def test_a_run_keeps_its_limit_and_priority(store: Store) -> None:
    run = a_run(limit="api", priority=9)
    add(store, run)
    assert stored(store, run) == run
    plain = a_run()
    add(store, plain)
    assert (stored(store, plain).limit, stored(store, plain).priority) == (None, 5)


# never more than the limit


def test_no_more_than_the_limit_are_claimed_and_the_rest_waits_unchanged(store: Store) -> None:
    set_limit(store, 3)
    waiting = queue(store, 10)
    claimed = claim(store)
    assert names(claimed) == names(waiting[:3])
    assert slots(store) == [0, 1, 2], "which no two runs can have"
    assert claim(store, daemon="d2") == []
    assert store.count_limited(["api", "mail"]) == {"api": 3}
    assert (store.count_waiting("api", 100), store.count_waiting("api", 4)) == (7, 4)
    assert store.queued_limits() == {"api"}
    assert stored(store, waiting[3]) == waiting[3]
    end(store, *claimed[:2])
    assert names(claim(store, daemon="d2")) == names(waiting[3:5])


def test_what_waits_for_a_limit_is_in_nobodys_way(store: Store) -> None:
    set_limit(store, 1)
    queue(store, 120, run_at=NOW - MINUTE)
    claim(store, 1)
    others = queue(store, 5, "plain", limit=None)
    assert names(claim(store, 3)) == names(others[:3])
    assert names(claim(store, 3)) == names(others[3:])


def test_limits_do_not_count_for_each_other(store: Store) -> None:
    set_limit(store, 1)
    set_limit(store, 2, "mail")
    queue(store, 3)
    queue(store, 3, "m", limit="mail")
    assert sorted(names(claim(store))) == ["m000", "m001", "r000"]


def test_a_name_without_a_limit_restricts_nothing_until_one_is_set(store: Store) -> None:
    queue(store, 5)
    first = claim(store, 3)
    assert len(first) == 3
    set_limit(store, 2)
    assert claim(store) == [], "those at work count, though no limit was set when they began"
    end(store, *first[:2])
    assert len(claim(store)) == 1


def test_a_raised_limit_lets_more_start_and_a_lowered_one_none_until_fewer_are_at_work(store: Store) -> None:
    set_limit(store, 2)
    queue(store, 20)
    at_work = claim(store)
    set_limit(store, 5)
    at_work += claim(store)
    assert len(at_work) == 5
    set_limit(store, 3)
    for left in (4, 3):
        end(store, at_work.pop(0))
        assert (claim(store), len(at_work)) == ([], left)
    end(store, at_work.pop(0))
    assert len(claim(store)) == 1


def test_a_limit_of_none_lets_none_start(store: Store) -> None:
    set_limit(store, 0)
    queue(store, 3)
    assert claim(store) == []


def test_a_run_that_comes_back_to_the_queue_gives_its_slot_away(store: Store) -> None:
    set_limit(store, 1)
    first, second = queue(store, 2)
    (claimed,) = claim(store)
    assert store.change_runs([(claimed, transitions.queued_again(NOW + MINUTE))]) == set()
    assert names(claim(store)) == [second.id]
    assert stored(store, first).state == QUEUED


def test_runs_that_are_named_take_slots_too(store: Store) -> None:
    set_limit(store, 1)
    waiting = queue(store, 3)
    query = ClaimQuery(HANDLERS, NOW, 3, ids=names(waiting[1:]))
    assert names(store.claim_runs("worker", query)) == [waiting[1].id]
    assert store.claim_runs("worker", query) == []
    assert stored(store, waiting[2]).run_at == NOW


def test_a_limit_and_a_lane_both_hold(store: Store) -> None:
    set_limit(store, 2)
    ticks = [NOW - n * MINUTE for n in (3, 2, 1)]
    mine = [a_run_in(LANE, due_at=tick, limit="api", run_at=NOW - SECOND) for tick in ticks]
    other = a_run_in(OTHER, limit="api")
    add(store, *mine, other)
    claimed = claim(store)
    assert {run.lane for run in claimed} == {LANE, OTHER}
    waiting = [run for run in mine if run.id not in names(claimed)]
    assert [stored(store, run).run_at for run in waiting] == [None, None], "for their lane"
    end(store, *claimed)
    assert store.release_lanes(NOW, [LANE]) == 1
    assert len(claim(store)) == 1


def test_a_run_that_lost_its_slot_to_another_is_still_ready(open_rival: Open) -> None:
    stores = [open_rival() for _ in range(4)]
    set_limit(stores[0], 3)
    queue(stores[0], 40)
    for _ in range(6):
        claimed = all_at_once(stores, lambda store, n: claim(store, daemon=f"d{n}"))
        won = list(itertools.chain.from_iterable(claimed))
        assert len(won) == len(set(names(won))) <= 3
        assert stores[0].count_limited(["api"]) == {"api": len(won)}
        end(stores[0], *won)
    assert all(stored(stores[0], f"r{n:03}").run_at == NOW for n in range(40))


def test_never_more_than_the_limit_whatever_is_changed_meanwhile(open_rival: Open, seed: random.Random) -> None:
    stores = [open_rival() for _ in range(3)]
    set_limit(stores[0], 3)
    queue(stores[0], 120)
    at_work: list[Run] = []
    for _ in range(12):
        claimed = all_at_once(stores, lambda store, n: claim(store, seed.randint(1, 5), f"d{n}"))
        at_work += itertools.chain.from_iterable(claimed)
        most = stores[0].limits()[0].most
        begun = sum(map(len, claimed))
        assert begun == 0 or len(at_work) <= most, (len(at_work), most)
        set_limit(stores[0], seed.randint(1, 5))
        seed.shuffle(at_work)
        ended, at_work = at_work[: (half := seed.randint(0, len(at_work)))], at_work[half:]
        end(stores[0], *ended)


@pytest.mark.parametrize(
    ("most", "taken", "free"),
    [
        (3, [], [0, 1, 2]),
        (3, [1], [0, 2]),
        (3, [0, 1, 2], []),
        (3, [3], [0, 1]),
        (3, [4, 3, 0], []),
        (2, [2, 1], []),
        (3, [3, 2], [0]),
        (3, ["some run", 0], [1]),
        (3, [None, None], [0]),
        (0, [], []),
    ],
)
def test_slots_above_a_lowered_limit_count(most: int, taken: list[object], free: list[int]) -> None:
    assert free_slots(most, taken) == free


def test_a_lowered_limit_holds_whoever_looks_at_the_slots_when(seed: random.Random) -> None:
    """Claims go by what they saw a while ago, and the store refuses only a slot that is taken."""
    for _ in range(300):
        before, most = seed.randint(1, 8), seed.randint(0, 5)
        taken = set(seed.sample(range(before), seed.randint(0, before)))
        looks = [sorted(taken)]
        for _ in range(20):
            if seed.random() < 0.5 and taken:
                taken.discard(seed.choice(sorted(taken)))
            else:
                free = free_slots(most, seed.choice(looks[-4:]))[: seed.randint(1, 3)]
                fresh = set(free) - taken
                taken |= fresh
                assert not fresh or len(taken) <= most, (most, looks, sorted(taken))
            looks.append(sorted(taken))


# in the order of waiting


def order(store: Store, limit: int = 100, *, after_a_wait: bool = False) -> list[str]:
    if after_a_wait:
        store.next_run_at(HANDLERS)  # as a daemon asks that has nothing to do
    return names(claim(store, limit))


def test_a_higher_priority_comes_first_by_a_minute_for_each_step(store: Store) -> None:
    def waiting(name: str, priority: int, since: timedelta) -> Run:
        return a_run(name, priority=priority, run_at=NOW - since)

    add(
        store,
        waiting("plain", 5, timedelta(0)),
        waiting("first", 9, timedelta(0)),
        waiting("three minutes", 5, 3 * MINUTE),
        waiting("five minutes", 5, 5 * MINUTE),
        waiting("low", 0, 4 * MINUTE),
        waiting("low for long", 0, 20 * MINUTE),
    )
    # By now less run_at, and a minute for each step from 5: 15, 5, 4, 3, 0 and -1.
    expected = ["low for long", "five minutes", "first", "three minutes", "plain", "low"]
    assert [*order(store, 2), *order(store, 1), *order(store)] == expected


def test_no_priority_starves_another(store: Store) -> None:
    add(store, a_run("low", priority=0, run_at=NOW - 10 * MINUTE))
    add(store, *(a_run(f"high{n:02}", priority=9, run_at=NOW - n * SECOND) for n in range(50)))
    assert order(store, 1) == ["low"], "it came more than nine minutes before all of them"


def test_priority_orders_those_that_wait_for_a_limit(store: Store) -> None:
    set_limit(store, 2)
    queue(store, 3, run_at=NOW - SECOND)
    queue(store, 3, "urgent", priority=9)
    assert order(store) == ["urgent000", "urgent001"]


def test_users_take_turns_at_a_limit_each_with_its_first(store: Store) -> None:
    set_limit(store, 4)
    queue(store, 50, "eve", user="eve", run_at=NOW - MINUTE)
    queue(store, 2, "bob", user="bob")
    queue(store, 1, "urgent", user="bob", priority=8)
    assert names(claim(store, 10, users=["bob", "eve"])) == ["urgent000", "eve000", "bob000", "eve001"]


@pytest.mark.parametrize("after_a_wait", [False, True])
def test_the_order_is_that_of_one_list_however_it_is_spread(
    store: Store, seed: random.Random, after_a_wait: bool
) -> None:
    def some(n: int) -> Run:
        run_at = NOW - seed.randint(0, 700) * SECOND
        return a_run(f"{n:03}", priority=seed.randint(0, 9), run_at=run_at, limit=seed.choice([None, "big", "unset"]))

    set_limit(store, 500, "big")
    waiting = [some(n) for n in range(60)]
    add(store, *waiting)

    def place(run: Run) -> tuple[datetime, str]:
        return (run.run_at or NOW) - (run.priority - 5) * MINUTE, run.id

    expected = names(sorted(waiting, key=place))
    told = [order(store, limit, after_a_wait=after_a_wait) for limit in (7, 20, 100)]
    assert [id for part in told for id in part] == expected


def test_after_a_wait_a_limit_and_the_lanes_hold_as_ever(store: Store) -> None:
    set_limit(store, 2)
    queue(store, 5, run_at=NOW - SECOND)
    ticks = [NOW - n * MINUTE for n in (3, 2)]
    mine = [a_run_in(LANE, due_at=tick, run_at=tick) for tick in ticks]
    add(store, *mine, a_run("other", handler="unknown"))
    assert order(store, after_a_wait=True) == [mine[0].id, "r000", "r001"]
    assert order(store, after_a_wait=True) == []
    assert store.count_waiting("api", 100) == 3


def test_many_names_all_come_to_their_turn(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "MOST_LOTS", 4)
    for n in range(12):
        queue(store, 1, f"n{n}", limit=f"limit{n}")
    claimed: set[str] = set()
    for _ in range(60):
        if len(claimed) < 12:
            claimed |= set(order(store, 50))
    assert len(claimed) == 12


# the rest of the queue


def test_next_run_at_knows_of_all_lots(store: Store) -> None:
    add(store, a_run(priority=3, run_at=NOW + 5 * SECOND), a_run(limit="api", run_at=NOW + 3 * SECOND))
    assert store.next_run_at(HANDLERS) == NOW + 3 * SECOND
    add(store, a_run(run_at=NOW + SECOND))
    assert store.next_run_at(HANDLERS) == NOW + SECOND


def test_what_has_a_limit_goes_through_no_broker_and_a_priority_does(store: Store) -> None:
    add(store, a_run("limited", limit="api"), a_run("urgent", priority=9), a_run("plain"))
    assert sorted(names(store.unsent_runs(UnsentQuery(NOW, 10)))) == ["plain", "urgent"]


def test_a_lane_of_another_lot_is_released_by_the_sweep(store: Store) -> None:
    add(store, a_run_in(LANE, run_at=None, priority=2, limit="api"))
    assert store.release_lanes(NOW) == 1


def test_a_run_written_without_its_lot_is_limited_and_gets_out_of_the_way(open_another: Open) -> None:
    store = open_another()
    set_limit(store, 1)
    written = queue(store, 5, run_at=NOW - SECOND)
    without_lot(store)
    plain = queue(store, 2, "plain", limit=None)
    assert len(claim(store, 1)) == 1
    found: list[str] = []
    for _ in range(4):
        found += order(store, 2)
    assert found == names(plain)
    assert store.count_limited(["api"]) == {"api": 1}
    assert store.count_waiting("api", 10) == len(written) - 1


def without_lot(store: Store) -> None:
    """Take the lot off all runs, as a program that knows nothing of it writes them."""
    if hasattr(store, "_change"):
        store._change("UPDATE runs SET lot = NULL")
    else:
        store._runs.update_many({}, {"$unset": {"lot": ""}})  # type: ignore[attr-defined]


def test_a_limit_edited_into_nonsense_counts_as_not_set(store: Store) -> None:
    if hasattr(store, "_change"):
        store._change("INSERT INTO limits (_id, most) VALUES ('api', 'many')")
    else:
        store._limits.insert_one({"_id": "api", "most": {"$gt": 1}})  # type: ignore[attr-defined]
    queue(store, 3)
    assert store.limits() == []
    assert len(claim(store)) == 3
    set_limit(store, 2)
    assert store.limits() == [Limit(name="api", most=2, changed_at=NOW)]
    assert claim(store) == []
    assert stored(store, "r000").state == RUNNING
