"""How do the figures read, in Prometheus's words?"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator, Mapping

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from cronlite.metrics.asked import Answer, Asked
from cronlite.metrics.counts import Counts, Histogram
from cronlite.metrics.figures import NOBODY, Levels
from cronlite.store.contract import Store
from cronlite.version import VERSION


class Exposition(Collector):
    """The figures of a store, and of the daemon in this process if there is one: its `counts` and `levels`."""

    def __init__(
        self, store: Store, *, counts: Counts | None = None, levels: Callable[[], Levels] | None = None
    ) -> None:
        self._counts, self._levels = counts, levels
        self._asked = Asked(store, (counts or NOBODY).store_failed)
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)
        ProcessCollector(registry=self._registry)

    def text(self, accept: str = "") -> tuple[bytes, str]:
        """Return all figures, in the form that an Accept header asks for, and their content type.

        Takes a second at most, and leaves out what the store does not tell by then.
        """
        encode, content_type = choose_encoder(accept)
        return encode(self._registry), content_type

    def collect(self) -> Iterator[Metric]:
        """Yield one family of series after the other."""
        answer = self._asked.answer()  # first, for what it counts
        build = GaugeMetricFamily("cronlite_build_info", "The version that runs.", labels=["version", "python"])
        build.add_metric([VERSION, platform.python_version()], 1)
        yield build
        if self._levels:
            yield from _of_now(self._levels())
        if self._counts:
            with self._counts.lock:
                families = list(_counted(self._counts))
            yield from families
        yield from _of_store(answer)


def _of_now(levels: Levels) -> Iterator[Metric]:
    yield _one("cronlite_seats", "Handlers that may be at work at a time.", levels.seats)
    yield _one("cronlite_seats_used", "Handlers at work.", levels.used)
    yield _one("cronlite_threads_stuck", "Handlers that go on after their time-out.", levels.stuck)
    if levels.ticked_at is not None:
        meaning = "When this daemon last saw to its minutes."
        yield _one("cronlite_last_tick_timestamp_seconds", meaning, levels.ticked_at)


def _counted(counts: Counts) -> Iterator[Metric]:
    counts.complete()
    runs = CounterMetricFamily(
        "cronlite_runs", "Runs that this process brought to an end.", labels=["handler", "state"]
    )
    for labels, number in sorted(counts.runs.items()):
        runs.add_metric(labels, number)
    yield runs
    meaning = "How long attempts took, however they ended."
    yield _histogram("cronlite_run_duration_seconds", meaning, "handler", counts.durations)
    meaning = "From when a run was due, or to be tried again, to the call of its handler."
    yield _histogram("cronlite_start_delay_seconds", meaning, "queue", counts.delays)
    ticks = HistogramMetricFamily("cronlite_tick_duration_seconds", "How long this daemon took for a minute.")
    ticks.add_metric([], list(counts.ticks.buckets), counts.ticks.sum)
    yield ticks
    for name, meaning, number in (
        ("cronlite_minutes_missed", "Minutes older than the grace in which no daemon ticked.", counts.minutes_missed),
        ("cronlite_store_errors", "Rounds of work that failed for want of the store.", counts.store_errors),
        ("cronlite_leases_lost", "Times that others took this daemon for dead.", counts.leases_lost),
    ):
        yield CounterMetricFamily(name, meaning, value=number)


def _of_store(answer: Answer) -> Iterator[Metric]:
    if answer.queues is not None:
        runs = {queue: float(number) for queue, (number, _) in answer.queues.items()}
        yield _gauges("cronlite_queue_runs", "Queued runs.", "queue", runs)
        oldest = {queue: seconds for queue, (_, seconds) in answer.queues.items()}
        meaning = "For how long a run has waited that may start."
        yield _gauges("cronlite_queue_oldest_seconds", meaning, "queue", oldest)
    if answer.daemons is not None:
        yield _gauges("cronlite_daemons", "Daemons and workers that share the store.", "state", answer.daemons)
    if answer.schedules is not None:
        yield _gauges("cronlite_schedules", "Schedules in the store.", "state", answer.schedules)
    if answer.successes is not None:
        name = "cronlite_schedule_last_success_timestamp_seconds"
        meaning = "When a schedule tagged 'watched' last succeeded; 0 if no such run is kept."
        yield _gauges(name, meaning, "schedule", answer.successes)


def _one(name: str, meaning: str, value: float) -> Metric:
    return GaugeMetricFamily(name, meaning, value=value)


def _gauges(name: str, meaning: str, label: str, values: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(name, meaning, labels=[label])
    for of, value in values.items():
        family.add_metric([of], value)
    return family


def _histogram(name: str, meaning: str, label: str, histograms: Mapping[str, Histogram]) -> Metric:
    family = HistogramMetricFamily(name, meaning, labels=[label])
    for of, histogram in sorted(histograms.items()):
        family.add_metric([of], list(histogram.buckets), histogram.sum)
    return family
