"""Somebody's names stand in what Prometheus reads: none becomes a series of its own making, nor many a flood."""

from __future__ import annotations

from datetime import timedelta

import pytest

from cronlite.daemon.loops import Daemon
from cronlite.daemon.options import Options
from cronlite.handlers.registry import Registry
from cronlite.metrics.labels import MAX_HANDLERS, MAX_QUEUES
from cronlite.store.contract import Store
from cronlite.when.clock import floor_minute
from tests.metrics.scraping import Samples
from tests.store.samples import a_run, add

FORGED = 'x"} 1\ncronlite_seats 999\ncronlite_runs_total{handler="y'
NAMES = [FORGED, "\\", '"', "a\x00b", "\u2028", "\U0001f4a9" * 300, "{}", "# TYPE x counter", " ", "NaN"]


def figures(daemon: Daemon) -> Samples:
    assert daemon.measured.exposition
    return Samples(daemon.measured.exposition.text()[0].decode())


@pytest.fixture
def daemon(store: Store) -> Daemon:
    registry = Registry()
    registry.add("ok", lambda _: None)
    return Daemon(store, registry, Options(metrics="0", seats=3))


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
def test_a_queue_and_a_schedule_with_such_a_name_are_a_label_each(store: Store, daemon: Daemon, name: str) -> None:
    add(store, a_run(queue=name))
    store.add_schedule({"_id": "s", "name": name, "tags": ["watched"]})
    found = figures(daemon)
    assert found.value("cronlite_seats") == 3
    assert len(found.labels("cronlite_queue_runs", "queue")) == 1
    assert len(found.labels("cronlite_schedule_last_success_timestamp_seconds", "schedule")) == 1
    assert not any(handler.startswith("y") for handler in found.labels("cronlite_runs_total", "handler"))


def test_schedules_of_handlers_that_nobody_has_make_one_series_more(store: Store, daemon: Daemon) -> None:
    now = floor_minute(store.now())
    for number in range(2 * MAX_HANDLERS):
        id_ = f"s{number}"
        store.add_schedule({"_id": id_, "handler": f"made_up_{number}", "active_from": now})
        add(store, a_run(f"{id_}-earlier", schedule=id_, lane=id_, handler="ok", due_at=now - timedelta(hours=1)))
    daemon.step(now + timedelta(seconds=1))
    found = figures(daemon)
    assert found.value("cronlite_runs_total", handler="other", state="skipped") == 2 * MAX_HANDLERS
    assert found.labels("cronlite_runs_total", "handler") == {"ok", "other"}


def test_queues_without_number_are_few_series_and_none_of_their_runs_is_lost(store: Store, daemon: Daemon) -> None:
    add(store, *(a_run(queue=f"q{number}") for number in range(10 * MAX_QUEUES)))
    found = figures(daemon)
    labels = found.labels("cronlite_queue_runs", "queue")
    assert len(labels) == MAX_QUEUES + 1
    assert sum(found.value("cronlite_queue_runs", queue=label) or 0 for label in labels) == 10 * MAX_QUEUES
