"""Does a daemon run the ticks' runs that it may claim on the way, leave the others in the queue, and lose none?"""

from __future__ import annotations

import itertools
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from cronlite.daemon import claims, liveness, outcomes, store_clock
from cronlite.daemon.claims import LATER_SECONDS, Claimer
from cronlite.daemon.handover import Handover
from cronlite.daemon.liveness import Membership
from cronlite.daemon.options import Options
from cronlite.daemon.outcomes import Pace
from cronlite.daemon.room import SeatsToKeep
from cronlite.daemon.store_clock import StoreClock
from cronlite.documents import transitions
from cronlite.documents.runs import QUEUED, RUNNING, SUCCEEDED, Run
from cronlite.errors import StoreUnavailable
from cronlite.handlers.registry import Registry
from cronlite.store.contract import RunQuery, Store
from tests.store.samples import MINUTE, NOW, TICK, a_daemon, a_run, a_run_in, a_running, add, stored
from tests.waiting import wait_until

MakeClaimer = Callable[..., Claimer]


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """What the handlers wait for."""
    event = threading.Event()
    yield event
    event.set()


@pytest.fixture
def claimer(store: Store, gate: threading.Event) -> Iterator[MakeClaimer]:
    made: list[Claimer] = []

    def extract(params: Mapping[str, Any]) -> None:
        gate.wait(20)

    def make(seats: int = 4, *, joined: bool = True, **options: Any) -> Claimer:
        registry, clock = Registry(), StoreClock()
        registry.add("extract", extract)
        member = Membership(store, clock, a_daemon, lambda: None)
        if joined:
            member.join()
        made.append(Claimer(member, Handover(store, clock), registry, Options(seats=seats, **options)))
        return made[-1]

    yield make
    for one in made:
        one.pool.close()


def a_tick(count: int, **given: Any) -> list[Run]:
    return [a_run_in(f"lane-{number}", **given) for number in range(count)]


def states(store: Store, runs: Sequence[Run]) -> list[str]:
    return [stored(store, run).state for run in runs]


def test_as_many_runs_as_can_start_soon_are_claimed_on_the_way_and_the_others_queued(
    store: Store, claimer: MakeClaimer
) -> None:
    busy, new = claimer(seats=4), a_tick(44)  # in half a second, calls of 50 ms each
    assert busy.add(new) == set()
    assert states(store, new) == [RUNNING] * 40 + [QUEUED] * 4
    assert [stored(store, run).attempt for run in new] == [1] * 40 + [0] * 4
    wait_until(lambda: busy.pool.running == 4, what="all seats are taken")
    assert busy.claim_soon.is_set()


def test_two_batches_at_a_time_share_the_room(
    store: Store, claimer: MakeClaimer, monkeypatch: pytest.MonkeyPatch
) -> None:
    busy, new, add_runs, first = claimer(seats=4), a_tick(88), store.add_runs, threading.Event()

    def held(batch: Sequence[Run]) -> set[str]:
        if batch[0] is new[0]:
            first.set()
            assert second.wait(60)
        return add_runs(batch)

    second = threading.Event()
    monkeypatch.setattr(store, "add_runs", held)
    adding = threading.Thread(target=busy.add, args=(new[:44],))
    adding.start()
    assert first.wait(60)
    busy.add(new[44:])
    second.set()
    adding.join(20)
    assert Counter(states(store, new)) == {RUNNING: 40, QUEUED: 48}


def test_what_is_written_before_a_wake_is_claimed_as_far_as_it_could_start_soon_after(
    store: Store, claimer: MakeClaimer
) -> None:
    busy, new = claimer(seats=4), a_tick(44)
    early = busy.add_early(new, NOW, kept=10)
    assert early == new[:30]
    assert states(store, early) == [RUNNING] * 30
    assert {run.id for run in store.runs(RunQuery())} == {run.id for run in early}
    assert busy.pool.running == 0
    busy.begin(early)
    wait_until(lambda: busy.pool.running == 4, what="all seats are taken")


