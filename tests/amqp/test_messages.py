"""Do messages get through a real RabbitMQ, whole, as many as asked for, and in time, whatever happens to it?"""

from __future__ import annotations

import contextlib
import time
from collections import Counter

import pytest

from cronlite.daemon.options import Options
from cronlite.dispatch.amqp import Consumer, Message, Publisher, link
from cronlite.dispatch.amqp.frames import MAX_BODY
from cronlite.errors import BrokerUnavailable, ConfigurationError
from tests.amqp.queues import empty
from tests.services.rabbitmq import RabbitMQ
from tests.waiting import wait_until

BROKEN = "amqp://guest:secret@127.0.0.1:1//"


def take(consumer: Consumer, count: int, *, room: int = 0) -> list[Message]:
    """Receive so many messages, with room for more; they come in one burst or in several."""
    got: list[Message] = []

    def all_there() -> bool:
        got.extend(consumer.receive(room or count, 1))
        return len(got) >= count

    wait_until(all_there, what=f"{count} messages", instead=lambda: got)
    return got


def come_back(idle: link.Link) -> None:
    """Let an end notice it if it was idle for longer than a heartbeat: a broker's commands may take as long."""
    with contextlib.suppress(BrokerUnavailable):
        idle.beat()


def wait_for(publisher: Publisher, count: int, what: str) -> None:
    """Wait until so many reports wait for somebody; a broker that is busy tells of none for a while."""
    wait_until(lambda: publisher.waiting("reports") == count, what=f"{count} reports: {what}")


def test_messages_come_through_whole_and_only_as_many_as_asked_for(broker: RabbitMQ) -> None:
    with Publisher(broker.uri) as publisher, Consumer(broker.uri, ["reports"]) as consumer:
        publisher.send(("reports", {"n": n, "text": "漢字"}) for n in range(50))
        first = take(consumer, 7)
        assert [one.read() for one in first] == [{"n": n, "text": "漢字"} for n in range(7)]
        wait_for(publisher, 43, "what was not asked for stays for others")
        with Consumer(broker.uri, ["reports"]) as late:
            late.settle(take(late, 43, room=100))
        consumer.settle(first)
    with Publisher(broker.uri) as publisher:
        wait_for(publisher, 0, "all of them are gone")


def test_what_is_settled_makes_room_for_as_many(broker: RabbitMQ) -> None:
    with Publisher(broker.uri) as publisher, Consumer(broker.uri, ["reports"]) as consumer:
        publisher.send(("reports", {"n": n}) for n in range(20))
        first = take(consumer, 3)
        assert consumer.receive(3, 0.1) == [], "there is no room"
        consumer.settle(first[:2])
        assert [one.read()["n"] for one in take(consumer, 2, room=3)] == [3, 4]
        wait_for(publisher, 15, "as many as were settled are under way")
        assert [one.read()["n"] for one in take(consumer, 1, room=4)] == [5], "more room"
        consumer.settle(first[2:])
        assert consumer.receive(3, 0.1) == [], "less room"
        wait_for(publisher, 14, "one more is under way")


