"""Does work reach workers through a real RabbitMQ, once, whatever happens on the way?"""

from __future__ import annotations

import json
import logging
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from cronlite import Cronlite
from cronlite.cli import cli
from cronlite.client.following import Follower
from cronlite.daemon import claims, from_broker, to_broker
from cronlite.daemon.loops import Daemon
from cronlite.daemon.options import Options
from cronlite.daemon.to_broker import message
from cronlite.dispatch.amqp import Consumer, Message, Publisher, Raw, link
from cronlite.dispatch.amqp import consumer as receiving
from cronlite.dispatch.amqp.frames import MAX_BODY
from cronlite.documents.daemons import DaemonRecord
from cronlite.documents.runs import MISSED, QUEUED, SUCCEEDED, Run
from cronlite.errors import ConfigurationError, InvalidInput
from cronlite.handlers.output import capture_prints
from cronlite.handlers.registry import Registry
from tests.amqp.queues import empty
from tests.services.rabbitmq import RabbitMQ
from tests.store.samples import a_run, add
from tests.waiting import wait_until

TICK = datetime(2026, 11, 21, 2, 30, tzinfo=timezone.utc)


@pytest.fixture
def cron(tmp_path: Path) -> Iterator[Cronlite]:
    with Cronlite(f"sqlite:{tmp_path / 'cronlite.db'}", registry=Registry()) as cron:
        yield cron


class Node:
    """A daemon or a worker in threads of this process."""

    def __init__(self, cron: Cronlite, uri: str, *, worker: bool, seats: int, **options: Any) -> None:
        registry = options.pop("registry", cron.registry)
        self.daemon = Daemon(cron.store, registry, Options(seats=seats, dispatch=uri, **options), worker=worker)
        self.daemon.start()
        assert self.daemon.wait_ready(60)

    @property
    def trouble(self) -> str:
        end = self.daemon._sending or self.daemon._feeding
        assert end is not None
        return end.trouble.told


Start = Callable[..., Node]


