"""Outcomes are written by several recorders; none keeps another from its end, and nothing of them piles up."""

from __future__ import annotations

import queue
import threading

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
        store, ended, Pace(), Durations(), lambda changes, _: written.append(len(changes)), starts_first=another_starts
    )
    held.record(60)
    assert written == [3]


def test_ends_are_held_for_a_moment_only(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outcomes, "HELD_SECONDS", 0.01)
    ended: Ended = queue.SimpleQueue()
    run = a_running("lane")
    store.add_runs([run])
    ended.put((run, Outcome("succeeded"), NOW))
    held = Recorder(store, ended, Pace(), Durations(), lambda _changes, _lost: None, starts_first=lambda: True)
    assert held.record(60) == 1


def test_how_long_an_unknown_handler_takes_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outcomes, "UNKNOWN_SECONDS", 60)
    durations = Durations()
    waiting = threading.Thread(target=durations.wait_for, args=(["a", "b"],))
    waiting.start()
    durations.note("a", 0.001)
    waiting.join(0.01)
    assert waiting.is_alive()
    durations.note("b", 0.003)
    waiting.join(60)
    assert not waiting.is_alive()
    assert durations.mean(["a", "b"]) == pytest.approx(0.002)


def test_a_handler_whose_first_call_does_not_end_is_not_waited_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    durations = Durations()
    monkeypatch.setattr(outcomes, "UNKNOWN_SECONDS", 0.01)
    durations.wait_for(["hangs"])
    monkeypatch.setattr(outcomes, "UNKNOWN_SECONDS", 3_600)
    durations.wait_for(["hangs"])  # not a second time