def test_many_messages_come_by_one_standing_consumer(broker: RabbitMQ, monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[int] = []
    begin = Consumer._begin

    def noted(self: Consumer, chosen: list[str], room: int) -> None:
        begun.append(room)
        begin(self, chosen, room)

    monkeypatch.setattr(Consumer, "_begin", noted)
    with Publisher(broker.uri) as publisher, Consumer(broker.uri, ["reports"]) as consumer:
        publisher.send(("reports", {"n": n}) for n in range(200))
        got: list[int] = []
        while len(got) < 200 and (messages := consumer.receive(7, 5)):
            got += [one.read()["n"] for one in messages]
            consumer.settle(messages)
    assert got == list(range(200))
    assert begun == [7]


def test_a_pause_leaves_everything_to_others(broker: RabbitMQ) -> None:
    with Publisher(broker.uri) as publisher, Consumer(broker.uri, ["reports"]) as consumer:
        publisher.send(("reports", {"n": n}) for n in range(20))
        messages = take(consumer, 3)
        consumer.settle(messages[:1])
        wait_for(publisher, 16, "another one is under way")
        consumer.pause()
        consumer.settle(messages)
        wait_for(publisher, 17, "that one is back")
        with Consumer(broker.uri, ["reports"]) as late:
            assert {one.read()["n"] for one in take(late, 17, room=100)} == set(range(3, 20))
            assert consumer.receive(3, 0.1) == []
        assert len(take(consumer, 3)) == 3, "it goes on"


def test_what_is_given_back_is_known_by_that(broker: RabbitMQ) -> None:
    with Publisher(broker.uri) as publisher, Consumer(broker.uri, ["reports"]) as consumer:
        publisher.send([("reports", {})])
        (first,) = take(consumer, 1, room=5)
        consumer.requeue([first])
        (again,) = take(consumer, 1, room=5)
        assert (first.again, again.again) == (False, True)
        consumer.settle([again])


def test_what_is_not_settled_is_delivered_again(broker: RabbitMQ) -> None:
    with Publisher(broker.uri) as publisher:
        publisher.send([("reports", {"n": 1})])
    with Consumer(broker.uri, ["reports"]) as consumer:
        assert len(take(consumer, 1)) == 1
    with Consumer(broker.uri, ["reports"]) as consumer:
        (again,) = take(consumer, 1)
        consumer.settle([again])
        assert consumer.receive(1, 0.2) == []


def test_several_queues_share_what_is_asked_for(broker: RabbitMQ) -> None:
    with Publisher(broker.uri) as publisher, Consumer(broker.uri, ["default", "reports"]) as consumer:
        publisher.send([("default", {})] * 10)
        publisher.send([("reports", {})] * 10)
        assert Counter(one.queue for one in take(consumer, 6)) == {"default": 3, "reports": 3}


def test_where_there_is_room_for_one_no_queue_starves(broker: RabbitMQ) -> None:
    with Publisher(broker.uri) as publisher, Consumer(broker.uri, ["default", "reports"]) as consumer:
        publisher.send([("default", {})] * 5_000)
        publisher.send([("reports", {})] * 5_000)
        found: set[str] = set()

        def one_more() -> bool:
            (message,) = consumer.receive(1, 5)
            consumer.settle([message])
            found.add(message.queue)
            return found == {"default", "reports"}

        wait_until(one_more, what="one of each", interval_seconds=0)


def test_all_room_goes_to_the_queue_that_has_something(broker: RabbitMQ) -> None:
    with Publisher(broker.uri) as publisher, Consumer(broker.uri, ["default", "reports"]) as consumer:
        assert consumer.receive(6, 0.1) == []
        publisher.send([("default", {})] * 20)
        got: list[Message] = []

        def all_room() -> bool:
            got.extend(consumer.receive(6, 0.1))
            return len(got) == 6

        wait_until(all_room, what="all room is used", instead=lambda: got)
        publisher.send([("reports", {})])
        consumer.pause()
        consumer.settle(got)
        assert {one.queue for one in take(consumer, 4, room=6)} == {"default", "reports"}


def test_messages_and_queues_outlive_the_broker(broker: RabbitMQ) -> None:
    with Publisher(broker.uri) as publisher:
        publisher.send([("reports", {"n": n}) for n in range(20)])
        broker.stop()  # killed right after a queue was made, RabbitMQ 3.10 forgets the queue
        with pytest.raises(BrokerUnavailable):
            publisher.send([("reports", {})])
        broker.start()
        # The next call connects anew; a queue that has no leader yet counts as empty.
        wait_for(publisher, 20, "all of them are there again")


def test_a_settlement_on_a_new_connection_is_refused_and_meets_no_other_message(broker: RabbitMQ) -> None:
    with Publisher(broker.uri) as publisher, Consumer(broker.uri, ["reports"]) as consumer:
        publisher.send([("reports", {"n": n}) for n in range(2)])
        (old,) = take(consumer, 1)
        broker.ctl("close_all_connections", "test")
        with pytest.raises(BrokerUnavailable):
            consumer.receive(1, 1)
        assert len(take(consumer, 2)) == 2
        with pytest.raises(BrokerUnavailable, match="delivered again"):
            consumer.settle([old])
        assert len(take(consumer, 2)) == 2, "both are there still"


def test_a_deleted_queue_is_made_again(broker: RabbitMQ) -> None:
    with Publisher(broker.uri) as publisher, Consumer(broker.uri, ["reports"]) as consumer:
        publisher.send([("reports", {})])
        empty(broker.uri, "reports")
        publisher.send([("reports", {"n": 2})])
        (message,) = take(consumer, 1, room=5)
        assert message.read() == {"n": 2}
        empty(broker.uri, "reports")  # while it stands, with something unsettled
        assert consumer.receive(5, 0.5) == []
        consumer.settle([message])
        publisher.send([("reports", {"n": 3})])
        assert [one.read() for one in take(consumer, 1, room=5)] == [{"n": 3}]


def test_a_blocked_publisher_comes_back_in_time_and_says_why(broker: RabbitMQ, monkeypatch: pytest.MonkeyPatch) -> None:
    with Publisher(broker.uri) as publisher:
        publisher.send([("reports", {"n": 1})])  # which makes the queue, and that may take long
    monkeypatch.setattr(link, "STEP_SECONDS", 2.0)
    with Publisher(broker.uri) as publisher, Consumer(broker.uri, ["reports"]) as consumer:
        with broker.memory_alarm():
            come_back(publisher)
            publisher.waiting("reports")
            begun = time.monotonic()
            with pytest.raises(BrokerUnavailable, match="blocks publishers"):
                publisher.send([("reports", {"n": 2})])
            assert time.monotonic() - begun < 10
            come_back(consumer)
            consumer.settle(take(consumer, 1))
        come_back(consumer)
        publisher.send([("reports", {"n": 3})])
        wait_until(lambda: {"n": 3} in [one.read() for one in consumer.receive(5, 1)])


def test_a_broker_that_stands_still_holds_nobody(broker: RabbitMQ, monkeypatch: pytest.MonkeyPatch) -> None:
    with Publisher(broker.uri) as publisher:
        publisher.waiting("reports")  # which makes the queue, and that may take long
    monkeypatch.setattr(link, "STEP_SECONDS", 1.0)
    with Publisher(broker.uri) as publisher, Consumer(broker.uri, ["reports"]) as consumer:
        publisher.waiting("reports")
        consumer.receive(1, 0.1)
        broker.pause()
        try:
            begun = time.monotonic()
            for step in (lambda: publisher.send([("reports", {})]), lambda: consumer.receive(1, 1), publisher.beat):
                with contextlib.suppress(BrokerUnavailable):
                    step()
            assert time.monotonic() - begun < 12
        finally:
            broker.go_on()


def test_no_answer_is_waited_for_longer_than_that(broker: RabbitMQ, monkeypatch: pytest.MonkeyPatch) -> None:
    with Publisher(broker.uri) as publisher:
        publisher.waiting("reports")
        monkeypatch.setattr(link, "STEP_SECONDS", -1.0)
        with pytest.raises(BrokerUnavailable, match="no answer"):
            publisher.waiting("reports")


@pytest.mark.parametrize(
    ("raw", "content_type", "why"),
    [
        (b"{", link.JSON, "no JSON"),
        (b"[1]", link.JSON, "no JSON object"),
        (b"\xff\xfe{}", link.JSON, "no JSON"),
        (b'{"a": ' * 100_000, link.JSON, "no JSON"),
        (b"{}", "application/x-python-serialize", "content type"),
        (b"{}", None, "content type"),
        (b'"' + b"a" * MAX_BODY + b'"', link.JSON, "bytes long"),
    ],
    ids=["broken", "a list", "no text", "deep", "pickle", "untyped", "large"],
)
def test_what_is_no_message_of_ours_is_not_read(raw: bytes, content_type: str | None, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Message("reports", raw, content_type, 1, None).read()


@pytest.mark.parametrize("uri", ["", "localhost", "http://guest:secret@host/", "amqp://guest:secret@host:port/"])
def test_a_uri_that_is_none_is_refused_without_its_password(uri: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        Publisher(uri)
    assert "secret" not in str(refused.value)


def test_no_error_shows_the_password() -> None:
    with pytest.raises(BrokerUnavailable) as down, Publisher(BROKEN) as publisher:
        publisher.send([("reports", {})])
    assert "secret" not in str(down.value)
    assert "127.0.0.1:1" in str(down.value)
    assert "secret" not in repr(Options(dispatch=BROKEN))