@pytest.fixture
def start(cron: Cronlite) -> Iterator[Start]:
    """Starts daemons with no seats of their own, and workers; stops them with the test."""
    started: list[Node] = []

    def begin(uri: str, *, worker: bool = False, seats: int | None = None, **options: Any) -> Node:
        seats = (4 if worker else 0) if seats is None else seats
        started.append(Node(cron, uri, worker=worker, seats=seats, **options))
        return started[-1]

    yield begin
    for node in started:
        node.daemon.stop(hard=True)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is lost is looked for after a second instead of a minute."""
    for module in (to_broker, from_broker):
        monkeypatch.setattr(module, "LOST_AFTER", timedelta(seconds=1))
    monkeypatch.setattr(to_broker, "LOOK_FOR_LOST_SECONDS", 0.5)


def states(cron: Cronlite) -> Counter[str]:
    return Counter(run.state for run in cron.runs(limit=None))


def all_done(cron: Cronlite, count: int, *, limit_seconds: float = 60) -> None:
    wait_until(
        lambda: states(cron) == {SUCCEEDED: count},
        limit_seconds=limit_seconds,
        what=f"all {count} runs succeeded",
        instead=lambda: states(cron),
        interval_seconds=0.1,
    )


# what is sent of a run


def test_a_message_tells_of_its_run_in_plain_json() -> None:
    run = Run(id="r", handler="h", params={"a": 1}, due_at=TICK, queued_at=TICK, user="Åsa", queue="reports")
    assert json.loads(json.dumps(message(run))) == {
        "run": "r",
        "handler": "h",
        "params": {"a": 1},
        "queue": "reports",
        "due_at": "2026-11-21T02:30:00+00:00",
        "deadline_at": None,
        "user": "Åsa",
        "attempt": 1,
    }


@pytest.mark.parametrize("params", [{"a": "x" * to_broker.MAX_PARAMS}, {"a": TICK}, {"a": b"bytes"}])
def test_params_too_large_or_no_json_stay_in_the_store(params: dict[str, Any]) -> None:
    told = message(Run(id="r", handler="h", params=params, due_at=TICK, queued_at=TICK))
    assert "params" not in told
    json.dumps(told)


# daemons and workers


def test_a_worker_runs_what_a_daemon_without_seats_sends(cron: Cronlite, broker: RabbitMQ, start: Start) -> None:
    ran: list[int] = []
    cron.registry.add("work", lambda params: ran.append(params["n"]))
    start(broker.uri)
    worker = start(broker.uri, worker=True)
    for n in range(30):
        cron.enqueue("work", {"n": n})
    all_done(cron, 30)
    assert sorted(ran) == list(range(30))
    assert [run.attempt for run in cron.runs()] == [1] * len(cron.runs())
    records = {record.id: record for record in cron.store.daemons()}
    record = records[worker.daemon.membership.id]
    assert (record.ticks, record.queues) == (False, ["default"])
    assert sum(record.ticks for record in records.values()) == 1
    assert cron.store.ledger(TICK - timedelta(days=9999), TICK + timedelta(days=9999)) is not None


def test_what_a_workers_handler_prints_is_followed(cron: Cronlite, broker: RabbitMQ, start: Start) -> None:
    go = threading.Event()

    def work(_: object) -> None:
        print("begun")
        assert go.wait(60)

    cron.registry.add("work", work)
    start(broker.uri)
    with capture_prints():
        start(broker.uri, worker=True)
        follower = Follower(cron, cron.enqueue("work").id)
        wait_until(lambda: follower.look()[1] == "begun\n", what="its output", interval_seconds=0.1)
        go.set()
        all_done(cron, 1)


def test_a_worker_takes_only_its_queues(cron: Cronlite, broker: RabbitMQ, start: Start) -> None:
    cron.registry.add("work", lambda _: None)
    start(broker.uri)
    start(broker.uri, worker=True, queues=("reports",))
    others = [cron.enqueue("work") for _ in range(3)]
    cron.enqueue("work", queue="reports").wait(60)
    cron.schedule(handler="work", queue="reports", name="nightly")
    cron.trigger("nightly").wait(60)
    assert {handle.state for handle in others} == {QUEUED}
    with pytest.raises(InvalidInput, match="queue"):
        cron.enqueue("work", queue="a queue")
    with pytest.raises(InvalidInput, match="queue"):
        cron.enqueue("work", queue="set_aside")


def test_the_backlog_stays_at_the_broker_for_whoever_joins_late(cron: Cronlite, broker: RabbitMQ, start: Start) -> None:
    let_go, at_work = threading.Event(), threading.Semaphore(0)

    def hold(params: object) -> None:
        at_work.release()
        let_go.wait(90)

    cron.registry.add("work", hold)
    start(broker.uri)
    first = start(broker.uri, worker=True, seats=3)
    for _ in range(20):
        cron.enqueue("work")
    with Publisher(broker.uri) as publisher:
        wait_until(lambda: publisher.waiting("default") == 17, what="3 of 20 are taken")
        late = start(broker.uri, worker=True, seats=5)
        wait_until(lambda: publisher.waiting("default") == 12, what="5 more are taken")
    pools = first.daemon.claimer.pool, late.daemon.claimer.pool
    wait_until(lambda: [pool.running for pool in pools] == [3, 5], what="each seat has its run")
    let_go.set()
    all_done(cron, 20)


def test_while_seats_are_taken_for_long_nothing_is_kept_from_the_broker(
    cron: Cronlite, broker: RabbitMQ, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(from_broker, "OWED_SECONDS", 0.5)
    let_go = threading.Event()
    cron.registry.add("work", lambda _: let_go.wait(90))
    start(broker.uri)
    worker = start(broker.uri, worker=True, seats=3)
    for _ in range(10):
        cron.enqueue("work")

    def unsettled_and_waiting() -> str:
        return broker.ctl("list_queues", "--no-table-headers", "messages_unacknowledged", "messages_ready").strip()

    wait_until(lambda: worker.daemon.claimer.pool.running == 3, what="all seats are taken")
    wait_until(lambda: "0\t7" in unsettled_and_waiting(), what="all is settled that was taken")
    let_go.set()
    all_done(cron, 10)


def test_a_worker_that_stops_leaves_no_message_of_what_it_ran(cron: Cronlite, broker: RabbitMQ, start: Start) -> None:
    let_go = threading.Event()
    cron.registry.add("work", lambda _: let_go.wait(90))
    start(broker.uri)
    worker = start(broker.uri, worker=True, seats=2, drain_seconds=60).daemon
    for _ in range(5):
        cron.enqueue("work")
    wait_until(lambda: worker.claimer.pool.running == 2, what="its seats are taken")
    stopping = threading.Thread(target=worker.stop)
    stopping.start()
    wait_until(lambda: "default" not in broker.ctl("list_consumers"), what="it has parted")
    with Publisher(broker.uri) as publisher:
        wait_until(lambda: publisher.waiting("default") == 3, what="three are left to others")
    let_go.set()
    stopping.join(60)
    assert states(cron) == {SUCCEEDED: 2, QUEUED: 3}
    start(broker.uri, worker=True)
    all_done(cron, 5)


def test_doubled_messages_and_those_of_gone_runs_run_nothing(
    cron: Cronlite, broker: RabbitMQ, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[str] = []
    settled: list[Message] = []
    settle = Consumer.settle

    def noted(self: Consumer, messages: Iterable[Message]) -> None:
        given = list(messages)
        settle(self, given)
        settled.extend(given)

    monkeypatch.setattr(Consumer, "settle", noted)
    cron.registry.add("work", lambda _: ran.append("x"))
    handle = cron.enqueue("work")
    body = message(handle.run)
    with Publisher(broker.uri) as publisher:
        publisher.send([("default", body)] * 10 + [("default", {**body, "run": "gone"})])
        start(broker.uri, worker=True, seats=8)
        assert handle.wait(60).state == SUCCEEDED
    wait_until(lambda: len(settled) >= 11, what="all of them are acknowledged", instead=lambda: settled)
    assert ran == ["x"]


def test_what_is_not_ours_is_set_aside_with_the_reason(
    cron: Cronlite, broker: RabbitMQ, start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    cron.registry.add("work", lambda _: None)
    poison = [
        Raw("default", b"not json"),
        Raw("default", b"\x80\x04K*.", "application/x-python-serialize"),
        Raw("default", b'{"run": 7}'),
        Raw("default", b'"' + b"a" * MAX_BODY + b'"'),
    ]
    with Publisher(broker.uri) as publisher, caplog.at_level(logging.WARNING, "cronlite.amqp"):
        publisher.send_raw(poison)
        start(broker.uri)
        start(broker.uri, worker=True)
        assert cron.enqueue("work").wait(60).state == SUCCEEDED
        wait_until(lambda: publisher.waiting("set_aside") == 4, what="four are set aside")
        kept = [publisher._channel.basic_get(link.queue_of("set_aside")) for _ in poison]
    assert {bytes(one.body) for one in kept} == {one.body[: receiving.ASIDE_BODY] for one in poison}
    assert all(one.headers[receiving.REASON] and one.headers["cronlite-queue"] == "default" for one in kept)
    assert sum("set aside" in record.getMessage() for record in caplog.records) == 4


def test_a_run_whose_handler_a_worker_lacks_comes_to_one_that_has_it(
    cron: Cronlite, broker: RabbitMQ, start: Start, impatient: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(from_broker, "STORE_POLL_SECONDS", 1.0)
    start(broker.uri)
    lacking, having = Registry(), Registry()
    having.add("rare", lambda _: None)
    start(broker.uri, worker=True, registry=lacking)
    handle = cron.enqueue("rare")
    with Publisher(broker.uri) as publisher:
        wait_until(lambda: handle.run.sent_at and publisher.waiting("default") == 0, what="it was left")
    assert handle.state == QUEUED
    start(broker.uri, worker=True, registry=having)
    assert handle.wait(60).state == SUCCEEDED


def test_a_worker_that_lacks_a_handler_offers_its_runs_to_others_at_once(
    cron: Cronlite, broker: RabbitMQ, start: Start
) -> None:
    lacking, having = Registry(), Registry()
    having.add("rare", lambda _: None)
    start(broker.uri, worker=True, registry=lacking)
    start(broker.uri, worker=True, registry=having)
    wait_until(lambda: broker.ctl("list_consumers").count("cronlite.default") == 2, what="both workers consume")
    start(broker.uri)
    for _ in range(6):  # they take turns, so that the first to get it is the wrong one half the time
        assert cron.enqueue("rare").wait(30).state == SUCCEEDED  # long before anybody looks for what is lost


def test_of_the_runs_that_two_daemons_died_with_a_worker_takes_one_at_a_time(
    cron: Cronlite, broker: RabbitMQ, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims, "LATER_SECONDS", 1.5)
    alone, found_alone = threading.Lock(), []

    def work(params: object) -> None:
        found_alone.append(alone.acquire(blocking=False))
        threading.Event().wait(0.1)
        alone.release()

    cron.registry.add("work", work)
    add(cron.store, *(a_run(handler="work", crashes=2) for _ in range(5)))
    start(broker.uri)
    start(broker.uri, worker=True, seats=4)
    all_done(cron, 5)
    assert found_alone == [True] * 5


def test_a_run_past_its_deadline_is_missed(cron: Cronlite, broker: RabbitMQ, start: Start) -> None:
    ran: list[str] = []
    cron.registry.add("work", lambda _: ran.append("x"))
    start(broker.uri)
    late = cron.enqueue("work", deadline=timedelta(milliseconds=-1))
    timely = cron.enqueue("work", deadline=timedelta(minutes=1))
    start(broker.uri, worker=True)
    assert timely.wait(60).state == SUCCEEDED
    missed = late.wait(60)
    assert missed.state == MISSED
    assert "deadline" in (missed.reason or "")
    assert missed.started_at is None
    assert ran == ["x"]


def test_a_run_past_its_deadline_is_missed_without_a_broker_too(cron: Cronlite) -> None:
    cron.registry.add("work", lambda _: None)
    late = cron.enqueue("work", deadline=timedelta(0))
    cron.start()
    assert late.wait(60).state == MISSED


# faults


def alive(cron: Cronlite) -> list[DaemonRecord]:
    return [record for record in cron.store.daemons() if record.dead_at is None]


def test_with_the_broker_down_runs_stay_queued_and_the_record_says_why(
    cron: Cronlite, broker: RabbitMQ, start: Start
) -> None:
    cron.registry.add("work", lambda _: None)
    broker.stop()
    node, worker = start(broker.uri, silence_seconds=1), start(broker.uri, worker=True, silence_seconds=1)
    handle = cron.enqueue("work")
    wait_until(lambda: node.trouble and worker.trouble, what="both have noticed")
    wait_until(lambda: all(record.trouble for record in alive(cron)), what="their records say so")
    assert all("guest:guest" not in record.trouble for record in alive(cron))
    assert handle.state == QUEUED
    broker.start()
    assert handle.wait(60).state == SUCCEEDED
    wait_until(lambda: not any(record.trouble for record in alive(cron)), what="it is over")


@pytest.mark.slow
@pytest.mark.faults
def test_nothing_is_lost_when_the_broker_is_killed_and_connections_are_cut_under_load(
    cron: Cronlite, own_broker: RabbitMQ, start: Start, impatient: None
) -> None:
    ran: list[int] = []

    def work(params: dict[str, int]) -> None:
        ran.append(params["n"])
        time.sleep(0.01)

    cron.registry.add("work", work)
    for _ in range(2):
        start(own_broker.uri)
        start(own_broker.uri, worker=True, seats=3)
    for n in range(600):
        cron.enqueue("work", {"n": n})
        if n in (100, 200):
            own_broker.ctl("close_all_connections", "test")
        if n == 300:
            own_broker.write_down()
            own_broker.kill()
            own_broker.start()
    all_done(cron, 600, limit_seconds=120)
    assert sorted(ran) == list(range(600)), "each of them once"


@pytest.mark.faults
def test_a_deleted_queue_costs_no_run(cron: Cronlite, broker: RabbitMQ, start: Start, impatient: None) -> None:
    cron.registry.add("work", lambda _: None)
    start(broker.uri)
    handles = [cron.enqueue("work") for _ in range(20)]
    wait_until(lambda: all(handle.run.sent_at for handle in handles), what="all are sent")
    empty(broker.uri, "default")
    start(broker.uri, worker=True)
    all_done(cron, 20)


# the command line


def typed(uri: str, *words: str) -> Any:
    done = CliRunner().invoke(cli, ["--uri", uri, *words, "--json"])
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_queue_and_deadline_can_be_typed(tmp_path: Path) -> None:
    uri = f"sqlite:{tmp_path / 'cronlite.db'}"
    run = typed(uri, "enqueue", "work", "--queue", "reports", "--deadline", "10m")
    queued, deadline = (
        datetime.fromisoformat(run[name].replace("Z", "+00:00")) for name in ("queued_at", "deadline_at")
    )
    assert (run["queue"], deadline - queued) == ("reports", timedelta(minutes=10))
    schedule = typed(uri, "add", "--cron", "@daily", "--queue", "reports")
    assert schedule["queue"] == "reports"
    assert typed(uri, "edit", schedule["id"], "--queue", "mail")["queue"] == "mail"
    assert typed(uri, "trigger", schedule["id"])["queue"] == "mail"


def test_without_kombu_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cronlite.dispatch.amqp", None)
    with pytest.raises(ConfigurationError, match=r"cronlite\[amqp\]"):
        to_broker.load_amqp()


# limits


def test_workers_keep_a_limit_and_take_what_waits_for_it_from_the_store(
    cron: Cronlite, start: Start, broker: RabbitMQ
) -> None:
    lock, at_work = threading.Lock(), [0, 0]

    @cron.registry.handler
    def limited(params: Any) -> None:
        with lock:
            at_work[0] += 1
            at_work[1] = max(at_work)
        time.sleep(0.02)
        with lock:
            at_work[0] -= 1

    cron.limits.set("api", 2)
    cron.enqueue_many([{"handler": "limited", "limit": "api"} for _ in range(30)])
    start(broker.uri)
    for _ in range(2):
        start(broker.uri, worker=True)
    all_done(cron, 30)
    assert at_work[1] <= 2
    assert {run.sent_at for run in cron.runs(limit=None)} == {None}, "no message waits for a slot"
