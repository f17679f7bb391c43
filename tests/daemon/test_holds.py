"""Runs that a freeze with a hold picks wait for its end, also those that are queued after it began."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from cronlite.daemon import holds
from cronlite.daemon.handover import Handover
from cronlite.daemon.holds import Holds
from cronlite.daemon.store_clock import StoreClock
from cronlite.documents import schedules
from cronlite.documents.freezes import NEVER, Freeze
from cronlite.documents.runs import QUEUED, Run
from cronlite.store import open_store
from cronlite.store.contract import ClaimQuery, Store
from tests.store.samples import NOW, a_run, a_run_in, add, stored

MINUTE = timedelta(minutes=1)


@pytest.fixture
def store() -> Iterator[Store]:
    opened = open_store("memory:")
    yield opened
    opened.close()


@pytest.fixture
def kept(store: Store) -> Holds:
    return Holds(store, Handover(store, StoreClock()))


def freeze(store: Store, **given: Any) -> Freeze:
    made = Freeze(id="f1", **{"from_at": NOW, "until_at": NOW + MINUTE, "hold": True, **given})
    store.add_freeze(made)
    return made


def claim(store: Store) -> list[Run]:
    return store.claim_runs("d1", ClaimQuery(["extract", "load"], NOW, 10))


@pytest.mark.parametrize("picks", [{}, {"user": "eve"}, {"handler": "load"}, {"queue": "slow"}, {"tag": "a"}])
def test_what_a_claim_brings_goes_back_to_wait_for_the_end(store: Store, kept: Holds, picks: dict[str, str]) -> None:
    tagged = schedules.new(now=NOW, tags=["a"])
    store.add_schedule(tagged.document())
    meant = a_run_in(tagged.id, user="eve", handler="load", queue="slow")
    other = a_run("other")
    add(store, meant, other)
    freeze(store, **picks)
    begun = [run.id for run in kept.keep_back(claim(store), NOW)]
    assert begun == ([] if not picks else ["other"])
    back = stored(store, meant)
    assert (back.state, back.run_at, back.freeze, back.daemon) == (QUEUED, NOW + MINUTE, "f1", None)
    assert claim(store) == []
    assert [run.id for run in store.claim_runs("d1", ClaimQuery(["load"], NOW + MINUTE, 10))] == [meant.id]


def test_without_an_end_it_waits_until_it_is_let_go(store: Store, kept: Holds) -> None:
    add(store, a_run("r"))
    freeze(store, until_at=None)
    assert kept.keep_back(claim(store), NOW) == []
    assert stored(store, "r").run_at == NEVER
    store.release_held("f1", NOW)
    assert [run.id for run in claim(store)] == ["r"]


def test_no_hold_keeps_nothing_back_and_is_asked_for_once_a_second(
    store: Store, kept: Holds, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(store, a_run("r1"), a_run("r2"))
    freeze(store, hold=False)
    asked, seconds = [], [1_000.0]
    monkeypatch.setattr(holds, "steady", lambda: seconds[0])
    found = store.freezes
    monkeypatch.setattr(store, "freezes", lambda since: asked.append(since) or found(since))  # type: ignore[func-returns-value]
    claimed = claim(store)
    assert kept.keep_back(claimed, NOW) == claimed
    assert kept.keep_back(claimed, NOW) == claimed
    assert len(asked) == 1
    seconds[0] += 1.1
    kept.keep_back(claimed, NOW)
    kept.keep_back([], NOW)
    assert len(asked) == 2