def test_what_is_written_before_a_wake_and_refused_is_nobodys(store: Store, claimer: MakeClaimer) -> None:
    busy, (free, blocked) = claimer(), a_tick(2)
    add(store, replace(a_running("other"), lane=blocked.lane))
    assert busy.add_early([free, blocked], NOW, kept=0) == [free]
    assert (blocked.daemon, blocked.attempt, blocked.state) == (None, 0, QUEUED)


def test_what_is_written_before_a_wake_goes_back_to_the_queue_when_its_daemon_stops(
    store: Store, claimer: MakeClaimer
) -> None:
    busy, new = claimer(), a_tick(2)
    early = busy.add_early(new, NOW, kept=0)
    busy.stop_claiming()
    busy.begin(early)
    assert states(store, new) == [QUEUED] * 2
    assert busy.pool.running == 0


def test_while_a_tick_is_written_the_queue_gets_no_more_than_free_seats(
    store: Store, claimer: MakeClaimer, monkeypatch: pytest.MonkeyPatch
) -> None:
    busy, new, add_runs = claimer(seats=4), a_tick(3), store.add_runs
    add(store, *(a_run(f"r{number}") for number in range(9)))
    monkeypatch.setattr(busy.outcomes.pace, "per_second", lambda: 1_000)
    claimed: list[int] = []

    def claimed_beside(batch: Sequence[Run]) -> set[str]:
        claimed.append(busy.claim())
        return add_runs(batch)

    monkeypatch.setattr(store, "add_runs", claimed_beside)
    busy.add(new)
    assert claimed == [1]
    assert busy.claim() == 8


