"""Outcomes are written by several recorders; none keeps another from its end, and nothing of them piles up."""

from __future__ import annotations

import queue

import pytest

from cronlite.daemon import outcomes
from cronlite.daemon.outcomes import Durations, Ended, Pace, Recorder
from cronlite.documents.runs import Outcome
from cronlite.store.contract import Store
from tests.store.samples import NOW, a_running


def recorder(store: Store, ended: Ended) -> Recorder:
    return Recorder(store, ended, Pace(), Durations(), lambda _changes, _lost: None)


def test_a_nudge_is_for_one_recorder_only(store: Store) -> None:
    ended: Ended = queue.SimpleQueue()
    for _ in range(2):
        ended.put(None)
    assert recorder(store, ended).record(60) == 0
    assert ended.qsize() == 1


def test_all_that_has_ended_is_written_whatever_nudges_are_among_it(store: Store) -> None:
    ended: Ended = queue.SimpleQueue()
    running = [a_running(f"lane-{number}") for number in range(4)]
    store.add_runs(running)
    for run in running:
        ended.put(None)
        ended.put((run, Outcome("succeeded"), NOW))
    recorder(store, ended).record_all()
    assert {found.state for run in running if (found := store.run(run.id))} == {"succeeded"}


def test_a_pace_that_nobody_asks_for_does_not_grow(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a worker's, which claims what it is told of."""
    now = 0.0
    monkeypatch.setattr(outcomes, "steady", lambda: now)
    pace = Pace()
    for _ in range(10_000):
        now += 0.05
        pace.note(1)
        pace.note(0)
    assert len(pace._ended) <= 21
    assert pace.per_second() == pytest.approx(20, abs=2)
