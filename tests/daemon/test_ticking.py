"""A tick: every due schedule gets its run, late minutes are made up for, and overlap is kept."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from cronlite.daemon import batches, ticking
from cronlite.daemon.batches import Writing
from cronlite.daemon.store_clock import steady
from cronlite.daemon.ticking import Count, Inserts, Periods, Ticker
from cronlite.documents import runs, schedules, transitions
from cronlite.documents.runs import Run
from cronlite.store.contract import ClaimQuery, RunQuery, Store
from cronlite.when.clock import MINUTE

START = datetime(2026, 11, 21, 10, 0, tzinfo=timezone.utc)
WAKE = timedelta(seconds=1)


def ticker(store: Store, daemon: str = "me", dead: tuple[str, ...] = ()) -> Ticker:
    return Ticker(
        store,
        Inserts(lambda new: store.add_runs(new)),
        lambda: daemon,
        dead.__contains__,
        Periods(timedelta(minutes=5), timedelta(days=1)),
    )


def add(store: Store, id_: str, **given: Any) -> None:
    store.add_schedule(schedules.new(now=START - timedelta(days=30), **given).document() | {"_id": id_})


def add_at_ten(store: Store, count: int) -> None:
    for number in range(count):
        add(store, f"s{number}", minute=10)


def test_the_batches_of_a_minute_are_added_as_one(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "FIRST_BATCH", 1)
    add_at_ten(store, 4)
    heard: list[str] = []

    @contextmanager
    def adding() -> Iterator[None]:
        heard.append("begun")
        yield
        heard.append("ended")

    def add_runs(new: list[Run]) -> set[str]:
        heard.append("batch")
        return store.add_runs(new)

    one = started_at(store, 9)
    one.inserts = Inserts(add_runs, adding)
    one.step(START + 10 * MINUTE + WAKE)
    assert heard == ["begun", "batch", "batch", "batch", "ended"]


def started_at(store: Store, minute: int, daemon: str = "me") -> Ticker:
    """Return a ticker that has done everything up to a minute of the hour."""
    one = ticker(store, daemon)
    one.step(START + minute * MINUTE + WAKE)
    return one


def made(store: Store, schedule: str | None = None) -> list[Run]:
    return sorted(store.runs(RunQuery(schedule=schedule)), key=lambda run: run.id)


def minutes_of(store: Store, schedule: str) -> list[int]:
    return [round((run.due_at - START) / MINUTE) for run in made(store, schedule)]


def finish(store: Store, *, now: datetime) -> None:
    """Claim and end everything that can be claimed."""
    while claimed := store.claim_runs("me", ClaimQuery(["default"], now, 100)):
        store.change_runs([(run, transitions.closed(runs.SUCCEEDED, now)) for run in claimed])
        store.release_lanes(now)


def test_each_due_schedule_gets_one_run_however_often_the_tick_is_done(store: Store) -> None:
    add(store, "every")
    add(store, "half", minute=30)
    for daemon in ("one", "two", "one"):
        ticker(store, daemon).step(START + 30 * MINUTE + WAKE)
    assert minutes_of(store, "every") == [26, 27, 28, 29, 30]
    assert minutes_of(store, "half") == [30]


def test_a_run_carries_the_schedules_params_and_minute(store: Store) -> None:
    add(store, "s", minute=7, user="alice", params={"a": 1})
    started_at(store, 7)
    (run,) = made(store)
    assert (run.id, run.user, run.params) == ("s@2026-11-21T10:07Z", "alice", {"a": 1})
    assert (run.due_at, run.state) == (START + 7 * MINUTE, "queued")


def test_an_undone_tick_of_a_live_daemon_is_left_to_it_and_of_a_dead_one_taken_over(store: Store) -> None:
    add(store, "every")
    started_at(store, 9)
    (entry,) = (tick for tick in _todo(store, START + 10 * MINUTE + WAKE, "other"))
    store.claim_tick(entry)
    ticker(store).step(START + 10 * MINUTE + WAKE)
    assert 10 not in minutes_of(store, "every")
    ticker(store, dead=("other",)).step(START + 10 * MINUTE + WAKE)
    assert 10 in minutes_of(store, "every")


def test_a_tick_of_a_live_daemon_is_not_even_asked_for(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """With fifty daemons, each minute would else cost fifty writes."""
    started_at(store, 9)
    (entry,) = (tick for tick in _todo(store, START + 10 * MINUTE + WAKE, "other"))
    store.claim_tick(entry)
    asked: list[str] = []
    monkeypatch.setattr(store, "claim_tick", lambda tick: asked.append(tick.daemon))
    ticker(store).step(START + 10 * MINUTE + WAKE)
    assert asked == []


def test_a_tick_whose_daemon_dies_long_after_the_grace_is_taken_over(store: Store) -> None:
    add(store, "every")
    dead: list[str] = []
    mine = ticker(store)
    mine.is_dead = dead.__contains__
    mine.step(START + 9 * MINUTE + WAKE)
    (entry,) = (tick for tick in _todo(store, START + 10 * MINUTE + WAKE, "other"))
    store.claim_tick(entry)
    for minute in range(10, 18):
        mine.step(START + minute * MINUTE + WAKE)
    assert 10 not in minutes_of(store, "every")
    dead.append("other")
    mine.step(START + 18 * MINUTE + WAKE)
    (taken,) = (tick for tick in store.ledger(entry.minute, entry.minute) if tick.minute == entry.minute)
    assert (taken.daemon, taken.done_at) == ("me", START + 18 * MINUTE + WAKE)


def test_a_tick_that_failed_half_way_is_done_by_the_next_step(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    add(store, "every")
    one = started_at(store, 9)
    with monkeypatch.context() as broken:
        broken.setattr(store, "add_runs", _raise)
        with pytest.raises(OSError, match="pulled"):
            one.step(START + 10 * MINUTE + WAKE)
    one.step(START + 11 * MINUTE + WAKE)
    assert minutes_of(store, "every")[-2:] == [10, 11]


def test_a_batch_that_fails_beside_another_is_done_by_the_next_step(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "FIRST_BATCH", 2)
    monkeypatch.setattr(batches, "BATCH", 2)
    add_at_ten(store, 9)
    one, fails, lock = started_at(store, 9), iter([False, True, False, False, False]), threading.Lock()

    def add_runs(new: list[Run]) -> set[str]:
        with lock:
            if next(fails):
                _raise()
        return store.add_runs(new)

    one.inserts = Inserts(add_runs)
    with pytest.raises(OSError, match="pulled"):
        one.step(START + 10 * MINUTE + WAKE)
    written = len(made(store))
    assert 0 < written < 9
    one.inserts = Inserts(store.add_runs)
    assert one.step(START + 11 * MINUTE + WAKE) == 9 - written
    assert len(made(store)) == 9


def test_the_first_batches_are_small_and_each_is_twice_as_large_as_the_last(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "FIRST_BATCH", 2)
    monkeypatch.setattr(batches, "BATCH", 6)
    add_at_ten(store, 19)
    one, sizes = started_at(store, 9), list[int]()

    def add_runs(new: list[Run]) -> set[str]:
        sizes.append(len(new))
        return store.add_runs(new)

    one.inserts = Inserts(add_runs)
    one.step(START + 10 * MINUTE + WAKE)
    assert sorted(sizes) == [1, 2, 4, 6, 6]


def at(minute: int, milliseconds: int = 1_000) -> datetime:
    return START + minute * MINUTE + timedelta(milliseconds=milliseconds)


def prepared(one: Ticker, minute: int, milliseconds: int = 800) -> bool:
    one.prepare(at(minute, milliseconds), at(minute))
    return one.is_prepared


def test_a_minute_is_prepared_once_it_has_begun_and_done_from_what_was_read(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(store, "ten", minute=10)
    one, other = started_at(store, 9), started_at(store, 9, "other")
    assert [prepared(one, 10, milliseconds) for milliseconds in (-1, 1_000, 0, 900)] == [False, False, True, True]
    assert not prepared(other, 10)
    assert [tick.done_at for tick in store.ledger(at(10, 0), at(10))][-1] is None
    assert other.step(at(10)) == 0
    with monkeypatch.context() as unread:
        unread.setattr(store, "candidates", _raise)
        assert one.step(at(10)) == 1
    assert not one.is_prepared
    assert minutes_of(store, "ten") == [10]
    assert (one.step(at(11)), other.step(at(11))) == (0, 0)


def test_more_is_due_than_is_read_ahead(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "FIRST_BATCH", 2)
    monkeypatch.setattr(batches, "MAX_AHEAD", 4)
    add_at_ten(store, 9)
    one = started_at(store, 9)
    assert prepared(one, 10)
    assert one.step(at(10)) == 9


def test_nothing_is_prepared_before_all_minutes_before_are_done(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    add(store, "every")
    one = ticker(store)
    assert not prepared(one, 5)  # an empty ledger, in which this would be the first minute
    one.step(at(5))
    assert not prepared(one, 7)
    with monkeypatch.context() as broken:
        broken.setattr(store, "add_runs", _raise)
        with pytest.raises(OSError, match="pulled"):
            one.step(at(7))
    assert not prepared(one, 8)
    one.step(at(8))
    assert minutes_of(store, "every") == list(range(1, 9))
    assert prepared(one, 9)


def test_what_is_prepared_is_read_again_after_a_pause(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    add(store, "gone", minute=10)
    one = started_at(store, 9)
    assert prepared(one, 10)
    assert store.remove_schedule("gone")
    monkeypatch.setattr(ticking, "steady", lambda: steady() + 2)  # a machine that slept
    assert one.step(at(10)) == 0
    assert [tick.done_at for tick in store.ledger(at(10, 0), at(10))][-1] == at(10)


@pytest.mark.parametrize("method", ["expressions", "candidates"])
def test_a_preparation_that_fails_loses_nothing(store: Store, monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    add(store, "ten", minute=10)
    one = started_at(store, 9)
    with monkeypatch.context() as broken:
        broken.setattr(store, method, _raise)
        with pytest.raises(OSError, match="pulled"):
            prepared(one, 10)
    assert one.step(at(10)) == 1


def test_a_minute_prepared_in_the_name_of_a_dead_daemon_is_taken_over(store: Store) -> None:
    add(store, "ten", minute=10)
    one = started_at(store, 9)
    assert prepared(one, 10)
    one.daemon = lambda: "me again"
    assert one.step(at(10)) == 0
    one.is_dead = {"me"}.__contains__
    assert one.step(at(11)) == 1
    assert minutes_of(store, "ten") == [10]


def test_a_minute_that_was_prepared_when_the_clock_is_put_on_is_in_time(store: Store) -> None:
    add(store, "ten", minute=10)
    one = started_at(store, 9)
    assert prepared(one, 10)
    assert one.step(at(40)) == 1
    assert [(tick.due, tick.skipped) for tick in store.ledger(at(10, 0), at(10))][-1] == (1, 0)


def test_a_minute_that_was_prepared_when_the_clock_is_set_back_is_done_when_it_comes(store: Store) -> None:
    add(store, "ten", minute=10)
    one = started_at(store, 9)
    assert prepared(one, 10)
    assert one.step(at(9, 30_000)) == 0
    assert one.step(at(10)) == 1


def test_a_minute_that_is_done_is_not_prepared_again_when_the_clock_is_set_back(store: Store) -> None:
    one = started_at(store, 9)
    one.step(at(10))
    one.step(at(9))
    assert not prepared(one, 10)


@pytest.mark.parametrize(
    ("catch_up", "expected", "left_out"),
    [("skip", [], 55), ("latest", [55], 54), ("all", list(range(1, 56)), 0)],
)
def test_beyond_the_grace_each_catch_up_does_what_it_says(
    store: Store, catch_up: str, expected: list[int], left_out: int
) -> None:
    one = started_at(store, 0)
    add(store, "s", catch_up=catch_up)
    one.step(START + 60 * MINUTE + WAKE)
    assert minutes_of(store, "s") == [*expected, 56, 57, 58, 59, 60]
    (gap,) = (tick for tick in store.ledger(START, START + timedelta(hours=2)) if tick.is_gap)
    assert (gap.from_at, gap.to_at) == (START + MINUTE, START + 55 * MINUTE)
    assert (gap.due, gap.skipped) == (len(expected), left_out)


def test_no_more_than_a_thousand_minutes_of_a_gap_are_made_up_for_the_newest_first(store: Store) -> None:
    one = started_at(store, 0)
    add(store, "s", catch_up="all")
    one.step(START + 1205 * MINUTE + WAKE)
    assert minutes_of(store, "s") == list(range(201, 1206))


def test_a_gap_is_made_up_for_only_as_far_back_as_the_window(store: Store) -> None:
    one = started_at(store, 0)
    add(store, "s", minute=0, catch_up="all")
    one.step(START + timedelta(days=3) + WAKE)
    assert made(store, "s")[0].due_at == START + timedelta(days=2, hours=0) + timedelta(hours=0) + 0 * MINUTE
    assert len(made(store, "s")) == 25


def test_overlap_skip_records_the_skip_and_its_reason(store: Store) -> None:
    one = started_at(store, 0)
    add(store, "s")
    one.step(START + 1 * MINUTE + WAKE)
    one.step(START + 2 * MINUTE + WAKE)
    first, second = made(store)
    assert (first.state, second.state) == ("queued", "skipped")
    assert second.reason == f"run {first.id} is still at work"
    assert second.expires_at is not None


def test_overlap_wait_runs_one_after_the_other_in_order(store: Store) -> None:
    one = started_at(store, 0)
    add(store, "s", overlap="wait")
    for minute in (1, 2, 3):
        one.step(START + minute * MINUTE + WAKE)
    order = []
    for _ in range(3):
        now = START + 5 * MINUTE
        (run,) = store.claim_runs("me", ClaimQuery(["default"], now, 10))
        order.append(run.id[-6:])
        assert store.release_lanes(now) == 0
        store.change_runs([(run, transitions.closed(runs.SUCCEEDED, now))])
        store.release_lanes(now)
    assert order == ["10:01Z", "10:02Z", "10:03Z"]


def test_overlap_allow_runs_side_by_side(store: Store) -> None:
    one = started_at(store, 0)
    add(store, "s", overlap="allow")
    one.step(START + 1 * MINUTE + WAKE)
    one.step(START + 2 * MINUTE + WAKE)
    assert len(store.claim_runs("me", ClaimQuery(["default"], START + 3 * MINUTE, 10))) == 2


def test_runs_that_make_up_for_late_ticks_wait_for_each_other_and_the_one_in_time_for_them(store: Store) -> None:
    one = started_at(store, 0)
    add(store, "s")
    one.step(START + 4 * MINUTE + WAKE)
    assert [run.state for run in made(store)] == ["queued"] * 4
    finish(store, now=START + 4 * MINUTE + WAKE)
    assert [run.state for run in made(store)] == ["succeeded"] * 4


def test_a_document_that_cannot_be_read_is_reported_once_and_stops_nothing(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    one = started_at(store, 0)
    add(store, "good")
    store.add_schedule({"_id": "bad", "params": {}, "retries": "many"})
    with caplog.at_level("WARNING"):
        one.step(START + 1 * MINUTE + WAKE)
        one.step(START + 2 * MINUTE + WAKE)
    assert minutes_of(store, "good") == [1, 2]
    told = [record.getMessage() for record in caplog.records if "bad" in record.getMessage()]
    assert len(told) == 1
    assert "retries: 'many'" in told[0]


def test_a_clock_set_back_does_nothing_again_and_one_set_forward_is_a_gap(store: Store) -> None:
    add(store, "s", catch_up="skip")
    one = started_at(store, 60)
    one.step(START + 10 * MINUTE + WAKE)
    one.step(START + timedelta(days=3652) + WAKE)
    one.step(START + 61 * MINUTE + WAKE)
    assert minutes_of(store, "s")[-1] - 3652 * 1440 == 0
    assert 61 in minutes_of(store, "s")
    assert minutes_of(store, "s").count(60) == 1


def _todo(store: Store, now: datetime, daemon: str) -> Any:
    from cronlite.documents.ticks import to_do

    return to_do(store.ledger(now - timedelta(hours=1), now), now, timedelta(minutes=5), daemon)


def _raise(*_: object) -> None:
    raise OSError("the plug was pulled")


@pytest.mark.parametrize("granted", [0, 1])
def test_a_tick_is_written_without_the_threads_that_it_would_like(
    granted: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    left, start = [None] * granted, threading.Thread.start

    def started(thread: threading.Thread) -> None:
        if not left:
            raise RuntimeError("can't start new thread")
        left.pop()
        start(thread)

    written: list[int] = []
    writings = [Writing(lambda number=number: written.append(number) or Count(queued=1)) for number in range(5)]  # type: ignore[misc,func-returns-value]
    with monkeypatch.context() as patch, ThreadPoolExecutor(2) as writers:
        patch.setattr(threading.Thread, "start", started)
        for writing in writings:
            with suppress(RuntimeError):
                writers.submit(writing.begin)
        assert sum(writing.end().queued for writing in writings) == 5
    assert sorted(written) == [0, 1, 2, 3, 4], "each once"