def test_what_was_at_a_death_before_is_claimed_for_a_free_seat_only(
    store: Store, claimer: MakeClaimer, gate: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    busy = claimer(seats=2)
    queued = [a_run(f"r{number}", crashes=int(number in (1, 4))) for number in range(8)]
    add(store, *queued)
    monkeypatch.setattr(busy.outcomes.pace, "per_second", lambda: 1_000)
    assert busy.claim() == 4
    assert states(store, queued) == [RUNNING] * 4 + [QUEUED] * 4
    assert [stored(store, run).run_at for run in queued] == [run.run_at for run in queued]
    assert busy.claim() == 0  # from here on by the seat
    assert not busy.claim_soon.is_set()
    gate.set()
    wait_until(busy.claim_soon.is_set, what="a seat that gets free asks for more")
    for _ in range(2):
        wait_until(lambda: busy.pool.free == 2, what="both seats are free")
        assert busy.claim() == 2


def test_seats_are_kept_for_what_may_not_wait_over_all_of_a_claim() -> None:
    seats, patient, impatient = SeatsToKeep(3), a_run(), a_run(crashes=1)
    assert seats.count([patient, patient]) == 2
    assert not seats.are_needed
    assert seats.count([impatient, patient, impatient, patient]) == 2
    assert seats.are_needed


@pytest.mark.parametrize("seats", [1, 4])
def test_what_may_not_be_repeated_is_claimed_for_a_free_seat_only(
    store: Store, claimer: MakeClaimer, monkeypatch: pytest.MonkeyPatch, seats: int
) -> None:
    busy, new = claimer(seats=seats), a_tick(9, on_crash="abandon")
    monkeypatch.setattr(busy.outcomes.pace, "per_second", lambda: 1_000)
    busy.add(new)
    assert states(store, new) == [QUEUED] * 9
    assert busy.claim() == seats
    assert busy.claim() == 0
    assert busy.pool.running == seats


def test_of_the_runs_that_two_daemons_died_with_one_is_at_work_at_a_time(
    store: Store, claimer: MakeClaimer, gate: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    busy, queued, now = claimer(seats=4), [a_run(f"r{n}", crashes=2 * (n != 1)) for n in range(3)], [NOW]
    monkeypatch.setattr(busy._clock, "now", lambda: now[0])
    add(store, *queued)
    assert busy.claim() == 2
    assert states(store, queued) == [RUNNING, RUNNING, QUEUED]
    for _ in ("while it is at work", "while its outcome is not in the store"):
        later = stored(store, queued[2])
        assert (later.state, later.crashes, later.failures) == (QUEUED, 2, 0)
        assert later.run_at
        assert 1 <= (later.run_at - now[0]).total_seconds() <= LATER_SECONDS
        now[0] = later.run_at
        assert busy.claim() == 0
        gate.set()
        wait_until(lambda: busy.pool.free == 4, what="all seats are free")
    busy.outcomes.record_all()
    now[0] += timedelta(seconds=LATER_SECONDS)
    assert busy.claim() == 1


def test_what_waits_too_long_for_a_seat_is_given_back_for_others(
    store: Store, claimer: MakeClaimer, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow, idle, new = claimer(seats=4), claimer(seats=4), a_tick(6)
    slow.add(new)
    assert slow.claim() == 0
    assert states(store, new) == [RUNNING] * 6  # for a second more
    monkeypatch.setattr(claims, "MAX_WAIT_SECONDS", 0.0)
    assert slow.claim() == 0
    assert states(store, new) == [RUNNING] * 4 + [QUEUED] * 2
    assert [stored(store, run).run_at for run in new] == [run.run_at for run in new]
    assert idle.claim() == 2
    assert (slow.pool.waiting, slow.pool.running) == (0, 4)


def test_what_could_not_be_given_back_is_so_later(
    store: Store, claimer: MakeClaimer, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow, new = claimer(seats=2), a_tick(3)
    slow.add(new)
    monkeypatch.setattr(claims, "MAX_WAIT_SECONDS", 0.0)
    with monkeypatch.context() as pulled:
        pulled.setattr(store, "change_runs", _raise)
        with pytest.raises(StoreUnavailable):
            slow.claim()
    assert states(store, new) == [RUNNING] * 3
    slow.claim()
    assert states(store, new) == [RUNNING] * 2 + [QUEUED]


def test_what_was_claimed_on_the_way_is_called_and_recorded(
    store: Store, claimer: MakeClaimer, gate: threading.Event
) -> None:
    gate.set()
    busy, new = claimer(), a_tick(4)
    busy.add(new)
    assert busy.pool.drain(10) == []
    busy.outcomes.record_all()
    assert states(store, new) == [SUCCEEDED] * 4
    assert busy.outcomes.unrecorded == 0


@pytest.mark.parametrize(
    ("made", "given"),
    [
        ({"seats": 1}, {}),  # one seat keeps the order of the queue
        ({"seats": 0}, {}),
        ({"joined": False}, {}),  # no lease
        ({"queues": ("reports",)}, {}),
        ({}, {"handler": "elsewhere"}),
        ({}, {"run_at": None}),
        ({}, {"run_at": datetime(2200, 1, 1, tzinfo=timezone.utc)}),  # it is for later
        ({}, {"state": "skipped"}),
    ],
    ids=str,
)
def test_what_this_daemon_may_not_start_is_left_to_the_queue(
    store: Store, claimer: MakeClaimer, made: dict[str, Any], given: dict[str, Any]
) -> None:
    new = a_tick(2, **given)
    assert claimer(**made).add(new) == set()
    assert states(store, new) == [given.get("state", QUEUED)] * 2


def test_none_is_claimed_on_the_way_while_it_stops(store: Store, claimer: MakeClaimer) -> None:
    stopping, new = claimer(), a_tick(2)
    stopping.stop_claiming()
    stopping.add(new)
    assert states(store, new) == [QUEUED] * 2


def test_a_run_whose_lane_was_taken_meanwhile_waits_in_the_queue(store: Store, claimer: MakeClaimer) -> None:
    add(store, a_running("lane-0", due_at=a_run().due_at.replace(minute=1)))
    new = a_tick(2)
    assert claimer().add(new) == set()
    blocked, free = (stored(store, run) for run in new)
    assert (blocked.state, blocked.daemon, blocked.attempt) == (QUEUED, None, 0)
    assert free.state == RUNNING


def test_a_tick_that_was_done_before_starts_nothing(store: Store, claimer: MakeClaimer) -> None:
    first, second = claimer(), claimer()
    first.add(a_tick(2))
    assert second.add(a_tick(2)) == {run.id for run in a_tick(2)}
    assert (second.pool.running, second.pool.waiting) == (0, 0)


def test_what_was_written_without_an_answer_is_given_back_and_not_run_twice(
    store: Store, claimer: MakeClaimer, gate: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate.set()
    cut_off, new, add_runs = claimer(), a_tick(2), store.add_runs

    def landed(runs: Sequence[Run]) -> set[str]:
        add_runs(runs)
        raise StoreUnavailable("the connection is lost")

    with monkeypatch.context() as lost:
        lost.setattr(store, "add_runs", landed)
        with pytest.raises(StoreUnavailable):
            cut_off.add(new)
    assert states(store, new) == [RUNNING] * 2
    assert cut_off.claim() == 2, "given back, and claimed like any other"
    assert cut_off.add(a_tick(2)) == {run.id for run in new}, "the tick is done again"
    cut_off.pool.drain(10)
    cut_off.outcomes.record_all()
    assert states(store, new) == [SUCCEEDED] * 2
    assert [stored(store, run).attempt for run in new] == [2, 2]


def test_a_tick_that_adds_while_unanswered_claims_are_looked_for_keeps_its_runs(
    store: Store, claimer: MakeClaimer, monkeypatch: pytest.MonkeyPatch
) -> None:
    busy, new, listed = claimer(), a_tick(2), store.runs
    monkeypatch.setattr(store, "add_runs", _raise)
    with pytest.raises(StoreUnavailable):
        busy.add(a_tick(1))
    monkeypatch.undo()

    def at_the_same_time(query: RunQuery) -> Iterator[Run]:
        busy.add(new)
        return listed(query)

    monkeypatch.setattr(store, "runs", at_the_same_time)
    busy.claim()
    assert [stored(store, run).attempt for run in new] == [1, 1]


def test_no_more_is_claimed_while_outcomes_pile_up(
    store: Store, claimer: MakeClaimer, gate: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate.set()
    monkeypatch.setattr("cronlite.daemon.room.MAX_UNRECORDED", 3)
    busy = claimer()
    busy.add(a_tick(4))
    busy.pool.drain(10)
    add(store, a_run("next"))
    assert busy.claim() == 0
    busy.outcomes.record_all()
    assert busy.claim() == 1


def test_the_ends_of_runs_wait_until_all_of_a_tick_is_written(
    store: Store, claimer: MakeClaimer, gate: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not just while one of its batches is: the next is being made or fitted in then."""
    gate.set()
    monkeypatch.setattr("cronlite.daemon.outcomes.HELD_SECONDS", 3_600)
    busy = claimer()
    recorder, new = busy.outcomes.recorders[0], a_tick(2)
    recording = threading.Thread(target=recorder.record, args=(60,))
    with busy.adding():
        busy.add(new[:1])
        busy.pool.drain(10)
        recording.start()
        wait_until(lambda: recorder.unrecorded == 1)
        busy.add(new[1:])
        busy.pool.drain(10)
        wait_until(lambda: busy.outcomes.unrecorded == 2)
        assert states(store, new) == [RUNNING, RUNNING]
    recording.join(60)
    assert states(store, new) == [SUCCEEDED, SUCCEEDED]


def test_a_flood_of_runs_ends_the_watch_for_others_until_it_is_recorded(
    store: Store, claimer: MakeClaimer, gate: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended: list[bool] = []
    monkeypatch.setattr(store, "stop_watching", lambda: ended.append(True))
    monkeypatch.setattr(claims, "FLOOD", 3)
    busy = claimer(seats=2)
    busy.add(a_tick(2))
    assert (ended, busy.has_ebbed()) == ([], True)
    gate.set()
    busy.pool.drain(10)
    busy.outcomes.record_all()
    gate.clear()

    busy.add(a_tick(3, due_at=TICK + MINUTE))
    busy.add([a_run_in(f"other-{number}", due_at=TICK + MINUTE) for number in range(3)])
    assert (ended, busy.has_ebbed()) == ([True], False), "once for both"
    gate.set()
    busy.pool.drain(10)
    assert not busy.has_ebbed(), "not recorded yet"
    busy.outcomes.record_all()
    assert busy.has_ebbed()

    for number in range(3):
        add(store, a_run(f"queued{number}"))
    busy.claim()
    assert ended == [True, True], "nor while a long queue is worked off"


def test_the_pace_is_that_of_the_last_second_or_since_there_was_nothing_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    now = itertools.count(1_000.0, 0.0)
    for module in (liveness, store_clock, outcomes):
        monkeypatch.setattr(module, "steady", lambda: next(now))
    pace = Pace()
    assert pace.per_second() == 0
    pace.begin()
    now = itertools.count(1_000.1, 0.0)
    pace.note(20)
    assert pace.per_second() == pytest.approx(200)
    now = itertools.count(1_000.8, 0.0)
    pace.note(20)
    assert pace.per_second() == pytest.approx(50)
    now = itertools.count(1_001.5, 0.0)
    assert pace.per_second() == pytest.approx(20)
    pace.begin()
    now = itertools.count(1_001.6, 0.0)
    assert pace.per_second() == 0


def test_a_claim_can_be_undone() -> None:
    run = a_run()
    before = replace(run)
    transitions.claim(run, "d1", run.queued_at)
    assert (run.state, run.daemon, run.attempt) == (RUNNING, "d1", 1)
    transitions.unclaim(run)
    assert run == before


def _raise(*_: object) -> set[str]:
    raise StoreUnavailable("the store is away")


def test_a_handler_starts_under_the_name_and_the_lease_of_its_claim_only(
    claimer: MakeClaimer, monkeypatch: pytest.MonkeyPatch
) -> None:
    claiming = claimer()
    membership = claiming._membership
    assert claiming._may_start(a_running("s1", membership.id))
    assert not claiming._may_start(a_running("s2", "its name before"))
    monkeypatch.setattr(membership, "_beaten", float("-inf"))
    assert not claiming._may_start(a_running("s3", membership.id)), "it may have been taken for dead"


@pytest.mark.parametrize(
    "edited", [{"daemon": "another"}, {"attempt": 2}, {"state": QUEUED, "daemon": None, "started_at": None}]
)
def test_a_run_is_still_mine_while_it_is_under_the_fence_of_this_attempt(
    claimer: MakeClaimer, store: Store, edited: dict[str, Any]
) -> None:
    claiming = claimer()
    run = a_running("s1", claiming._membership.id)
    add(store, run)
    assert claiming._still_mine(replace(run))
    assert not store.change_runs([(replace(run), edited)])
    assert not claiming._still_mine(run)


def test_what_was_written_before_a_wake_and_could_not_be_given_back_is_found_later(
    store: Store, claimer: MakeClaimer, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut_off, new = claimer(), a_tick(2)
    early = cut_off.add_early(new, NOW, kept=0)
    with monkeypatch.context() as away:
        away.setattr(store, "change_runs", _raise)
        with pytest.raises(StoreUnavailable):
            cut_off.give_back(early)
    assert cut_off.claim() == 2, "given back, and claimed like any other"
    assert [stored(store, run).attempt for run in new] == [2, 2]
