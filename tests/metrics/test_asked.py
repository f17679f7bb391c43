"""Does a scrape get from the store what only that knows, and never wait for it for longer than a second?"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest

from cronlite.documents import schedules
from cronlite.documents.runs import FAILED, SUCCEEDED
from cronlite.errors import StoreTooSlow, StoreUnavailable
from cronlite.metrics import asked
from cronlite.metrics.asked import Answer, Asked
from cronlite.store.contract import Backlog, Store
from tests.store.samples import NOW, a_daemon, a_run, add
from tests.waiting import wait_until


def nothing() -> None:
    pass


def answer(store: Store) -> Answer:
    return Asked(store, nothing).answer()


def raising(error: Exception) -> Callable[..., Any]:
    def refuse(*_: object) -> None:
        raise error

    return refuse


def test_the_store_tells_of_daemons_queues_and_schedules(store: Store) -> None:
    store.join(a_daemon("d1", seen_at=store.now()))
    store.join(a_daemon("d2", ticks=False))
    store.join(a_daemon("d3"))
    store.mark_dead("d3", 0)
    since = store.now() - timedelta(seconds=90)
    add(store, a_run(run_at=since), a_run(), a_run(queue="mail", run_at=None))
    for enabled in (True, True, False):
        store.add_schedule(schedules.new(now=NOW, enabled=enabled).document())
    found = answer(store)
    assert found.daemons == {"alive": 1, "worker": 1, "dead": 1}
    assert found.schedules == {"enabled": 2, "paused": 1}
    assert found.queues is not None
    assert {queue: runs for queue, (runs, _) in found.queues.items()} == {"default": 2, "mail": 1}
    assert (found.queues["default"][1] >= 90, found.queues["mail"][1]) == (True, 0)


def test_without_queued_runs_the_default_queue_is_empty(store: Store) -> None:
    assert answer(store).queues == {"default": (0, 0.0)}


def test_a_run_that_may_start_only_later_has_not_waited(store: Store) -> None:
    add(store, a_run(run_at=store.now() + timedelta(hours=1)))
    assert answer(store).queues == {"default": (1, 0.0)}


def test_only_watched_schedules_tell_of_their_last_success_and_which_never_had_one(store: Store) -> None:
    for name, tags in (("nightly", ["watched"]), ("never", ["watched"]), ("unwatched", [])):
        store.add_schedule(schedules.new(now=NOW, name=name, tags=tags).document() | {"_id": name})
    ended: dict[str, Any] = {"attempt": 1, "daemon": "d", "finished_at": NOW, "schedule": "nightly"}
    add(store, a_run(state=SUCCEEDED, **ended))
    add(store, a_run(state=FAILED, **ended | {"queued_at": NOW + timedelta(hours=1)}))
    assert answer(store).successes == {"nightly": NOW.timestamp(), "never": 0.0}


def test_two_schedules_whose_names_look_alike_make_two_series(store: Store) -> None:
    for id_, name in (("one", "a b"), ("two", "a\tb")):
        store.add_schedule({"_id": id_, "name": name, "tags": ["watched"]})
    assert answer(store).successes == {"a b": 0.0, "two a b": 0.0}


def test_a_queue_of_anything_makes_a_label(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    queues = {"x" * 10**6: Backlog(1, None), "x" * 10**5: Backlog(2, None), 'a\n"\\': Backlog(1, None)}
    monkeypatch.setattr(store, "backlog", lambda: queues)
    assert answer(store).queues == {"x" * 100: (3, 0.0), 'a "\\': (1, 0.0)}


def test_what_takes_too_long_to_count_hides_nothing_else(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    failures: list[None] = []
    monkeypatch.setattr(store, "backlog", raising(StoreTooSlow("too many")))
    found = Asked(store, lambda: failures.append(None)).answer()
    assert (found.queues, found.schedules, len(failures)) == (None, {"enabled": 0, "paused": 0}, 1)


def test_a_store_that_is_away_is_asked_once_and_tells_nothing(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[None] = []
    monkeypatch.setattr(store, "daemons", raising(StoreUnavailable("away")))
    monkeypatch.setattr(store, "backlog", lambda: calls.append(None))
    assert (answer(store), calls) == (Answer(), [])


def test_a_scrape_does_not_wait_for_a_store_that_hangs_and_the_next_one_gets_the_late_answer(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    goes_on, now, calls = threading.Event(), store.now, list[None]()

    def hang() -> Any:
        calls.append(None)
        assert goes_on.wait(60)
        return now()

    monkeypatch.setattr(store, "now", hang)
    monkeypatch.setattr(asked, "WAIT_SECONDS", 0.05)
    question = Asked(store, nothing)
    with ThreadPoolExecutor(3) as scrapes:
        answers = [scrapes.submit(question.answer) for _ in range(3)]
        assert [answer.result(timeout=30) for answer in answers] == [Answer()] * 3
    assert len(calls) == 1  # one question at a time, however many scrape
    goes_on.set()
    wait_until(lambda: question.answer().schedules == {"enabled": 0, "paused": 0}, what="the late answer")


def test_a_store_is_left_alone_after_an_answer_however_many_scrape(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls, daemons = list[None](), store.daemons
    monkeypatch.setattr(store, "daemons", lambda: calls.append(None) or daemons())  # type: ignore[func-returns-value]
    monkeypatch.setattr(asked, "LEAST_PAUSE_SECONDS", 600)
    question = Asked(store, nothing)
    assert all(question.answer().daemons for _ in range(5))
    assert len(calls) == 1


def test_an_answer_of_long_ago_is_none(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    question = Asked(store, nothing)
    assert question.answer().daemons
    monkeypatch.setattr(asked, "KEPT_SECONDS", -1)
    assert question._latest() == Answer()


def test_a_store_that_was_away_is_asked_again_soon(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asked, "PAUSE", 10**9)
    monkeypatch.setattr(asked, "LEAST_PAUSE_SECONDS", 0)
    question, daemons = Asked(store, nothing), store.daemons
    monkeypatch.setattr(store, "daemons", raising(StoreUnavailable("away")))
    assert question.answer() == Answer()
    monkeypatch.setattr(store, "daemons", daemons)
    assert question.answer().daemons == {"alive": 0, "worker": 0, "dead": 0}
