"""A message that somebody forged names a run of a queue that its worker does not serve."""

from __future__ import annotations

from pathlib import Path

from cronlite import Cronlite
from cronlite.daemon.loops import Daemon
from cronlite.daemon.options import Options
from cronlite.daemon.to_broker import message
from cronlite.dispatch.amqp import Publisher
from cronlite.handlers.registry import Registry
from tests.services.rabbitmq import RabbitMQ


def test_a_worker_runs_only_what_is_of_its_own_queues(broker: RabbitMQ, tmp_path: Path) -> None:
    registry, ran = Registry(), list[str]()
    registry.add("work", lambda params: ran.append(params["whose"]))
    with Cronlite(f"sqlite:{tmp_path / 'cronlite.db'}", registry=registry) as cron, Publisher(broker.uri) as publisher:
        theirs = cron.enqueue("work", {"whose": "theirs"}, queue="reports")
        ours = cron.enqueue("work", {"whose": "ours"})
        publisher.send([("default", message(theirs.run)), ("default", message(ours.run))])
        worker = Daemon(cron.store, registry, Options(dispatch=broker.uri, drain_seconds=1), worker=True)
        worker.start()
        try:
            assert ours.wait(60).state == "succeeded"
        finally:
            worker.stop()
        assert theirs.state == "queued"
    assert ran == ["ours"]
