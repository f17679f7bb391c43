"""How do the tests of messages begin with none?"""

from cronlite.dispatch import amqp

QUEUES = ("default", "reports", "set_aside")


def empty(uri: str, *queues: str) -> None:
    """Delete queues, with what is in them."""
    with amqp.Publisher(uri) as publisher:
        for queue in queues or QUEUES:
            publisher.waiting(queue)
            publisher._channel.queue_delete(amqp.queue_of(queue))
