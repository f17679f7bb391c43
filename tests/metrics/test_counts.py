"""What is counted of what a daemon says of itself, and under which labels?"""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest

from cronlite.documents.runs import FINAL, QUEUED, SUCCEEDED
from cronlite.handlers.registry import Registry
from cronlite.metrics import labels
from cronlite.metrics.counts import Counts, Histogram
from cronlite.metrics.exposition import Exposition
from cronlite.metrics.labels import Bounded, clean
from cronlite.store.contract import Store
from tests.metrics.scraping import Samples
from tests.store.samples import NOW, TICK, a_run, add

SECOND = timedelta(seconds=1)


def registry_of(*names: str) -> Registry:
    registry = Registry()
    for name in names:
        registry.add(name, lambda _: None)
    return registry


def samples(counts: Counts, store: Store) -> Samples:
    return Samples(Exposition(store, counts=counts).text()[0].decode())


def test_a_histogram_counts_what_is_no_greater_than_each_bound() -> None:
    histogram = Histogram((1, 5))
    histogram.observe([7, 0.5, 1.5, 1])
    assert (list(histogram.buckets), histogram.sum) == ([("1.0", 2), ("5.0", 3), ("+Inf", 4)], 10)


@pytest.mark.parametrize(
    ("run", "seconds"),
    [
        (a_run(due_at=TICK, run_at=TICK + SECOND, started_at=TICK + 3 * SECOND, attempt=1), 3),
        (a_run(due_at=TICK, run_at=TICK + 60 * SECOND, started_at=TICK + 61 * SECOND, attempt=2), 1),
        (a_run(due_at=TICK, run_at=None, started_at=TICK + 3 * SECOND, attempt=2), 3),
        (a_run(due_at=TICK, started_at=TICK - SECOND, attempt=1), 0),
    ],
    ids=["first attempt: since due", "a retry: since it might", "lane given free", "clock set back"],
)
def test_a_delay_counts_from_when_the_attempt_was_to_start(store: Store, run: object, seconds: float) -> None:
    counts = Counts(registry_of("extract"))
    counts.started(run)  # type: ignore[arg-type]
    assert samples(counts, store).value("cronlite_start_delay_seconds_sum", queue="default") == seconds


def test_only_ends_are_counted_as_runs(store: Store) -> None:
    counts = Counts(registry_of("extract"))
    for state in (QUEUED, SUCCEEDED, SUCCEEDED):
        counts.closed(a_run(), state)
    found = samples(counts, store)
    assert sum(value for (name, _), value in found.values.items() if name == "cronlite_runs_total") == 2
    assert found.value("cronlite_runs_total", handler="extract", state=SUCCEEDED) == 2


def test_a_handler_that_is_not_registered_here_has_no_label_of_its_own(store: Store) -> None:
    counts = Counts(registry_of("extract"))
    counts.closed(a_run(handler="made_up"), "skipped")
    counts.attempted(a_run(handler="made_up"), 1.0)
    found = samples(counts, store)
    assert found.value("cronlite_runs_total", handler="other", state="skipped") == 1
    assert found.labels("cronlite_run_duration_seconds_count", "handler") == {"extract", "other"}


def test_nothing_is_lost_of_what_many_threads_say_at_once(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cronlite.metrics.counts.AT_ONCE", 7)
    counts, run = Counts(registry_of("extract")), a_run(started_at=NOW, attempt=1)

    def work() -> None:
        for _ in range(2_000):
            counts.started(run)
            counts.attempted(run, 0.2)
            counts.closed(run, SUCCEEDED)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = samples(counts, store)
    assert found.value("cronlite_runs_total", handler="extract", state=SUCCEEDED) == 8_000
    assert found.value("cronlite_run_duration_seconds_count", handler="extract") == 8_000
    assert found.value("cronlite_start_delay_seconds_count", queue="default") == 8_000


def test_what_is_noted_and_not_scraped_takes_no_memory_that_grows(store: Store) -> None:
    counts = Counts(registry_of("extract"))
    for _ in range(5_000):
        counts.started(a_run(started_at=NOW, attempt=1))
        counts.attempted(a_run(), 1.0)
        counts.closed(a_run(), SUCCEEDED)
    assert max(len(counts._started), len(counts._attempted), len(counts._closed)) < 1_000


def test_values_beyond_the_most_share_a_label_and_those_kept_have_theirs() -> None:
    bounded = Bounded(2, kept=["default"])
    assert [bounded.of(name) for name in ("a", "b", "c", "a", "default")] == ["a", "other", "other", "a", "default"]


def test_a_label_is_one_line_that_a_terminal_can_show() -> None:
    assert clean("a\nb\x1b[31m" + "c" * 1_000) == f"a b\\x1b[31m{'c' * 89}"


def test_ten_thousand_schedules_and_300_handlers_make_a_bounded_number_of_series(store: Store) -> None:
    names = [f"handler_{number}" for number in range(300)]
    for number in range(10_000):
        store.add_schedule({"_id": f"s{number}", "name": f"s{number}", "tags": ["watched"] if number % 10 == 0 else []})
    counts = Counts(registry_of(*names))
    for number, name in enumerate(names):
        run = a_run(handler=name, queue=f"queue-{number}", started_at=NOW, attempt=1)
        add(store, run)
        counts.started(run)
        counts.attempted(run, 1.0)
        for state in FINAL:
            counts.closed(run, state)
    found = samples(counts, store)
    assert len(found.labels("cronlite_runs_total", "handler")) == labels.MAX_HANDLERS + 1
    assert len(found.labels("cronlite_queue_runs", "queue")) == labels.MAX_QUEUES + 1
    watched = "cronlite_schedule_last_success_timestamp_seconds"
    assert len(found.labels(watched, "schedule")) == labels.MAX_WATCHED
    assert len(found.values) < 4_000
