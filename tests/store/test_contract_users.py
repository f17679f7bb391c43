"""Users take turns, and are counted, on every store."""

from __future__ import annotations

from typing import Any

import pytest

from cronlite.store.contract import ClaimQuery, Store
from tests.store.samples import HANDLERS, NOW, SECOND, a_run, a_schedule, add


def queue(store: Store, name: str, count: int, **given: Any) -> None:
    add(store, *(a_run(f"{name}{n}", **{"user": name, **given}) for n in range(count)))


def claim(store: Store, limit: int, *users: str) -> list[str]:
    return [run.id for run in store.claim_runs("d1", ClaimQuery(HANDLERS, NOW, limit, users=users))]


def test_users_take_turns_each_with_its_oldest_first(store: Store) -> None:
    queue(store, "eve", 9, run_at=NOW - 9 * SECOND)
    add(store, a_run("bob-late", user="bob"), a_run("bob-early", user="bob", run_at=NOW - SECOND))
    queue(store, "ann", 1)
    assert claim(store, 5, "ann", "bob", "eve") == ["ann0", "bob-early", "eve0", "bob-late", "eve1"]
    assert claim(store, 3, "bob", "eve") == ["eve2", "eve3", "eve4"], "what one leaves is for who came first"


def test_without_turns_the_oldest_come_first(store: Store) -> None:
    queue(store, "eve", 5, run_at=NOW - SECOND)
    queue(store, "bob", 1)
    assert claim(store, 4) == ["eve0", "eve1", "eve2", "eve3"]


def test_a_turn_is_for_what_is_ready_of_a_known_handler_only(store: Store) -> None:
    queue(store, "bob", 3, run_at=NOW + SECOND)
    queue(store, "ann", 3, handler="unknown")
    queue(store, "eve", 3)
    assert claim(store, 2, "ann", "bob", "eve") == ["eve0", "eve1"]


def test_large_turns_are_claimed_whole(store: Store) -> None:
    if store.address.startswith("mongomock"):
        pytest.skip("mongomock reads all runs for each that is claimed")
    queue(store, "eve", 1_300)
    queue(store, "bob", 700)
    claimed = claim(store, 1_500, "bob", "eve")
    assert len(set(claimed)) == 1_500
    assert sum(one.startswith("bob") for one in claimed) == 700


def test_users_with_queued_runs_are_named_in_order(store: Store) -> None:
    for user in ("eve", "", "bob", "Zoë"):
        queue(store, user or "nobody", 2, user=user)
    assert store.queued_users(None, 10) == ["", "Zoë", "bob", "eve"]
    assert store.queued_users("Zoë", 1) == ["bob"]
    assert store.queued_users("eve", 5) == []
    claim(store, 100)
    assert store.queued_users(None, 10) == []


def test_what_a_user_has_is_counted_no_further_than_asked(store: Store) -> None:
    queue(store, "eve", 7)
    queue(store, "bob", 2)
    for n in range(3):
        store.add_schedule(a_schedule(user="eve", name=f"n{n}"))
    assert [store.count_queued("eve", limit) for limit in (3, 7, 10)] == [3, 7, 7]
    assert [store.count_schedules("eve", limit) for limit in (2, 10)] == [2, 3]
    assert (store.count_queued("ann", 5), store.count_schedules("ann", 5)) == (0, 0)
    claim(store, 5)
    assert store.count_queued("eve", 10) + store.count_queued("bob", 10) == 4
