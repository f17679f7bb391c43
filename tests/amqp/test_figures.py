"""Is what workers run, told of by a real RabbitMQ, among their figures?"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cronlite import Cronlite
from cronlite.daemon.loops import Daemon
from cronlite.daemon.options import Options
from cronlite.handlers.registry import Registry
from tests.metrics.scraping import Samples
from tests.services.rabbitmq import RabbitMQ
from tests.waiting import wait_until


@pytest.fixture
def cron(tmp_path: Path) -> Iterator[Cronlite]:
    with Cronlite(f"sqlite:{tmp_path / 'cronlite.db'}", registry=Registry()) as cron:
        cron.registry.add("ok", lambda _: None)
        yield cron


def test_a_worker_tells_of_what_it_runs_and_of_no_ticks(cron: Cronlite, broker: RabbitMQ) -> None:
    shared: dict[str, Any] = {"dispatch": broker.uri, "metrics": "0"}
    nodes = [
        Daemon(cron.store, cron.registry, Options(seats=0, **shared)),
        Daemon(cron.store, cron.registry, Options(seats=2, **shared), worker=True),
    ]
    try:
        for node in nodes:
            node.start()
        for _ in range(3):
            cron.enqueue("ok")
        ended = ("cronlite_runs_total", frozenset({("handler", "ok"), ("state", "succeeded")}))
        wait_until(lambda: Samples.of(nodes[1]).values[ended] == 3, what="the worker counts three runs")
        sender, worker = map(Samples.of, nodes)
        assert sender.values[ended] == 0
        assert worker.value("cronlite_start_delay_seconds_count", queue="default") == 3
        assert (sender.value("cronlite_seats"), worker.value("cronlite_seats")) == (0, 2)
        ticked = "cronlite_last_tick_timestamp_seconds"
        assert (sender.value(ticked) is None, worker.value(ticked)) == (False, None)
    finally:
        for node in nodes:
            node.stop(hard=True)
