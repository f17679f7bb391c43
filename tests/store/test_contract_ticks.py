"""Do all stores keep the contract on the tick ledger and on daemons?"""

from dataclasses import replace
from datetime import timedelta

from cronlite.store.contract import Store
from tests.store.conftest import Open, all_at_once
from tests.store.samples import MINUTE, NOW, SECOND, TICK, a_daemon, a_run_in, a_running, a_tick


def test_an_empty_ledger_has_no_entries(store: Store) -> None:
    assert store.ledger(TICK - 5 * MINUTE, TICK) == []
    assert store.prune_ticks(TICK) == 0


def test_the_ledger_gives_entries_back_as_they_were_claimed(store: Store) -> None:
    gap = a_tick(TICK - 9 * MINUTE, from_at=TICK - 9 * MINUTE, to_at=TICK - MINUTE)
    done = a_tick(TICK + MINUTE, due=3, skipped=1, done_at=NOW)
    for entry in (a_tick(), gap, done):
        assert store.claim_tick(entry) == entry
    assert store.ledger(TICK - 9 * MINUTE, TICK + MINUTE) == [gap, a_tick(), done]


def test_the_ledger_holds_both_bounds_and_the_newest_entry_before(store: Store) -> None:
    entries = [a_tick(TICK + number * MINUTE) for number in range(6)]
    for entry in entries:
        store.claim_tick(entry)
    assert store.ledger(TICK + 3 * MINUTE, TICK + 4 * MINUTE) == entries[2:5]
    assert store.ledger(TICK, TICK + MINUTE) == entries[:2]
    assert store.ledger(TICK + 60 * MINUTE, TICK + 61 * MINUTE) == entries[5:]


def test_a_claimed_minute_keeps_its_entry(store: Store) -> None:
    first = a_tick(daemon="d1")
    assert store.claim_tick(first) == first
    assert store.claim_tick(a_tick(daemon="d2", claimed_at=NOW + SECOND)) == first
    assert store.claim_tick(first) == first


def test_an_undone_tick_is_taken_over_once(store: Store) -> None:
    gap = a_tick(daemon="d1", from_at=TICK, to_at=TICK + MINUTE)
    store.claim_tick(gap)
    assert store.take_over_tick(gap, "d2")
    assert not store.take_over_tick(gap, "d3")
    assert store.ledger(TICK, TICK) == [replace(gap, daemon="d2")]


def test_a_done_tick_is_not_taken_over(store: Store) -> None:
    tick = a_tick()
    store.claim_tick(tick)
    assert store.finish_tick(replace(tick, done_at=NOW))
    assert not store.take_over_tick(tick, "d2")


def test_a_tick_is_finished_by_its_owner_only(store: Store) -> None:
    tick = a_tick()
    store.claim_tick(tick)
    assert store.take_over_tick(tick, "d2")
    assert not store.finish_tick(replace(tick, due=1, done_at=NOW))
    finished = replace(tick, daemon="d2", due=7, skipped=2, done_at=NOW + SECOND)
    assert store.finish_tick(finished)
    assert store.ledger(TICK, TICK) == [finished]


def test_pruning_spares_the_newest_entry(store: Store) -> None:
    entries = [a_tick(TICK + number * MINUTE, done_at=None if number == 1 else NOW) for number in range(6)]
    for entry in entries:
        store.claim_tick(entry)
    assert store.prune_ticks(TICK + 4 * MINUTE) == 3
    assert store.ledger(TICK, TICK + 5 * MINUTE) == entries[3:]
    assert store.prune_ticks(TICK + 4 * MINUTE) == 0
    assert store.prune_ticks(TICK + 60 * MINUTE) == 2
    assert store.ledger(TICK, TICK + 5 * MINUTE) == [entries[5]]


def test_of_all_who_claim_a_minute_one_owns_it(open_rival: Open) -> None:
    stores = [open_rival() for _ in range(8)]
    claimed = all_at_once(stores, lambda store, number: store.claim_tick(a_tick(daemon=f"d{number}")))
    assert len({tick.daemon for tick in claimed}) == 1


def test_of_all_who_take_a_tick_over_one_succeeds(open_rival: Open) -> None:
    stores = [open_rival() for _ in range(8)]
    tick = a_tick(daemon="dead")
    stores[0].claim_tick(tick)
    taken = all_at_once(stores, lambda store, number: store.take_over_tick(tick, f"d{number}"))
    assert sum(taken) == 1


# daemons


def test_a_daemon_that_joins_is_listed_and_told_the_time(store: Store) -> None:
    seen_at = store.join(a_daemon())
    assert abs(seen_at - store.now()) < 5 * SECOND
    assert seen_at.utcoffset() == timedelta(0)
    [listed] = store.daemons()
    assert listed == a_daemon(handlers=listed.handlers, seen_at=seen_at)
    assert list(listed.handlers) == ["extract"]


def test_a_beat_counts_up_and_tells_the_time(store: Store) -> None:
    joined = store.join(a_daemon())
    first, second = store.beat("d1", running=2, stuck=1), store.beat("d1", running=3, stuck=0)
    assert first is not None
    assert second is not None
    assert joined <= first <= second
    [listed] = store.daemons()
    assert (listed.beat, listed.running, listed.stuck, listed.seen_at) == (2, 3, 0, second)


def test_a_daemon_says_when_it_last_ticked_and_how_long_its_silence_is(store: Store) -> None:
    store.join(a_daemon("d1", ticked_at=NOW, silence_seconds=600))
    (joined,) = store.daemons()
    assert (joined.ticked_at, joined.silence_seconds) == (NOW, 600)
    assert store.beat("d1", running=0, stuck=0, ticked_at=TICK) is not None
    assert store.daemons()[0].ticked_at == TICK


def test_a_daemon_that_left_or_never_came_gets_no_beat(store: Store) -> None:
    store.join(a_daemon())
    store.leave("d1")
    store.leave("d1")
    assert store.beat("d1", running=0, stuck=0) is None
    assert store.beat("nobody", running=0, stuck=0) is None
    assert store.daemons() == []


def test_a_daemon_is_marked_dead_only_at_the_beat_that_was_seen(store: Store) -> None:
    store.join(a_daemon())
    store.beat("d1", running=0, stuck=0)
    assert not store.mark_dead("d1", 0)
    assert store.mark_dead("d1", 1)
    [listed] = store.daemons()
    assert listed.dead_at is not None
    assert store.beat("d1", running=0, stuck=0) is None
    assert not store.mark_dead("nobody", 0)


def test_daemons_marked_dead_are_pruned_and_the_living_are_not(store: Store) -> None:
    store.join(a_daemon("d1"))
    store.join(a_daemon("d2"))
    store.mark_dead("d1", 0)
    assert store.prune_daemons(store.now() - 60 * SECOND) == 0
    assert store.prune_daemons(store.now() + 60 * SECOND) == 1
    assert [daemon.id for daemon in store.daemons()] == ["d2"]


def test_owners_have_running_runs_or_ticks_not_done(store: Store) -> None:
    assert store.owners() == set()
    store.add_runs([a_running("lane", "d1"), a_run_in("other")])
    store.claim_tick(a_tick(daemon="d2"))
    store.claim_tick(a_tick(TICK + MINUTE, daemon="d3", done_at=NOW))
    assert store.owners() == {"d1", "d2"}
