"""How long a handler takes is known from its calls here, or else from its last runs in the store."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import NoReturn

import pytest

from cronlite.daemon import durations
from cronlite.daemon.durations import UNKNOWN_SECONDS, Durations
from cronlite.documents import transitions
from cronlite.documents.runs import ABANDONED, FAILED, SUCCEEDED
from cronlite.errors import StoreTooSlow
from cronlite.store.contract import RunQuery, Store
from tests.store.samples import NOW, a_run_in, a_running


def a_past(store: Store, handler: str, *ended: tuple[str, float]) -> None:
    """Store runs of a handler that ended in such states, after so many seconds."""
    for place, (state, seconds) in enumerate(ended):
        run = a_running(f"{handler}-{place}", handler=handler, started_at=NOW)
        store.add_runs([run])
        store.change_runs([(run, transitions.closed(state, NOW + timedelta(seconds=seconds)))])


def test_a_handler_that_was_never_called_here_takes_what_its_last_runs_took(store: Store) -> None:
    a_past(store, "extract", (SUCCEEDED, 1), (FAILED, 3))
    known = Durations(store)
    assert known.mean(["extract"]) == UNKNOWN_SECONDS
    known.look_up(["extract", "new"])
    assert (known.mean(["extract"]), known.mean(["new"])) == (2, UNKNOWN_SECONDS)


def test_what_did_not_end_by_itself_tells_nothing(store: Store) -> None:
    a_past(store, "extract", (ABANDONED, 3_600))
    store.add_runs([a_running("at-work", started_at=NOW), a_run_in("waiting")])
    known = Durations(store)
    known.look_up(["extract"])
    assert known.mean(["extract"]) == UNKNOWN_SECONDS


def test_a_call_here_counts_more_than_the_past(store: Store) -> None:
    a_past(store, "extract", (SUCCEEDED, 100))
    known = Durations(store)
    known.note("extract", 1)
    known.look_up(["extract"])
    assert known.mean(["extract"]) == 1


def test_a_store_that_does_not_tell_is_asked_once_for_each_handler_and_not_at_once_again(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str | None] = []

    def too_slow(query: RunQuery) -> NoReturn:
        asked.append(query.handler)
        raise StoreTooSlow("slow")

    monkeypatch.setattr(store, "outlines", too_slow)
    known, handlers = Durations(store), ["a", "b"]
    known.look_up(handlers)
    assert len(asked) == 1
    for _ in range(2):
        known.look_up(handlers)
    assert sorted(filter(None, asked)) == handlers


def test_how_long_an_unknown_handler_takes_is_waited_for(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(durations, "UNKNOWN_SECONDS", 60)
    known = Durations(store)
    waiting = threading.Thread(target=known.wait_for, args=(["a", "b"],))
    waiting.start()
    known.note("a", 0.001)
    waiting.join(0.01)
    assert waiting.is_alive()
    known.note("b", 0.003)
    waiting.join(60)
    assert not waiting.is_alive()
    assert known.mean(["a", "b"]) == pytest.approx(0.002)


def test_a_handler_whose_first_call_does_not_end_is_not_waited_for_long(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = Durations(store)
    monkeypatch.setattr(durations, "UNKNOWN_SECONDS", 0.01)
    known.wait_for(["hangs"])
    monkeypatch.setattr(durations, "UNKNOWN_SECONDS", 3_600)
    known.wait_for(["hangs"])  # not a second time
