"""What a daemon can start at the wake of a minute is in the store before it, begun right at it, and never lost."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import pytest

from cronlite.daemon import ticking
from cronlite.daemon.early import Early
from cronlite.daemon.store_clock import steady
from cronlite.daemon.ticking import Inserts, Ticker
from cronlite.documents import transitions
from cronlite.documents.runs import QUEUED, RUNNING, SUCCEEDED, Run
from cronlite.store.contract import ClaimQuery, Store
from tests.daemon.test_ticking import _raise, add, at, made, prepared, started_at


class Keeper:
    """Claims all that it is given, as far as it has room, and remembers what it was told to begin and give back."""

    def __init__(self, store: Store, room: int = 100) -> None:
        self._store, self._room = store, room
        self.begun: list[str | None] = []
        self.given_back: list[str | None] = []

    def add_early(self, new: Sequence[Run], wake_at: datetime, kept: int) -> list[Run]:
        claimed = new[: self._room - kept]
        for run in claimed:
            transitions.claim(run, "me", wake_at)
        refused = self._store.add_runs(claimed)
        return [run for run in claimed if run.id not in refused]

    def begin(self, claimed: Sequence[Run]) -> None:
        self.begun += [run.schedule for run in claimed]

    def give_back(self, claimed: Sequence[Run]) -> None:
        self.given_back += [run.schedule for run in claimed]


@pytest.fixture
def keeper(store: Store) -> Keeper:
    return Keeper(store)


def before_ten(store: Store, keeper: Keeper) -> Ticker:
    """Return a ticker that has done everything up to nine minutes past, and knows of a keeper."""
    ticker = started_at(store, 9)
    ticker.inserts = Inserts(store.add_runs, early=Early(store, keeper))
    return ticker


def states(store: Store) -> dict[str | None, str]:
    return {run.schedule: run.state for run in made(store)}


def test_what_can_start_at_a_wake_is_in_the_store_before_it_and_begun_at_it(store: Store, keeper: Keeper) -> None:
    add(store, "ten", minute=10)
    add(store, "eleven", minute=11)
    ticker = before_ten(store, keeper)
    assert prepared(ticker, 10)
    assert (states(store), keeper.begun) == ({"ten": RUNNING}, [])
    assert (ticker.step(at(10)), keeper.begun) == (1, ["ten"])
    assert [tick.due for tick in store.ledger(at(10, 0), at(10))][-1] == 1
    assert states(store) == {"ten": RUNNING}


def test_what_finds_no_room_before_a_wake_is_written_at_it(store: Store) -> None:
    keeper = Keeper(store, room=2)
    for number in range(5):
        add(store, f"s{number}", minute=10)
    ticker = before_ten(store, keeper)
    assert prepared(ticker, 10)
    assert list(states(store).values()) == [RUNNING] * 2
    assert ticker.step(at(10)) == 5
    assert len(keeper.begun) == 2
    assert sorted(states(store).values()) == [QUEUED] * 3 + [RUNNING] * 2


@pytest.mark.parametrize("ends", [True, False])
def test_whether_a_lane_is_busy_is_judged_at_the_wake(store: Store, keeper: Keeper, ends: bool) -> None:
    add(store, "every", minute="9,10")
    ticker = before_ten(store, keeper)
    [before] = store.claim_runs("me", ClaimQuery(["default"], at(9), 1))
    assert prepared(ticker, 10)
    assert len(made(store)) == 1
    if ends:
        store.change_runs([(before, transitions.closed(SUCCEEDED, at(10, 900)))])
    assert ticker.step(at(10)) == (1 if ends else 0)
    assert [run.state for run in made(store)] == ([SUCCEEDED, QUEUED] if ends else [RUNNING, "skipped"])


def test_what_another_round_has_written_is_not_begun_twice(store: Store, keeper: Keeper) -> None:
    add(store, "ten", minute=10)
    assert prepared(before_ten(store, keeper), 10)
    again = Keeper(store)
    ticker = before_ten(store, again)
    assert prepared(ticker, 10)  # in the same name, and nothing tells that it is written already
    assert ticker.step(at(10)) == 0
    assert again.begun == []


def test_a_clock_set_back_before_its_minute_sends_it_to_the_queue(store: Store, keeper: Keeper) -> None:
    add(store, "ten", minute=10)
    ticker = before_ten(store, keeper)
    assert prepared(ticker, 10)
    ticker.step(at(9, 30_000))
    assert (keeper.begun, keeper.given_back) == ([], ["ten"])


def test_what_was_written_before_a_pause_of_the_machine_is_begun_after_it(
    store: Store, keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(store, "ten", minute=10)
    ticker = before_ten(store, keeper)
    assert prepared(ticker, 10)
    monkeypatch.setattr(ticking, "steady", lambda: steady() + 2)
    assert ticker.step(at(10)) == 0
    assert keeper.begun == ["ten"]
    assert [tick.done_at for tick in store.ledger(at(10, 0), at(10))][-1] == at(10)


def test_a_store_that_fails_before_a_wake_leaves_all_to_it(
    store: Store, keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(store, "ten", minute=10)
    ticker = before_ten(store, keeper)
    with monkeypatch.context() as broken:
        broken.setattr(keeper, "add_early", _raise)
        with pytest.raises(OSError, match="pulled"):
            prepared(ticker, 10)
    assert ticker.is_prepared
    assert ticker.step(at(10)) == 1
    assert states(store) == {"ten": QUEUED}


def test_what_takes_too_long_before_a_wake_is_left_to_it(
    store: Store, keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cronlite.daemon.batches.FIRST_BATCH", 2)
    for number in range(5):
        add(store, f"s{number}", minute=10)
    early = Early(store, keeper)
    ticker = before_ten(store, keeper)
    new = list(ticker._due(at(10, 0), at(10)))
    passed = iter([0.0, 0.3, 0.3, 1.0])
    monkeypatch.setattr("cronlite.daemon.early.steady", lambda: next(passed))
    assert len(early.write(new, at(10), until=0.5)) == 3
