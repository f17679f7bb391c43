"""Does a trace reach a worker, and readers in other languages, through a real RabbitMQ?"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from cronlite import Cronlite
from cronlite.daemon.loops import Daemon
from cronlite.daemon.options import Options
from cronlite.dispatch.amqp import Publisher
from cronlite.dispatch.amqp.link import queue_of
from cronlite.handlers.registry import Registry
from tests.services.rabbitmq import RabbitMQ
from tests.tracing.conftest import exporter
from tests.waiting import wait_until

__all__ = ["exporter"]


@pytest.fixture
def cron(tmp_path: Path) -> Iterator[Cronlite]:
    with Cronlite(f"sqlite:{tmp_path / 'cronlite.db'}", registry=Registry()) as cron:
        cron.registry.add("ok", lambda _: None)
        yield cron


@pytest.fixture
def sending(cron: Cronlite, broker: RabbitMQ) -> Iterator[Daemon]:
    """A daemon that leaves all runs to workers."""
    daemon = Daemon(cron.store, cron.registry, Options(seats=0, dispatch=broker.uri))
    daemon.start()
    yield daemon
    daemon.stop(hard=True)


def test_a_message_has_the_trace_in_its_headers(
    cron: Cronlite, broker: RabbitMQ, sending: Daemon, exporter: InMemorySpanExporter
) -> None:
    with trace.get_tracer("tests").start_as_current_span("request"):
        traced = cron.enqueue("ok").id
    expected = cron.run_of(traced).traceparent
    assert expected
    with Publisher(broker.uri) as publisher:
        publisher.waiting("default")
        message = wait_until(lambda: publisher._channel.basic_get(queue_of("default")), what="the message")
        assert message.headers["traceparent"] == expected


def test_the_attempt_of_a_worker_is_a_child_of_the_caller(
    cron: Cronlite, broker: RabbitMQ, sending: Daemon, exporter: InMemorySpanExporter
) -> None:
    with trace.get_tracer("tests").start_as_current_span("request") as span:
        id_ = cron.enqueue("ok").id
    worker = Daemon(cron.store, cron.registry, Options(seats=1, dispatch=broker.uri), worker=True)
    worker.start()
    try:
        wait_until(lambda: cron.run_of(id_).finished_at, what="the run ends")
    finally:
        worker.stop(hard=True)
    (attempt,) = (one for one in exporter.get_finished_spans() if one.name == "run ok")
    assert attempt.parent
    assert attempt.parent.span_id == span.get_span_context().span_id
