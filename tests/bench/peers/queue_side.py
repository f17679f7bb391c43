# mypy: ignore-errors
"""The side of other task queues in the benchmark `queue`, in a venv of their own, where nothing of the tests is.

`python -c "from queue_side import main; main()" enqueue|ask COUNT`; the last line on stdout is the answer. Their own
worker commands import this module. $QUEUE_SIDE says whose, $QUEUE_URL is the broker, and to $QUEUE_LOG each call writes
one number of eight bytes.
"""

import json
import os
import random
import struct
import sys
import time

SIDE, URL = os.environ["QUEUE_SIDE"], os.environ["QUEUE_URL"]
LOG = os.open(os.environ["QUEUE_LOG"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)


def noop():
    """Write down when it is called."""
    os.write(LOG, struct.pack("d", time.monotonic()))


def asked(at):
    """Write down how long after the asking it is called."""
    os.write(LOG, struct.pack("d", time.monotonic() - at))


if SIDE == "celery":
    from celery import Celery

    app = Celery("queue_side", broker=URL)
    app.conf.task_ignore_result = True
    noop, asked = app.task(noop, name="noop"), app.task(asked, name="asked")
    send_noop, send_asked = noop.delay, asked.delay
elif SIDE == "dramatiq":
    import dramatiq
    from dramatiq.brokers.redis import RedisBroker

    dramatiq.set_broker(RedisBroker(url=URL))
    noop, asked = dramatiq.actor(noop), dramatiq.actor(asked)
    send_noop, send_asked = noop.send, asked.send
elif SIDE == "rq":
    from redis import Redis
    from rq import Queue

    queue = Queue(connection=Redis.from_url(URL))

    def send_noop():
        queue.enqueue("queue_side.noop")

    def send_asked(at):
        queue.enqueue("queue_side.asked", at)
else:
    from huey import RedisHuey, SqliteHuey

    huey = RedisHuey("bench", url=URL) if URL.startswith("redis:") else SqliteHuey("bench", filename=URL)
    send_noop, send_asked = huey.task()(noop), huey.task()(asked)


def enqueue(count):
    """Ask for calls one after the other; the connection is open by then."""
    send_noop()
    started = time.perf_counter()
    for _ in range(count - 1):
        send_noop()
    return {"per_second": (count - 1) / (time.perf_counter() - started)}


def ask(count):
    """Ask for calls a while apart, out of step with whatever a worker does at regular times."""
    chance = random.Random(count)
    for _ in range(count):
        time.sleep(chance.uniform(0.02, 0.06))
        send_asked(time.monotonic())
    return {"asked": count}


def main():
    """Ask, and answer; to be called from outside, as tasks of `__main__` are no worker's."""
    print(json.dumps({"enqueue": enqueue, "ask": ask}[sys.argv[1]](int(sys.argv[2]))), flush=True)
    os._exit(0)
