"""Outcomes are written by several recorders; none keeps another from its end, and nothing of them piles up."""

from __future__ import annotations

import queue

import pytest

from cronlite.daemon import outcomes
from cronlite.daemon.durations import Durations
from cronlite.daemon.outcomes import Ended, Pace, Recorder
from cronlite.documents.runs import Outcome
from cronlite.store.contract import Store
from tests.store.samples import NOW, a_running


def recorder(store: Store, ended: Ended) -> Recorder:
    return Recorder(store, ended, Pace(), Durations(store), lambda _changes, _lost: None)


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


def test_while_runs_of_a_tick_are_to_start_their_ends_are_gathered(store: Store) -> None:
    ended: Ended = queue.SimpleQueue()
    running = [a_running(f"lane-{number}") for number in range(3)]
    store.add_runs(running)
    to_end = iter(running)
    ended.put((next(to_end), Outcome("succeeded"), NOW))

    def another_starts() -> bool:
        for run in to_end:
            ended.put((run, Outcome("succeeded"), NOW))
            return True
        return False

    written: list[int] = []
    held = Recorder(
        store,
        ended,
        Pace(),
        Durations(store),
        lambda changes, _: written.append(len(changes)),
        starts_first=another_starts,
    )
    held.record(60)
    assert written == [3]


def test_ends_are_held_for_a_moment_only(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outcomes, "HELD_SECONDS", 0.01)
    ended: Ended = queue.SimpleQueue()
    run = a_running("lane")
    store.add_runs([run])
    ended.put((run, Outcome("succeeded"), NOW))
    held = Recorder(store, ended, Pace(), Durations(store), lambda _changes, _lost: None, starts_first=lambda: True)
    assert held.record(60) == 1
