"""Whoever may send to a broker fills its queues with what is long, and with what is much."""

from __future__ import annotations

import random

import pytest

from cronlite.dispatch.amqp import Consumer, Message, Publisher, Raw, link
from cronlite.dispatch.amqp.consumer import ASIDE_BODY
from cronlite.dispatch.amqp.frames import MAX_BODY, cutting
from tests.services.rabbitmq import RabbitMQ

SIZES = [0, 1, MAX_BODY - 1, MAX_BODY, MAX_BODY + 1, MAX_BODY + 2, 5 * MAX_BODY + 7, 3]


def test_a_worker_takes_in_no_more_of_a_message_than_it_reads(broker: RabbitMQ) -> None:
    with Publisher(broker.uri) as publisher, Consumer(broker.uri, ["default"]) as consumer:
        publisher.send_raw([Raw("default", b"a" * size) for size in SIZES])
        came: list[Message] = []
        while len(came) < len(SIZES):
            came += consumer.receive(limit=len(SIZES), seconds=60)
        assert [len(message.raw) for message in came] == [min(size, MAX_BODY + 1) for size in SIZES]
        consumer.settle(came)
        publisher.send([("default", {"run": "x"})])  # and the connection is as good as before
        (last,) = consumer.receive(limit=1, seconds=60)
        assert last.read() == {"run": "x"}


def test_what_is_set_aside_is_cut_and_its_queue_is_bounded(broker: RabbitMQ, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(link._BOUNDED, "x-max-length", 2)
    with Publisher(broker.uri) as publisher, Consumer(broker.uri, ["default"]) as consumer:
        publisher.send_raw([Raw("default", bytes([65 + number]) * (ASIDE_BODY + 9)) for number in range(4)])
        for _ in range(4):
            (message,) = consumer.receive(limit=1, seconds=60)
            consumer.set_aside(message, "too long")
        kept = [publisher._channel.basic_get(link.queue_of("set_aside")) for _ in range(2)]
        assert {bytes(one.body) for one in kept} == {b"C" * ASIDE_BODY, b"D" * ASIDE_BODY}  # the newest
        assert publisher._channel.basic_get(link.queue_of("set_aside")) is None


def test_a_queue_that_an_older_version_made_goes_on_taking(broker: RabbitMQ, caplog: pytest.LogCaptureFixture) -> None:
    with Publisher(broker.uri) as publisher, Consumer(broker.uri, ["default"]) as consumer:
        publisher.waiting("set_aside")
        publisher._channel.queue_delete(link.queue_of("set_aside"))
        publisher._channel.queue_declare(
            link.queue_of("set_aside"), durable=True, auto_delete=False, arguments=link._QUORUM
        )
        publisher.send_raw([Raw("default", b"not json")])
        (message,) = consumer.receive(limit=1, seconds=60)
        consumer.set_aside(message, "it is no JSON")
        assert publisher.waiting("set_aside") == 1
    assert "made without bounds: delete it" in caplog.text


def test_frames_are_cut_wherever_they_end(seed: random.Random) -> None:
    """As the broker may cut a body at any byte, several at a time on channels of their own."""
    shown: dict[int, int] = {1: 0, 2: 0}

    class Connection:
        bytes_recv = 0

    def handler(_: object, __: object) -> object:
        def handle(frame: tuple[int, int, bytes]) -> bool:
            kind, channel, payload = frame
            shown[channel] += len(payload) if kind == 3 else 0
            return True

        return handle

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cronlite.dispatch.amqp.frames.frame_handler", handler)
        patch.setattr("cronlite.dispatch.amqp.frames.MAX_BODY", 100)
        on_frame = cutting(Connection(), lambda *_: None)
        for size in [0, 100, 101, 102, 5_000, 30]:
            left = {1: size, 2: size}
            for channel in left:
                shown[channel] = 0
                on_frame((2, channel, b"\0\x3c\0\0" + size.to_bytes(8, "big") + b"\0\0"))
            while any(left.values()):
                channel = seed.choice([number for number, rest in left.items() if rest])
                piece = seed.randint(1, left[channel])
                left[channel] -= piece
                on_frame((3, channel, b"x" * piece))
            assert shown == dict.fromkeys(shown, min(size, 101))
