"""How do the tests of messages begin with none?"""

from cronlite.dispatch.amqp import Publisher
from cronlite.dispatch.amqp.link import queue_of

QUEUES = ("default", "reports", "set_aside")


def empty(uri: str, *queues: str) -> None:
    """Delete queues, with what is in them."""
    with Publisher(uri) as publisher:
        for queue in queues or QUEUES:
            publisher.waiting(queue)
            publisher._channel.queue_delete(queue_of(queue))
